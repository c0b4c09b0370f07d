//! Checkpoints and runs, as the commit log records them.

use serde::{Deserialize, Serialize};

use super::split_change::SplitChange;
use crate::metrics::{Counts, Measured};
use crate::record::{OffsetRange, SplitId};
use crate::run::losses::Losses;
use crate::run::sinks::Output;
use crate::stage::{Destination, FencingToken, RecordedSplit};

/// A split's share of a commit: all that happened in it since its last checkpoint. All of it becomes true together.
#[derive(Debug)]
pub(in crate::run) struct Checkpoint {
    pub(in crate::run) split: SplitId,
    /// Counts the times that this process opened the split.
    pub(in crate::run) epoch: u64,
    /// The positions that were read.
    pub(in crate::run) range: OffsetRange,
    /// Where the split goes on, and what changed of its state since the checkpoint before it.
    pub(in crate::run) change: SplitChange,
    /// The output that the sinks prepared.
    pub(in crate::run) output: Output,
    pub(in crate::run) counts: Counts,
    /// What became of its records, in their order.
    pub(in crate::run) losses: Losses,
    /// What was measured of its records. It is not saved.
    pub(in crate::run) measured: Measured,
    /// Whether the input of the split has ended.
    pub(in crate::run) ended: bool,
    /// The proof that the split is still this process's, where other instances may take it over.
    pub(in crate::run) fencing_token: Option<FencingToken>,
}

/// What a run is, as its log records it when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct RunRecord {
    /// Counts the runs of this pipeline from the beginning of its input.
    pub(in crate::run) run: u64,
    /// The types of the stages in order. A run with other stages cannot use the saved state.
    pub(in crate::run) topology: String,
    /// A checksum of all options, to say when they changed.
    pub(in crate::run) options_hash: u32,
    /// What each transform learned from the whole input.
    pub(in crate::run) fitted: Vec<Option<Vec<u8>>>,
    /// A checksum of the options that decide the content of the output.
    pub(in crate::run) content_hash: u32,
    /// The identity of the input, the same for every spelling.
    pub(in crate::run) input: String,
    /// Where the output goes.
    pub(in crate::run) destination: Option<Destination>,
    /// The cluster that the output goes to, where a ledger decides and there is one.
    pub(in crate::run) cluster_id: Option<String>,
    /// The consumer group, where the source has one.
    pub(in crate::run) group: String,
}

/// The last run, as the log knows it.
#[derive(Clone, Debug)]
pub(in crate::run) struct LastRun {
    pub(in crate::run) record: RunRecord,
    /// Whether its input ended.
    pub(in crate::run) completed: bool,
    pub(in crate::run) counts: Counts,
    /// Its splits, where one process ran it alone.
    pub(in crate::run) splits: Vec<RecordedSplit>,
}
