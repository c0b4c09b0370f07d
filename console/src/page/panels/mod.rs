//! The parts of the page that change.

mod alerts;
mod dead_letters;
mod fields;
mod figures;
mod heat;
mod list;
mod readings;
mod runtime;
mod scores;
mod splits;
mod stages;
mod state;
mod stations;
mod throughput;

pub use list::panels;
pub(super) use list::{Card, ROWS, TOP, time};
