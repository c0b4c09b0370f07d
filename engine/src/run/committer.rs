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
use crate::error::{Error, Result};
use crate::fault;
use crate::metrics::Metrics;
use crate::record::SplitId;
use crate::stage::{DeadLetterSink, Decision, Sink, TransactionalBackend};

/// How many checkpoints one commit takes at most: a bound for the size of a ledger's entry or a transaction.
const CUTS_MAX: usize = 256;

/// How long after the last commit it is said that its output is visible, where no other commit says it: whoever starts
/// meanwhile on another machine waits for that.
const IDLE: Duration = Duration::from_secs(1);

/// Which ends to claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcquirePhase {
    /// Those that lie beside a coordinator's: nobody waits for a broker.
    Beside,
    /// All that are left.
    Rest,
}

/// Where output ends: the sink and, where there is one, the dead letters' end.
#[derive(Clone)]
pub(super) struct Sinks {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) sink_label: String,
    pub(super) dead: Option<Arc<dyn DeadLetterSink>>,
}

impl Sinks {
    /// Makes what one checkpoint prepared apart visible, the sink's first. Idempotent.
    pub(super) fn finish<'a>(&self, prepared: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        self.each(prepared, |end, prepared| end.commit(prepared), |end, prepared| end.commit(prepared))
    }

    /// Removes what one checkpoint prepared. Idempotent.
    pub(super) fn undo<'a>(&self, prepared: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        self.each(prepared, |end, prepared| end.abort(prepared), |end, prepared| end.abort(prepared))
    }

    /// Who can decide commits that these ends are part of.
    pub(super) fn coordinator(&self) -> Option<Arc<dyn TransactionalBackend>> {
        self.sink.transactional_backend().or_else(|| self.dead.as_ref()?.transactional_backend())
    }

    /// Claims them for this pipeline.
    pub(super) fn claim(&self, which: AcquirePhase) -> Result<()> {
        // Claimed twice is claimed once.
        let now = |coordinated: bool| which == AcquirePhase::Rest || !coordinated;
        if now(self.sink.transactional_backend().is_some()) {
            self.sink.acquire().map_err(|e| e.in_stage(&self.sink_label))?;
        }
        match &self.dead {
            Some(dead) if now(dead.transactional_backend().is_some()) => {
                dead.acquire().map_err(|e| e.in_stage("dead_letter"))
            }
            _ => Ok(()),
        }
    }

    /// Ends whatever waits in them.
    pub(super) fn give_up(&self) {
        let ended =
            [self.sink.close(Instant::now()), self.dead.as_ref().map_or(Ok(()), |dead| dead.close(Instant::now()))];
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::warn!("{error}");
        }
    }

    pub(super) fn each<'a>(
        &self,
        prepared: impl IntoIterator<Item = &'a [u8]>,
        sink: impl FnOnce(&dyn Sink, &[u8]) -> Result<()>,
        dead: impl FnOnce(&dyn DeadLetterSink, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut prepared = prepared.into_iter();
        if let Some(prepared) = prepared.next().filter(|prepared| !prepared.is_empty()) {
            sink(&*self.sink, prepared).map_err(|e| e.in_stage(&self.sink_label))?;
        }
        if let Some(prepared) = prepared.next().filter(|prepared| !prepared.is_empty()) {
            let end = self.dead.as_ref().ok_or_else(|| {
                Error::new("dead letters were prepared, and the pipeline has no [dead_letter] any more")
                    .help("put it back until this run has been settled, or start afresh with `--fresh`")
            })?;
            dead(&**end, prepared).map_err(|e| e.in_stage("dead_letter"))?;
        }
        Ok(())
    }
}

pub(super) struct Committer {
    pub(super) checkpoints: Receiver<Checkpoint>,
    pub(super) log: Arc<Mutex<CommitLog>>,
    pub(super) ends: Sinks,
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
        lost.iter().try_for_each(|checkpoint| self.ends.undo(checkpoint.apart()))?;
        if mine.is_empty() {
            return Ok(());
        }
        if let Decision::Refused { reason } = log.decide(&mine)? {
            mine.iter().try_for_each(|checkpoint| self.ends.undo(checkpoint.apart()))?;
            log.undone()?;
            let splits: BTreeSet<SplitId> = mine.iter().map(|checkpoint| Arc::clone(&checkpoint.split)).collect();
            let splits: Vec<SplitId> = splits.into_iter().collect();
            tracing::warn!("a commit of {} was refused, others read on from the last one: {reason}", splits.join(", "));
            self.metrics.retries.fetch_add(1, Ordering::Relaxed);
            self.control.refused(&splits);
            return Ok(());
        }
        mine.iter().try_for_each(|checkpoint| self.ends.finish(checkpoint.apart()))?;
        fault::step("finish.done")?;
        log.finished()?;
        drop(log);
        for checkpoint in &mine {
            self.metrics.record_checkpoint(&checkpoint.split, &checkpoint.counts);
        }
        self.metrics.record_commit(started.elapsed());
        Ok(())
    }
}
