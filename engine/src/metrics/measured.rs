//! What a checkpoint brings beside its counts. It is not saved: it is of this process alone.

use std::time::Instant;

use super::{FieldTallies, Histogram};
use crate::record::Position;

/// What was measured of the records of a checkpoint.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What became of their cells.
    pub fields: FieldTallies,
    /// Their scores.
    pub scores: Histogram,
    /// When the first of them was read.
    pub since: Option<Instant>,
    /// When the checkpoint was closed, and its commit began to wait.
    pub closed: Option<Instant>,
    /// The newest time among those that were written, in microseconds since 1970.
    pub newest_micros: Option<i64>,
    /// Where the checkpoint ends in its split.
    pub to: Option<Position>,
}

impl Default for Measured {
    fn default() -> Measured {
        Measured {
            fields: FieldTallies::default(),
            scores: Histogram::of_scores(),
            since: None,
            closed: None,
            newest_micros: None,
            to: None,
        }
    }
}
