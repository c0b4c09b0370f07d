//! Dead letters as they lie where they were put, and how they are read once more.

use crate::error::Result;
use crate::record::Batch;

/// Where a stored dead letter is: `consumer_topic-0_….ndjson:3`, `air-quality-dead-letters/0@17`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// The file or the partition.
    pub container: String,
    /// The line, from 1, or the offset.
    pub index: u64,
    /// What stands between the two.
    pub separator: char,
}

impl std::fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.container, self.separator, self.index)
    }
}

/// A dead letter as it lies where it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// Where it is.
    pub id: DeadLetterId,
    /// What tells its container from another one of the same name, where there is such a thing: a topic's id.
    pub container_id: Option<String>,
    /// The pipeline that gave the record up.
    pub pipeline: String,
    /// The split that it came from.
    pub split: String,
    /// Where it starts in that split.
    pub position: String,
    /// Its place for a person.
    pub place: String,
    /// The stage that gave it up.
    pub stage: String,
    /// Why.
    pub reason: String,
    /// When, where that is known.
    pub time: Option<String>,
    /// Its bytes, where they are known.
    pub raw: Option<Vec<u8>>,
    /// Whether those are all.
    pub whole: bool,
    /// What they need to be read once more (see [`SplitReader::raw_schema`](super::SplitReader::raw_schema)).
    pub raw_schema: Option<String>,
}

/// Reads stored dead letters.
pub trait DeadLetterReader {
    /// Hands out each of them, in the order of their places.
    ///
    /// # Errors
    /// Where they cannot be read, and what `take` returns.
    fn each(&mut self, take: &mut dyn FnMut(StoredDeadLetter) -> Result<()>) -> Result<()>;
}

/// Reads records from their bytes alone, as the source would have read them.
pub trait DeadLetterDecoder: Send {
    /// The record as a batch of one row, whose origin is `source_offset`; or why it can still not be carried. `raw_schema` is what its
    /// letter has kept of how it was read (see [`SplitReader::raw_schema`](super::SplitReader::raw_schema)).
    ///
    /// # Errors
    /// Stops the replay.
    fn decode(&mut self, source_offset: u64, raw: &[u8], raw_schema: Option<&str>) -> Result<Result<Batch, String>>;
}
