//! The counts of one stage, over all splits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a stage is in its pipeline, in the order in which records pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageRole {
    /// Reads records.
    Source,
    /// Changes them.
    Transform,
    /// Writes them.
    Sink,
    /// Takes dead letters.
    DeadLetter,
}

impl StageRole {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StageRole::Source => "source",
            StageRole::Transform => "transform",
            StageRole::Sink => "sink",
            StageRole::DeadLetter => "dead letters",
        }
    }
}

/// The counts of one stage, over all splits. Unlike the counts of a pipeline they are those of rows that were carried, whether
/// or not they were committed since.
#[derive(Debug, Default)]
pub struct StageMetrics {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    dead: AtomicU64,
    filtered: AtomicU64,
    made: AtomicU64,
    merged: AtomicU64,
    nanos: AtomicU64,
}

/// The counts of one stage at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageSnapshot {
    /// Rows that went in.
    pub rows_in: u64,
    /// Rows that came out.
    pub rows_out: u64,
    /// Dead letters.
    pub dead: u64,
    /// Rows that the configuration asked to leave out.
    pub filtered: u64,
    /// Rows that it made beside those that went in.
    pub made: u64,
    /// Rows that went into others.
    pub merged: u64,
    /// Time that its calls took, in all splits together; of a source the processor time, for it waits for records.
    pub time: Duration,
}

impl StageMetrics {
    /// Adds one call.
    pub fn add(&self, call: &StageSnapshot) {
        let nanos = u64::try_from(call.time.as_nanos()).unwrap_or(u64::MAX);
        for (count, by) in [
            (&self.rows_in, call.rows_in),
            (&self.rows_out, call.rows_out),
            (&self.dead, call.dead),
            (&self.filtered, call.filtered),
            (&self.made, call.made),
            (&self.merged, call.merged),
            (&self.nanos, nanos),
        ] {
            count.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// The counts now.
    #[must_use]
    pub fn snapshot(&self) -> StageSnapshot {
        StageSnapshot {
            rows_in: self.rows_in.load(Ordering::Relaxed),
            rows_out: self.rows_out.load(Ordering::Relaxed),
            dead: self.dead.load(Ordering::Relaxed),
            filtered: self.filtered.load(Ordering::Relaxed),
            made: self.made.load(Ordering::Relaxed),
            merged: self.merged.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}
