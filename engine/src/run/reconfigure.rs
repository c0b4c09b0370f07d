//! A swap of the transforms of a running pipeline, at a checkpoint of every split or not at all.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::chain::Candidate;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::record::SplitId;

/// How long all splits together may take to come to a checkpoint. They wait for each other meanwhile.
const SWAP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a split that waits looks whether it is to end.
const SIGNAL_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A swap under way. Each split votes with the chain that it could have, and waits until all have.
pub(super) struct Reconfiguration {
    old: Arc<Pipeline>,
    new: Arc<Pipeline>,
    fitted: Vec<Option<Arc<[u8]>>>,
    votes: Mutex<Votes>,
    changed: Condvar,
}

struct Votes {
    missing: BTreeSet<SplitId>,
    refusal: Option<Error>,
    swap: Option<bool>,
}

impl Reconfiguration {
    pub(super) fn new(
        old: Arc<Pipeline>,
        new: Arc<Pipeline>,
        fitted: Vec<Option<Arc<[u8]>>>,
        splits: impl IntoIterator<Item = SplitId>,
    ) -> Reconfiguration {
        let votes = Votes { missing: splits.into_iter().collect(), refusal: None, swap: None };
        Reconfiguration { old, new, fitted, votes: Mutex::new(votes), changed: Condvar::new() }
    }

    pub(super) fn old(&self) -> &Pipeline {
        &self.old
    }

    pub(super) fn new_pipeline(&self) -> &Pipeline {
        &self.new
    }

    pub(super) fn fitted(&self) -> &[Option<Arc<[u8]>>] {
        &self.fitted
    }

    /// A split votes, and waits while `runs`. Returns its candidate where all splits swap.
    pub(super) fn vote(
        &self,
        split: &SplitId,
        candidate: Result<Candidate>,
        runs: impl Fn() -> bool,
    ) -> Option<Candidate> {
        let mut votes = self.votes.lock();
        votes.missing.remove(split);
        let candidate = candidate.map_err(|error| _ = votes.refusal.get_or_insert(error)).ok();
        self.changed.notify_all();
        while votes.swap.is_none() {
            if !runs() {
                votes.refusal.get_or_insert_with(|| {
                    Error::new(format!("{split} ended meanwhile")).help("nothing was changed; try again")
                });
                return None;
            }
            self.changed.wait_for(&mut votes, SIGNAL_POLL_INTERVAL);
        }
        candidate.filter(|_| votes.swap == Some(true))
    }

    /// Waits for the votes of all splits. A split that ended without a vote is not waited for.
    ///
    /// # Errors
    /// Where a split refused or did not come to a checkpoint in time.
    pub(super) fn collect(&self, active: impl Fn() -> Vec<SplitId>) -> Result<()> {
        let until = Instant::now() + SWAP_TIMEOUT;
        let mut votes = self.votes.lock();
        while votes.refusal.is_none() {
            let active = active();
            votes.missing.retain(|split| active.contains(split));
            if votes.missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                let late: Vec<&str> = votes.missing.iter().map(|split| &**split).collect();
                return Err(Error::new(format!("{} did not come to a checkpoint in time", late.join(", ")))
                    .help("nothing was changed; try again"));
            }
            self.changed.wait_for(&mut votes, SIGNAL_POLL_INTERVAL);
        }
        Ok(())
    }

    /// Has all splits swap, unless one refused. `record` makes the swap true; no split leaves meanwhile.
    ///
    /// # Errors
    /// The refusal, or the error of `record`.
    pub(super) fn decide(&self, record: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut votes = self.votes.lock();
        let outcome = match votes.refusal.take() {
            Some(refusal) => Err(refusal),
            None => record(),
        };
        votes.swap = Some(outcome.is_ok());
        self.changed.notify_all();
        outcome
    }

    /// No split swaps.
    pub(super) fn cancel(&self) {
        self.votes.lock().swap = Some(false);
        self.changed.notify_all();
    }
}

/// What can be asked of a running pipeline from outside. Clones ask the same run.
#[derive(Clone, Default)]
pub struct RunControl {
    run: Arc<Mutex<Option<Weak<dyn Reconfigure>>>>,
}

/// A run whose transforms can be swapped.
pub(super) trait Reconfigure: Send + Sync {
    fn reconfigure(&self, pipeline: &Pipeline) -> Result<()>;
}

impl RunControl {
    /// Swaps the transforms of the running pipeline for those of another one at a checkpoint of every split, or of none. A
    /// transform with the same options keeps its state, one with other options takes it over as after an edit between two
    /// runs. No row is lost or given up by it.
    ///
    /// # Errors
    /// Where nothing runs, where more than transforms differ, or where a transform cannot be swapped now; the error names it.
    pub fn reconfigure(&self, pipeline: &Pipeline) -> Result<()> {
        let run = self.run.lock().as_ref().and_then(Weak::upgrade);
        run.ok_or_else(|| Error::new("the pipeline does not run"))?.reconfigure(pipeline)
    }

    pub(super) fn connect(&self, run: Weak<dyn Reconfigure>) {
        *self.run.lock() = Some(run);
    }
}
