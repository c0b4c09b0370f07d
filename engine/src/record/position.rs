//! Where records come from.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a lane: `air-quality-data/2` for a Kafka partition, a path or a glob for files.
pub type LaneId = Arc<str>;

/// Where the next record of a lane starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// A Kafka offset, or a byte of a file (of all files one after the other where a lane reads several).
    pub at: u64,
    /// How many records of the lane lie before it.
    pub row: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (record {})", self.at, self.row)
    }
}

/// The stretch of a lane between two barriers, half open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first position that belongs to it.
    pub from: Position,
    /// The first position that does not.
    pub to: Position,
    /// Numbers the cuts that end at the same position: above 0 only where held rows were given up while nothing
    /// was read, so that two outputs never share a name.
    pub part: u32,
}
