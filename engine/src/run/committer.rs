//! Takes finished cuts, has them decided, and makes them visible.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use super::control::Control;
use super::log::{CommitLog, Cut, Decision};
use crate::error::{Error, Result};
use crate::monitor::Facts;
use crate::stage::{DeadEnd, Sink};

/// How many cuts one commit takes at most: a bound for the size of a ledger's entry or a transaction.
const CUTS_MAX: usize = 256;

/// Where output ends: the sink and, where there is one, the dead letters' end.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) sink_label: String,
    pub(super) dead: Option<Arc<dyn DeadEnd>>,
}

impl Ends {
    /// Makes what one cut prepared visible. Idempotent.
    pub(super) fn finish(&self, prepared: &[Vec<u8>]) -> Result<()> {
        self.each(prepared, |end, prepared| end.finish(prepared), |end, prepared| end.finish(prepared))
    }

    /// Removes what one cut prepared. Idempotent.
    pub(super) fn undo(&self, prepared: &[Vec<u8>]) -> Result<()> {
        self.each(prepared, |end, prepared| end.undo(prepared), |end, prepared| end.undo(prepared))
    }

    /// Claims both for this pipeline.
    pub(super) fn claim(&self) -> Result<()> {
        self.sink.claim().map_err(|e| e.in_stage(&self.sink_label))?;
        self.dead.iter().try_for_each(|dead| dead.claim()).map_err(|e| e.in_stage("dead_letter"))
    }

    /// Ends whatever waits in them.
    pub(super) fn give_up(&self) {
        let ended =
            [self.sink.close(Instant::now()), self.dead.as_ref().map_or(Ok(()), |dead| dead.close(Instant::now()))];
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::warn!("{error}");
        }
    }

    fn each(
        &self,
        prepared: &[Vec<u8>],
        sink: impl FnOnce(&dyn Sink, &[u8]) -> Result<()>,
        dead: impl FnOnce(&dyn DeadEnd, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if let Some(prepared) = prepared.first().filter(|prepared| !prepared.is_empty()) {
            sink(&*self.sink, prepared).map_err(|e| e.in_stage(&self.sink_label))?;
        }
        if let Some(prepared) = prepared.get(1).filter(|prepared| !prepared.is_empty()) {
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
    pub(super) cuts: Receiver<Cut>,
    pub(super) log: Arc<Mutex<Box<dyn CommitLog>>>,
    pub(super) ends: Ends,
    pub(super) control: Arc<Control>,
    pub(super) facts: Arc<Facts>,
}

impl Committer {
    /// Runs until every lane is gone and the channel is closed. After a failure it only empties the channel, so that
    /// no lane waits for it.
    pub(super) fn run(self) {
        while let Ok(first) = self.cuts.recv() {
            let cuts: Vec<Cut> = std::iter::once(first).chain(self.cuts.try_iter().take(CUTS_MAX - 1)).collect();
            if let Err(error) = self.commit(&cuts) {
                self.control.fail(error);
                self.control.lose_all();
            }
            for cut in &cuts {
                self.control.settled(&cut.lane, cut.epoch);
            }
        }
    }

    fn commit(&self, cuts: &[Cut]) -> Result<()> {
        let (lost, mine): (Vec<&Cut>, Vec<&Cut>) =
            cuts.iter().partition(|cut| self.control.is_lost(&cut.lane, cut.epoch));
        lost.iter().try_for_each(|cut| self.ends.undo(&cut.prepared))?;
        let mine: Vec<Cut> = mine.into_iter().cloned().collect();
        if mine.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let mut log = self.log.lock();
        match log.decide(&mine)? {
            Decision::Committed => {}
            Decision::Aborted { reason } => {
                mine.iter().try_for_each(|cut| self.ends.undo(&cut.prepared))?;
                return Err(Error::new(format!("the commit was refused: {reason}")));
            }
        }
        mine.iter().try_for_each(|cut| self.ends.finish(&cut.prepared))?;
        log.finished()?;
        drop(log);
        for cut in &mine {
            self.facts.decided(&cut.lane, &cut.counts);
        }
        self.facts.committed(started.elapsed());
        Ok(())
    }
}
