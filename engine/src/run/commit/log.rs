//! The commit log: one act decides checkpoints, and the log knows afterwards.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, LastRun, RunRecord};
use super::ledger::Ledger;
use super::metadata::StagedValue;
use crate::error::Result;
use crate::record::SplitId;
use crate::run::sinks::Staged;
use crate::stage::{Decision, RecordedSplit, SplitState};

/// The commit log of a run: a [ledger](super::ledger_log::LedgerLog) file, or the
/// [transactions](super::transactional_log::TransactionalLog) of a backend.
pub(in crate::run) trait CommitLog: Send {
    /// The cluster whose transactions decide, where they do.
    fn cluster_id(&self) -> Option<&str>;

    /// The last run of this instance.
    fn last_run(&self) -> Result<Option<LastRun>>;

    /// What each transform learned from the whole input in the pipeline's last run. `slot` is the state directory of the
    /// process that ran it.
    fn last_fitted(&self, slot: &Path) -> Result<Vec<Option<Vec<u8>>>>;

    /// Records that a run begins. A restart forgets the splits of the run before it.
    fn begin(&mut self, record: RunRecord, restart: bool) -> Result<()>;

    /// The splits of the run that goes on, where one process runs it alone.
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>>;

    /// Where splits go on. `visible` are the ends of their visible output, which must not be written again.
    fn split_states(&mut self, ids: &[SplitId], visible: &[Option<u64>]) -> Result<Vec<Option<SplitState>>>;

    /// The one act that commits checkpoints.
    ///
    /// An error says that their outcome is unknown. The pipeline then ends, and the next start finds out.
    fn decide(&mut self, checkpoints: &[Checkpoint]) -> Result<Decision>;

    /// All output that was committed is visible.
    fn on_visible(&mut self) -> Result<()>;

    /// The staged output of a refused commit is gone.
    fn on_aborted(&mut self) -> Result<()>;

    /// Records that the input has ended.
    fn complete(&mut self) -> Result<()>;

    /// Forgets everything.
    fn reset(&mut self) -> Result<()>;

    /// The staged output of this instance that is neither known to be visible nor known to be gone.
    fn pending(&mut self) -> Result<Pending>;

    /// The same for the ledger of an instance that died; `None` where nobody can say whether it was committed.
    fn pending_of(&mut self, orphan: &Ledger) -> Result<Option<Pending>>;

    /// Aborts what dead writers left open whose state directory is not here; returns those of whom it is now known what
    /// they committed.
    fn recover_writers(&mut self, _writers: &[Arc<str>]) -> Result<Vec<Arc<str>>> {
        Ok(Vec::new())
    }

    /// The committed output of any process that is not known to be visible, by transaction.
    fn staged(&self) -> Result<Vec<(u64, StagedValue)>> {
        Ok(Vec::new())
    }

    /// The output of these transactions is visible, so that nobody needs to look for it.
    fn acknowledge(&mut self, _transactions: &[u64]) {}

    /// Whether [`flush`](Self::flush) has something to say.
    fn has_acknowledged(&self) -> bool {
        false
    }

    /// Tells other processes of acknowledged output now, not with the next commit.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// What other processes committed.
    fn history(&self) -> Result<History> {
        Ok(History::default())
    }
}

/// How a log is opened.
#[derive(Clone, Copy)]
pub(in crate::run) struct OpenOptions {
    /// What was committed before is to be forgotten.
    pub(in crate::run) fresh: bool,
    /// Only one process may run the pipeline.
    pub(in crate::run) exclusive: bool,
}

/// What other processes committed, as far as transactions record it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::run) struct History {
    /// Whether this state directory has no memory, and the transactions have.
    pub(in crate::run) is_new_here: bool,
    /// The records that all processes have written.
    pub(in crate::run) written: u64,
}

/// Staged output that is neither known to be visible nor known to be gone.
pub(in crate::run) struct Pending {
    /// By checkpoint.
    pub(in crate::run) staged: Vec<Staged>,
    /// Whether it was committed.
    pub(in crate::run) committed: bool,
}

impl Pending {
    /// The pending output of a ledger, and the transaction that was to commit it.
    pub(super) fn of(ledger: &Ledger) -> (Vec<Staged>, Option<u64>) {
        let state = ledger.state();
        match &state.in_doubt {
            Some((id, checkpoints)) => {
                (checkpoints.iter().map(|checkpoint| checkpoint.staged.clone()).collect(), Some(*id))
            }
            None => (state.unfinished.clone(), None),
        }
    }
}
