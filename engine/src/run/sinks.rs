//! The sinks of a run: that of the records and, where there is one, that of the dead letters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::guard;
use crate::error::{Error, Result};
use crate::record::{Batch, SplitId};
use crate::stage::{
    Acquire, DeadLetterSink, DeadLetters, Destination, Orphans, Prepared, Sink, TransactionalBackend, TwoPhaseCommit,
    Writer,
};

/// What messages call the sink of the dead letters.
pub(super) const DEAD_LETTER: &str = "dead_letter";

/// The output that a checkpoint staged, as bytes that the sinks wrote. Empty where a sink staged nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Of the sink of the records.
    pub(super) records: Vec<u8>,
    /// Of the sink of the dead letters.
    pub(super) dead_letters: Vec<u8>,
}

impl Staged {
    /// Whether nothing was staged.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.dead_letters.is_empty()
    }
}

/// What the sinks prepared for a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) records: Prepared,
    pub(super) dead_letters: Prepared,
}

impl Output {
    /// The staged part.
    pub(super) fn staged(&self) -> Staged {
        Staged { records: self.records.staged().to_vec(), dead_letters: self.dead_letters.staged().to_vec() }
    }

    /// Both parts.
    pub(super) fn each(&self) -> [&Prepared; 2] {
        [&self.records, &self.dead_letters]
    }
}

/// Which outputs to acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AcquirePhase {
    /// Those without a transactional backend: nobody waits for a broker.
    WithoutBackend,
    /// All. What was acquired before stays acquired.
    All,
}

/// The sinks of a run.
#[derive(Clone)]
pub(super) struct Sinks {
    records: Arc<dyn Sink>,
    label: String,
    dead_letters: Option<Arc<DeadLetterSink>>,
}

/// The parts of a sink that do not depend on its rows.
struct Parts<'a> {
    label: &'a str,
    /// Picks this sink's part of what a checkpoint staged.
    staged: fn(&Staged) -> &Vec<u8>,
    two_phase_commit: Option<&'a dyn TwoPhaseCommit>,
    orphans: Option<&'a dyn Orphans>,
    acquire: Option<&'a dyn Acquire>,
    has_backend: bool,
}

impl<'a> Parts<'a> {
    fn of<T>(sink: &'a dyn Sink<T>, label: &'a str, staged: fn(&Staged) -> &Vec<u8>) -> Parts<'a> {
        Parts {
            label,
            staged,
            two_phase_commit: sink.two_phase_commit(),
            orphans: sink.orphans(),
            acquire: sink.acquire(),
            has_backend: sink.transactional_backend().is_some(),
        }
    }

    fn two_phase_commit(&self) -> Result<&'a dyn TwoPhaseCommit> {
        self.two_phase_commit.ok_or_else(|| Error::bug("output was staged by a sink without a two-phase commit"))
    }
}

impl Sinks {
    pub(super) fn new(
        records: Arc<dyn Sink>,
        label: String,
        dead_letters: Option<Arc<DeadLetterSink>>,
    ) -> Result<Sinks> {
        let canonical = |destination: Option<Destination>| destination.map(|destination| destination.canonical);
        let letters = dead_letters.as_ref().and_then(|dead_letters| canonical(dead_letters.destination()));
        if let (Some(records), Some(letters)) = (canonical(records.destination()), letters)
            && records == letters
        {
            return Err(Error::config(format!("records and dead letters would both go to {records}"))
                .in_stage(DEAD_LETTER)
                .help("give the `[dead_letter]` another `dir` or `prefix`"));
        }
        Ok(Sinks { records, label, dead_letters })
    }

    fn parts(&self) -> impl Iterator<Item = Parts<'_>> {
        let records = Parts::of(&*self.records, &self.label, |staged| &staged.records);
        let dead_letters = self.dead_letters.as_deref();
        let dead_letters = dead_letters.map(|sink| Parts::of(sink, DEAD_LETTER, |staged| &staged.dead_letters));
        std::iter::once(records).chain(dead_letters)
    }

    /// Acts on each sink that staged something.
    fn each_staged(&self, staged: &Staged, act: impl Fn(&Parts<'_>, &[u8]) -> Result<()>) -> Result<()> {
        if !staged.dead_letters.is_empty() && self.dead_letters.is_none() {
            return Err(Error::new("dead letters were staged, and the pipeline has no [dead_letter] any more")
                .help("put it back until this run has been recovered, or start from the beginning with `--fresh`"));
        }
        for parts in self.parts() {
            let staged = (parts.staged)(staged);
            if !staged.is_empty() {
                guard::call(parts.label, || act(&parts, staged))?;
            }
        }
        Ok(())
    }

    /// Makes the staged output of a checkpoint visible, the records first. Idempotent.
    pub(super) fn commit(&self, staged: &Staged) -> Result<()> {
        self.each_staged(staged, |parts, staged| parts.two_phase_commit()?.commit(staged))
    }

    /// Removes the staged output of a checkpoint. Idempotent.
    pub(super) fn abort(&self, staged: &Staged) -> Result<()> {
        self.each_staged(staged, |parts, staged| parts.two_phase_commit()?.abort(staged))
    }

    /// Whether the staged output of a checkpoint is where it can be committed.
    pub(super) fn is_staged(&self, staged: &Staged) -> Result<bool> {
        let found = std::cell::Cell::new(true);
        self.each_staged(staged, |parts, staged| {
            if let Some(orphans) = parts.orphans {
                found.set(found.get() && orphans.is_staged(staged)?);
            }
            Ok(())
        })?;
        Ok(found.get())
    }

    /// The backend whose transactions can commit the output.
    pub(super) fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        self.records.transactional_backend().or_else(|| self.dead_letters.as_ref()?.transactional_backend())
    }

    /// Claims the outputs for this pipeline. To claim one twice is to claim it once.
    pub(super) fn acquire(&self, phase: AcquirePhase) -> Result<()> {
        for parts in self.parts().filter(|parts| phase == AcquirePhase::All || !parts.has_backend) {
            parts.acquire.map_or(Ok(()), Acquire::acquire).map_err(|e| e.in_stage(parts.label))?;
        }
        Ok(())
    }

    /// Removes the output that this pipeline wrote.
    pub(super) fn reset(&self) -> Result<()> {
        for parts in self.parts() {
            parts.acquire.map_or(Ok(()), Acquire::reset).map_err(|e| e.in_stage(parts.label))?;
        }
        Ok(())
    }

    /// The processes that left staged output and run no more.
    pub(super) fn orphaned_writers(&self) -> Result<BTreeSet<Arc<str>>> {
        let mut writers = BTreeSet::new();
        for Parts { label, orphans, .. } in self.parts() {
            if let Some(orphans) = orphans {
                writers.extend(orphans.orphaned_writers().map_err(|e| e.in_stage(label))?);
            }
        }
        Ok(writers)
    }

    /// Removes the staged output of processes that run no more, except the committed.
    pub(super) fn remove_orphans(&self, writers: &[Arc<str>], committed: &[Staged]) -> Result<()> {
        for Parts { label, orphans, staged, .. } in self.parts() {
            let committed: Vec<Vec<u8>> = committed.iter().map(|all| staged(all).clone()).collect();
            let removed = orphans.map_or(Ok(()), |orphans| orphans.remove_orphans(writers, &committed));
            removed.map_err(|e| e.in_stage(label))?;
        }
        Ok(())
    }

    /// Where the records go.
    pub(super) fn destination(&self) -> Option<Destination> {
        self.records.destination()
    }

    /// The cluster that the records go to.
    pub(super) fn cluster_id(&self) -> Result<Option<String>> {
        self.records.acquire().map_or(Ok(None), Acquire::cluster_id).map_err(|e| e.in_stage(&self.label))
    }

    /// Whether no records of this pipeline are there.
    pub(super) fn is_unclaimed(&self) -> Result<bool> {
        self.records.acquire().map_or(Ok(false), Acquire::is_unclaimed).map_err(|e| e.in_stage(&self.label))
    }

    /// The ends of the visible records of splits.
    pub(super) fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        let offsets = self.records.committed_offsets();
        let offsets = offsets.map_or_else(|| Ok(vec![None; splits.len()]), |offsets| offsets.committed_offsets(splits));
        offsets.map_err(|e| e.in_stage(&self.label))
    }

    /// Tells the sinks which run of the pipeline begins.
    pub(super) fn on_run_start(&self, run: u64) {
        self.records.on_run_start(run);
        self.dead_letters.iter().for_each(|sink| sink.on_run_start(run));
    }

    /// Opens the writers of a split.
    pub(super) fn open(&self, split: &SplitId, epoch: u64) -> Result<Writers> {
        let records = guard::call(&self.label, || self.records.open(split, epoch))?;
        let dead_letters = self.dead_letters.as_ref();
        let dead_letters = dead_letters.map(|sink| guard::call(DEAD_LETTER, || sink.open(split, epoch))).transpose()?;
        Ok(Writers { records, dead_letters })
    }

    /// Waits until everything is out, until the instant at the latest. The first error counts.
    pub(super) fn close(&self, until: Instant) -> Result<()> {
        let records = self.records.close(until).map_err(|e| e.in_stage(&self.label));
        let dead_letters = self.dead_letters.as_ref().map_or(Ok(()), |sink| sink.close(until));
        records.and(dead_letters.map_err(|e| e.in_stage(DEAD_LETTER)))
    }
}

/// The writers of a split.
pub(super) struct Writers {
    pub(super) records: Box<dyn Writer<Batch>>,
    pub(super) dead_letters: Option<Box<dyn Writer<DeadLetters>>>,
}

impl Writers {
    /// Whether so much waits in one of them that a checkpoint is due.
    pub(super) fn is_full(&self) -> bool {
        self.records.is_full() || self.dead_letters.as_ref().is_some_and(|writer| writer.is_full())
    }
}
