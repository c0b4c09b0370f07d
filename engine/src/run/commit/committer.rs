//! The committer: takes finished checkpoints, has the log decide them, and has the sinks make their output visible.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, select};
use parking_lot::Mutex;

use super::checkpoint::Checkpoint;
use super::log::CommitLog;
use crate::clock::Clock;
use crate::error::Result;
use crate::fault;
use crate::metrics::Metrics;
use crate::record::SplitId;
use crate::run::loss_marker::LossMarker;
use crate::run::losses::LossWatch;
use crate::run::sinks::Sinks;
use crate::run::tasks::Tasks;
use crate::stage::Decision;

/// How many checkpoints one commit takes at most: a bound for the size of a ledger's entry or a transaction.
const CHECKPOINTS_IN_COMMIT_MAX: usize = 256;

/// How long after the last commit other processes are told that its output is visible, where no later commit tells them. A
/// process that starts meanwhile on another machine waits for that.
const FLUSH_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How far apart the beginnings of two commits are where files fill faster than that: each costs a transaction, or a ledger's
/// entry on disk, whatever is in it. A file that fills after a pause is committed at once.
const FILE_COMMITS_APART: Duration = Duration::from_millis(100);
/// How long the committer waits for the checkpoints of splits that are due together: a commit costs about as much.
const GATHER_TIME: Duration = Duration::from_millis(3);

pub(in crate::run) struct Committer {
    pub(in crate::run) checkpoints: Receiver<Checkpoint>,
    pub(in crate::run) log: Arc<Mutex<Box<dyn CommitLog>>>,
    pub(in crate::run) sinks: Sinks,
    pub(in crate::run) tasks: Arc<Tasks>,
    pub(in crate::run) metrics: Arc<Metrics>,
    /// Whether the checkpoints of all splits are due at the same times.
    pub(in crate::run) is_aligned: bool,
    /// Says that somebody waits for commits, as far as [`Tasks::awaits_commits`] has it.
    pub(in crate::run) hurry: Receiver<()>,
    pub(in crate::run) clock: Clock,
    /// Watches how many records are lost, until that ends the run.
    pub(in crate::run) losses: Mutex<Option<LossWatch>>,
    pub(in crate::run) loss_marker: LossMarker,
}

impl Committer {
    /// Runs until every split is gone and the channel is closed. After a failure it only empties the channel, so that
    /// no split waits for it.
    pub(in crate::run) fn run(self) {
        // Whether other processes take the output of the last commit for perhaps not visible.
        let mut to_flush = false;
        let mut last: Option<Instant> = None;
        loop {
            let first = match self.checkpoints.recv_timeout(if to_flush { FLUSH_AFTER_IDLE } else { Duration::MAX }) {
                Ok(first) => first,
                Err(RecvTimeoutError::Disconnected) => return self.leave(),
                Err(RecvTimeoutError::Timeout) => {
                    to_flush = false;
                    if let Err(error) = self.log.lock().flush() {
                        self.tasks.fail(error);
                        self.tasks.revoke_all();
                    }
                    continue;
                }
            };
            let now = Instant::now();
            let until = match last {
                _ if self.is_aligned => now + GATHER_TIME,
                Some(last) => last + FILE_COMMITS_APART,
                None => now,
            };
            let checkpoints = self.take(first, until);
            last = Some(Instant::now());
            self.metrics.checkpoints_waiting.fetch_sub(checkpoints.len() as u64, Ordering::Relaxed);
            let taken: Vec<(SplitId, u64, usize)> = checkpoints
                .iter()
                .map(|checkpoint| (Arc::clone(&checkpoint.split), checkpoint.epoch, checkpoint.change.bytes()))
                .collect();
            if let Err(error) = self.commit(checkpoints) {
                self.tasks.fail(error);
                self.tasks.revoke_all();
            }
            // The outcome of a commit that failed is unknown: no other transaction may follow it here.
            to_flush = !self.tasks.has_failed() && self.log.lock().has_acknowledged();
            for (split, epoch, bytes) in taken {
                self.tasks.checkpoint_finished(&split, epoch, bytes);
            }
        }
    }

    /// Tells other processes that the output of the last commits is visible. A failure to tell them costs no record.
    fn leave(&self) {
        if !self.tasks.has_failed()
            && let Err(error) = self.log.lock().flush()
        {
            tracing::warn!("other processes could not be told that the output of the last commits is visible: {error}");
        }
    }

    /// The checkpoints that are there, and those that come until then: no longer than until those of all splits are there, where they
    /// are due together, and otherwise than until somebody waits for the commit.
    fn take(&self, first: Checkpoint, until: Instant) -> Vec<Checkpoint> {
        let mut checkpoints = vec![first];
        while checkpoints.len() < CHECKPOINTS_IN_COMMIT_MAX {
            if let Ok(more) = self.checkpoints.try_recv() {
                checkpoints.push(more);
                continue;
            }
            let is_due = match self.is_aligned {
                true => checkpoints.len() >= self.tasks.count(),
                false => self.tasks.awaits_commits(),
            };
            let now = Instant::now();
            if is_due || now >= until {
                break;
            }
            select! {
                recv(self.checkpoints) -> more => match more {
                    Ok(more) => checkpoints.push(more),
                    Err(_) => break,
                },
                recv(self.hurry) -> _ => {}
                default(until - now) => break,
            }
        }
        checkpoints
    }

    /// Aborts the checkpoints of splits that were taken away; returns the others.
    fn drop_revoked(&self, checkpoints: Vec<Checkpoint>) -> Result<Vec<Checkpoint>> {
        let (revoked, mine): (Vec<Checkpoint>, Vec<Checkpoint>) =
            checkpoints.into_iter().partition(|checkpoint| self.tasks.is_revoked(&checkpoint.split, checkpoint.epoch));
        revoked.iter().try_for_each(|checkpoint| self.sinks.abort(&checkpoint.output.staged()))?;
        Ok(mine)
    }

    /// Ends the run where too many records became dead letters, once. They are committed: the other splits take a checkpoint.
    fn watch_losses(&self, committed: &[Checkpoint]) {
        let mut watch = self.losses.lock();
        let mut found = None;
        for Checkpoint { losses, counts, .. } in committed {
            found = found.or_else(|| watch.as_mut()?.observe(losses, counts.held_after));
        }
        if let Some(too_many) = found {
            *watch = None;
            self.loss_marker.leave();
            self.tasks.fail(too_many.error(&self.metrics.snapshot().dead_letters));
        }
    }

    fn commit(&self, checkpoints: Vec<Checkpoint>) -> Result<()> {
        let started = self.clock.now();
        let mut log = self.log.lock();
        // Under the lock: another instance gets a revoked split only through the log.
        let mut mine = self.drop_revoked(checkpoints)?;
        loop {
            if mine.is_empty() {
                return Ok(());
            }
            let Decision::Refused { reason } = log.decide(&mine)? else { break };
            let before = mine.len();
            mine = self.drop_revoked(mine)?;
            // Splits that were taken away meanwhile are a reason for the refusal, and the others are committed without them.
            let is_final = mine.len() == before;
            if is_final {
                mine.iter().try_for_each(|checkpoint| self.sinks.abort(&checkpoint.output.staged()))?;
            }
            log.on_aborted()?;
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
            if is_final {
                let splits: BTreeSet<SplitId> = mine.iter().map(|checkpoint| Arc::clone(&checkpoint.split)).collect();
                let splits: Vec<SplitId> = splits.into_iter().collect();
                let names = splits.join(", ");
                tracing::warn!("a commit of {names} was refused, others read on from the last one: {reason}");
                self.tasks.refused(&splits);
                return Ok(());
            }
            tracing::debug!("a commit was refused, and is repeated without splits that were taken away: {reason}");
        }
        mine.iter().try_for_each(|checkpoint| self.sinks.commit(&checkpoint.output.staged()))?;
        fault::step("finish.done")?;
        log.on_visible()?;
        drop(log);
        for checkpoint in &mine {
            let Checkpoint { split, counts, losses, measured, .. } = checkpoint;
            self.metrics.record_checkpoint(split, counts, &losses.groups, measured);
        }
        self.watch_losses(&mine);
        self.metrics.record_commit(self.clock.now() - started);
        Ok(())
    }
}
