//! Takes finished checkpoints, has them decided, and makes them visible.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

use super::checkpoint::Checkpoint;
use super::commit_log::CommitLog;
use super::control::Control;
use super::sinks::Sinks;
use crate::error::{Error, Result};
use crate::fault;
use crate::monitor::Metrics;
use crate::record::SplitId;
use crate::stage::Decision;

/// How many checkpoints one commit takes at most: a bound for the size of a ledger's entry or a transaction.
const CUTS_MAX: usize = 256;

/// How long after the last commit it is said that its output is visible, where no other commit says it: whoever starts
/// meanwhile on another machine waits for that.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Committer {
    pub(super) checkpoints: Receiver<Checkpoint>,
    pub(super) log: Arc<Mutex<CommitLog>>,
    pub(super) sinks: Sinks,
    pub(super) control: Arc<Control>,
    pub(super) metrics: Arc<Metrics>,
    /// How long to wait for the checkpoints of other splits that come to a barrier at the same time.
    pub(super) gather: Duration,
}

impl Committer {
    /// Runs until every split is gone and the channel is closed. After a failure it only empties the channel, so that
    /// no split waits for it.
    pub(super) fn run(self) {
        // Whether it is noted of the last commit that its output may not be visible yet.
        let mut to_flush = false;
        loop {
            let first = match self.checkpoints.recv_timeout(if to_flush { IDLE } else { Duration::MAX }) {
                Ok(first) => first,
                Err(RecvTimeoutError::Disconnected) => return self.leave(),
                Err(RecvTimeoutError::Timeout) => {
                    to_flush = false;
                    if let Err(error) = self.log.lock().flush() {
                        self.control.fail(error);
                        self.control.lose_all();
                    }
                    continue;
                }
            };
            let checkpoints = self.take(first);
            let settled: Vec<(SplitId, u64)> =
                checkpoints.iter().map(|checkpoint| (Arc::clone(&checkpoint.split), checkpoint.epoch)).collect();
            if let Err(error) = self.commit(checkpoints) {
                self.control.fail(error);
                self.control.lose_all();
            }
            // What became of a commit that failed is not known: no other transaction may follow it here.
            to_flush = !self.control.has_failed() && self.log.lock().is_to_flush();
            for (split, epoch) in settled {
                self.control.settled(&split, epoch);
            }
        }
    }

    /// Everything that was decided here is visible, and nothing more is: others need not look for it. That it cannot be said
    /// costs no record.
    fn leave(&self) {
        if !self.control.has_failed()
            && let Err(error) = self.log.lock().flush()
        {
            tracing::warn!("that the output of the last commits is visible could not be noted: {error}");
        }
    }

    /// The checkpoints that are there, and those that come within the time of gathering.
    fn take(&self, first: Checkpoint) -> Vec<Checkpoint> {
        let mut checkpoints = vec![first];
        let until = Instant::now() + self.gather;
        while checkpoints.len() < CUTS_MAX {
            let more = match self.checkpoints.try_recv() {
                Ok(more) => more,
                Err(_) if self.gather.is_zero() || checkpoints.len() >= self.control.count() => break,
                Err(_) => match self.checkpoints.recv_deadline(until) {
                    Ok(more) => more,
                    Err(_) => break,
                },
            };
            checkpoints.push(more);
        }
        checkpoints
    }

    fn commit(&self, checkpoints: Vec<Checkpoint>) -> Result<()> {
        let started = Instant::now();
        let mut log = self.log.lock();
        // Under the lock: a split that is lost is given to somebody else only by way of the log.
        let (lost, mine): (Vec<Checkpoint>, Vec<Checkpoint>) =
            checkpoints.into_iter().partition(|checkpoint| self.control.is_lost(&checkpoint.split, checkpoint.epoch));
        lost.iter().try_for_each(|checkpoint| self.sinks.abort(&checkpoint.output.staged()))?;
        if mine.is_empty() {
            return Ok(());
        }
        if let Decision::Refused { reason } = log.decide(&mine)? {
            mine.iter().try_for_each(|checkpoint| self.sinks.abort(&checkpoint.output.staged()))?;
            log.undone()?;
            let splits: BTreeSet<SplitId> = mine.iter().map(|checkpoint| Arc::clone(&checkpoint.split)).collect();
            let splits: Vec<SplitId> = splits.into_iter().collect();
            tracing::warn!("a commit of {} was refused, others read on from the last one: {reason}", splits.join(", "));
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
            self.control.refused(&splits);
            return Ok(());
        }
        mine.iter().try_for_each(|checkpoint| self.sinks.commit(&checkpoint.output.staged()))?;
        fault::step("finish.done")?;
        log.finished()?;
        drop(log);
        for checkpoint in &mine {
            self.metrics.decided(&checkpoint.split, &checkpoint.counts);
        }
        self.metrics.committed(started.elapsed());
        Ok(())
    }
}
