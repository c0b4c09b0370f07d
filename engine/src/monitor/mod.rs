//! What is counted, and what is said of it.

mod facts;

pub use facts::{Counts, Facts, FlagCounts, Snapshot};
