//! Where records come from.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a split: `air-quality-data/2` for a Kafka partition, a path or a glob for files.
pub type SplitId = Arc<str>;

/// Where the next record of a split starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// A Kafka offset, or a byte of a file (of all files one after the other where a split reads several).
    pub offset: u64,
    /// How many records of the split lie before it.
    pub records: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (record {})", self.offset, self.records)
    }
}

/// The records of a split between two checkpoints, half open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// The first position that belongs to it.
    pub from: Position,
    /// The first position that does not.
    pub to: Position,
    /// Numbers the checkpoints that end at the same position: above 0 only where held rows were given up while nothing
    /// was read, so that two outputs never share a name.
    pub sequence: u32,
}
