//! What a split hands to the committer.

use serde::{Deserialize, Serialize};

use super::sinks::Output;
use crate::monitor::Counts;
use crate::record::{OffsetRange, SplitId};
use crate::stage::{Destination, FencingToken, RecordedSplit, SplitState};

/// A split's stretch between two barriers. All of it becomes true together.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// The split.
    pub(super) split: SplitId,
    /// Counts the times that this process opened the split.
    pub(super) epoch: u64,
    /// From where to where.
    pub(super) span: OffsetRange,
    /// What a later run needs to go on: the split's carry, then each transform's state.
    pub(super) state: Vec<Vec<u8>>,
    /// The output that the sinks prepared.
    pub(super) output: Output,
    /// What was counted.
    pub(super) counts: Counts,
    /// Whether the input of the split has ended.
    pub(super) ended: bool,
    /// What proves that the split is this process's, where others may take it over.
    pub(super) fence: Option<FencingToken>,
}

impl Checkpoint {
    /// Where the split goes on after it.
    pub(super) fn start(&self) -> SplitState {
        SplitState { position: self.span.to, sequence: self.span.sequence, state: self.state.clone() }
    }
}

/// How a run began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// Counts the runs of this pipeline.
    pub(super) run: u64,
    /// The stages in order. A run with other stages cannot use the saved state.
    pub(super) shape: String,
    /// A checksum of all options, to say when they changed.
    pub(super) options: u32,
    /// What each transform learned from the whole input.
    pub(super) surveys: Vec<Option<Vec<u8>>>,
    /// A checksum of the options that decide what comes out.
    pub(super) content: u32,
    /// What is read, however it is spelt.
    pub(super) input: String,
    /// Where the output goes.
    pub(super) destination: Option<Destination>,
    /// The cluster that the output goes to, where a ledger decides and there is one.
    pub(super) cluster: Option<String>,
    /// Who keeps positions besides: the consumer group.
    pub(super) keeper: String,
}

/// The last run, as the log knows it.
#[derive(Clone, Debug)]
pub(super) struct LastRun {
    /// How it began.
    pub(super) begin: RunRecord,
    /// Whether its input ended.
    pub(super) done: bool,
    /// What it counted.
    pub(super) counts: Counts,
    /// Its splits, where it ran alone.
    pub(super) splits: Vec<RecordedSplit>,
}
