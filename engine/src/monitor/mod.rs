//! What is counted, and what is said of it.

mod alerts;
mod facts;
mod report;

pub use alerts::{Alert, Alerts};
pub use facts::{Counts, Facts, FlagCounts, Snapshot, TOO_MANY_FILES};
pub use report::{Reporter, summary};
