//! Records as columns: what a batch is, what is known of each of its cells, and where its rows came from.

mod batch;
mod fields;
mod mark;
mod position;
mod tests_seen;

pub use batch::{Batch, BatchParts, Column, Numbers};
pub use fields::{Field, Fields, Kind, TIMESTAMP};
pub use mark::{Flag, Mark, Provenance};
pub use position::{LaneId, Position, Span};
pub use tests_seen::Tests;
