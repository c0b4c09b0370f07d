//! Dead letters: records that could not be carried, as stages hand them out, and as they are read back.

use std::sync::Arc;

use arrow_array::Array;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::record::{Batch, Origin};

/// A record that could not be carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it starts in its split (see [`Position::offset`](crate::record::Position::offset)).
    pub source_offset: u64,
    /// Its place for a person: `data.csv:17`, `topic/0@17`. Where the stage does not say it, the engine fills it in.
    pub place: Option<String>,
    /// The stage that gave it up. The engine fills it in.
    pub stage: String,
    /// The reason, in one sentence.
    pub reason: String,
    /// Its bytes as they were read (or, from a sink, as they would have been written).
    pub raw: Option<Vec<u8>>,
    /// What a decoder needs beside the bytes, in words of the source (see
    /// [`SplitReader::raw_schema`](super::SplitReader::raw_schema)).
    pub raw_schema: Option<Arc<str>>,
    /// The record's key, as its batch or its message had it, where it is known. The bytes alone do not always say it.
    pub key: Option<Arc<[u8]>>,
    /// The part of the record, where a stage made several rows of it and gave this one up.
    pub part: Option<String>,
    /// The records that a stage had merged into the row that was given up; `raw` is then empty. Empty for any other row.
    pub records: Vec<Origin>,
    /// The record's time and the minutes east of UTC of its clock, as its batch had them, where they are known. Bytes alone do not
    /// always say them: a clock that is put back shows an hour twice.
    pub time: Option<(i64, i16)>,
}

impl DeadLetter {
    /// A record that was given up for `reason`.
    #[must_use]
    pub fn new(source_offset: u64, reason: impl Into<String>, raw: Option<Vec<u8>>) -> DeadLetter {
        DeadLetter {
            source_offset,
            place: None,
            stage: String::new(),
            reason: reason.into(),
            raw,
            raw_schema: None,
            key: None,
            part: None,
            records: Vec::new(),
            time: None,
        }
    }

    /// A row of a batch that was given up for `reason`.
    #[must_use]
    pub fn of_row(batch: &Batch, row: usize, reason: impl Into<String>) -> DeadLetter {
        let raw = batch.raw(row).map(<[u8]>::to_vec);
        let key = batch.key().filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row).as_bytes().into());
        let time = Some((batch.time()[row], batch.utc_offset()[row]));
        DeadLetter { key, time, ..DeadLetter::new(batch.source_offsets()[row], reason, raw) }
    }

    /// The same with the records of a row that a stage made or merged, which its bytes hold.
    pub(crate) fn with_its_records(mut self) -> DeadLetter {
        let Some(records) = self.raw.as_deref().and_then(Origin::decode) else { return self };
        // A part has a time of its own, which is not that of its record.
        self.time = self.time.filter(|_| records.iter().all(|record| record.part.is_none()));
        if records.len() == 1 {
            let Origin { part, raw, .. } = records.into_iter().next().unwrap_or_default();
            (self.part, self.raw) = (part, raw);
        } else {
            (self.raw, self.records) = (None, records);
        }
        self
    }
}

/// Dead letters on their way to their sink.
pub type DeadLetters = Vec<DeadLetter>;

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
    /// The part of the record that was given up, where that is not all of it.
    pub part: Option<String>,
    /// The records of a row that a stage had merged of them; the letter has no bytes of its own then.
    pub records: Vec<Origin>,
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
