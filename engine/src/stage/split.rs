//! A split of a source: one partition of a topic, one file. A thread reads each from its position on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::transaction::FencingToken;
use super::{DeadLetter, State};
use crate::error::Result;
use crate::metrics::LagMeter;
use crate::record::{Batch, Position, SplitId};

/// The answer of a [`SplitReader`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, moved once a batch")]
pub enum Poll {
    /// Records and dead letters, each in the order of their source offsets.
    Rows(Batch, Vec<DeadLetter>),
    /// Nothing came before `until`.
    Idle,
    /// The split has ended.
    End,
}

/// Ends the wait of a thread.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Reads one split. One thread owns it; its calls block.
///
/// Three rules hold for every call of [`next`](Self::next): source offsets ascend, none lies before the
/// [`position`](Self::position) at the last call, and the position after it lies behind all of them.
pub trait SplitReader: Send {
    /// The next records: at most `max`, dead letters included, all with one set of fields. A batch may be empty where there
    /// are dead letters. Returns [`Poll::Idle`] soon after `until`.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll>;

    /// Where the next record starts. It may move past bytes that are no record; such a move is committed too.
    fn position(&self) -> Position;

    /// The state, beside the position `at`, that a later reader needs to go on there: known fields and their kinds, a checksum
    /// of the input. `at` never goes back. It lies before [`position`](Self::position) where rows wait to be released.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn snapshot_state(&self, _at: Position) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Whether the first position is committed before anything is read. Asked for a split that has no commit yet, of a
    /// source whose beginning may be another place tomorrow.
    fn commits_at_start(&self) -> bool {
        false
    }

    /// Whether the end of the split changes its state, which is then committed even if nothing was read since the last
    /// checkpoint.
    fn commits_at_end(&self) -> bool {
        false
    }

    /// The number of records that wait behind the position, where it is known.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// What ends a wait in [`next`](Self::next), or the next one, from another thread. A task with one waits for a second where it has
    /// nothing to do; others look for signals ten times a second.
    fn waker(&self) -> Option<Waker> {
        None
    }

    /// What knows the number of records that wait while this reader is not called, where there is such a thing. It counts in place
    /// of [`lag`](Self::lag).
    fn lag_meter(&self) -> Option<Arc<dyn LagMeter>> {
        None
    }

    /// The number of records that wait behind an earlier position, that of the last commit, where it is known.
    fn lag_behind(&self, committed: Position) -> Option<u64> {
        Some(self.lag()? + self.position().records.saturating_sub(committed.records))
    }

    /// The place of the record that starts at an offset, for a message, where it says more than the offset: `data.csv:17`.
    fn describe_offset(&mut self, _offset: u64) -> Option<String> {
        None
    }

    /// What a decoder needs beside the bytes of a record: the names of columns, or its key or its time where the bytes do not say it.
    /// The dead letter keeps it, and [`DeadLetterDecoder::decode`](super::DeadLetterDecoder::decode) gets it back.
    fn raw_schema(&self, _letter: &DeadLetter) -> Option<Arc<str>> {
        None
    }

    /// The parts of the records of the last batch that are to go on, each with the source offset of its record: a replay asks
    /// for those that were given up. Of a record without one, all goes on.
    fn parts(&self) -> Vec<(u64, String)> {
        Vec::new()
    }

    /// The share of the input that lies before the position, 0 to 1, where it is known.
    fn progress(&self) -> Option<f64> {
        None
    }
}

/// Where a split goes on, and with which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    /// The end of its last checkpoint.
    pub position: Position,
    /// The number of that checkpoint among those that end there (see
    /// [`OffsetRange::sequence`](crate::record::OffsetRange::sequence)).
    pub sequence: u32,
    /// The reader's [state](SplitReader::snapshot_state). Empty where only the position is known.
    pub reader: Vec<u8>,
    /// The state of each transform that has one, by the stage's name.
    pub transforms: BTreeMap<String, State>,
}

impl SplitState {
    /// Whether more is known than the position.
    #[must_use]
    pub fn has_state(&self) -> bool {
        !self.reader.is_empty() || !self.transforms.is_empty()
    }

    /// The number of bytes of state.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.reader.len() + self.transforms.values().map(State::bytes).sum::<usize>()
    }
}

/// A split of the last run, as its last commit recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSplit {
    /// Its name.
    pub id: SplitId,
    /// Where it goes on.
    pub start: SplitState,
    /// The rows that transforms hold back there.
    pub held: u64,
    /// Whether its input had ended, so that nothing of it is left to do.
    pub ended: bool,
}

/// The engine as a source sees it.
pub trait SourceContext: Send + Sync {
    /// The splits of the interrupted run, for an exclusive source that has to find its inputs among them. Empty for a run
    /// that starts at the beginning, and where instances share the splits.
    ///
    /// # Errors
    /// Where the commit log cannot be read.
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        Ok(Vec::new())
    }

    /// Where splits stand that may belong to other instances. Such a split must not be opened with it.
    ///
    /// # Errors
    /// Where the commit log cannot be read.
    fn peek_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        self.split_states(ids)
    }

    /// Where splits go on; `None` for one that starts at its beginning. An exclusive source asks for all its splits at once
    /// and opens all that the interrupted run had not ended.
    ///
    /// # Errors
    /// Where the commit log cannot be read, or where a split is missing that the interrupted run had not ended.
    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>>;

    /// Starts a thread for a split. `reader` is already at `start` and has its state; the engine restores the transforms. A
    /// split that another instance may take over has a fencing token.
    ///
    /// # Errors
    /// Where the split is open already, or a stage cannot be built.
    fn open(
        &self,
        id: SplitId,
        reader: Box<dyn SplitReader>,
        start: Option<SplitState>,
        token: Option<FencingToken>,
    ) -> Result<()>;

    /// Ends splits before their input has ended. They are drained and committed, or, where they are `lost` to another
    /// instance, dropped. Returns once that is done, at the latest at `until`.
    ///
    /// # Errors
    /// Where a split was not drained in time. It is then dropped.
    fn close(&self, ids: &[SplitId], lost: bool, until: Instant) -> Result<()>;

    /// The splits that have not come to their end. A split whose commit was refused is among them until it is closed.
    fn running(&self) -> Vec<SplitId>;

    /// Waits until a split ends, a stop is asked for, or `until`.
    fn wait(&self, until: Instant);

    /// Whether the source is to close its splits and return.
    fn stopping(&self) -> bool;
}
