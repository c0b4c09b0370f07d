//! A commit log whose ledger file decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{Checkpoint, LastRun, RunRecord};
use super::ledger::{Entry, Ledger};
use super::log::{CommitLog, Pending};
use super::metadata_commit;
use super::reconcile::{Evidence, reconcile};
use crate::clock::Clock;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::fault;
use crate::record::{Position, SplitId};
use crate::stage::{Decision, OffsetStore, RecordedSplit, SplitState, TransactionalBackend};

/// A commit log whose ledger file decides. It commits the offsets of a consumer group afterwards.
pub(super) struct LedgerLog {
    ledger: Ledger,
    offsets: Option<Arc<dyn OffsetStore>>,
    /// The offsets that the group is told of once all output before them is visible.
    to_acknowledge: BTreeMap<SplitId, Position>,
    /// Asked to forget what it committed for an earlier run.
    backend: Option<Arc<dyn TransactionalBackend>>,
    pipeline: String,
    /// The name of the sink, for messages.
    sink: String,
    /// What ought to know of the output, for a message; nothing where instances share the splits.
    exclusive_memory: Option<String>,
    clock: Clock,
}

impl LedgerLog {
    pub(super) fn new(
        ledger: Ledger,
        pipeline: &Pipeline,
        offsets: Option<Arc<dyn OffsetStore>>,
        backend: Option<Arc<dyn TransactionalBackend>>,
        exclusive_home: Option<PathBuf>,
        clock: Clock,
    ) -> LedgerLog {
        let exclusive_memory = exclusive_home.map(|home| {
            format!("the state directory `{}` does not know of it: it was removed, or is another one", home.display())
        });
        let (to_acknowledge, sink) = (BTreeMap::new(), pipeline.sink.label.clone());
        let pipeline = pipeline.name.clone();
        LedgerLog { ledger, offsets, to_acknowledge, backend, pipeline, sink, exclusive_memory, clock }
    }

    /// An error where transactions decided earlier commits, which this run cannot see. `why` says why it has none.
    pub(super) fn check_identity(&self, why: Option<&str>) -> Result<()> {
        let Some(earlier) = &self.ledger.state().delegated_to else { return Ok(()) };
        Err(Error::config(format!(
            "commits of `{}` were decided by transactions of cluster {}, and this run has none{}",
            self.pipeline,
            earlier.cluster_id,
            why.map(|why| format!(": {why}")).unwrap_or_default()
        ))
        .help(
            "run it with `delivery = \"exactly_once\"` as before, or give the pipeline another `name`, under which it \
             begins anew",
        ))
    }
}

impl CommitLog for LedgerLog {
    fn cluster_id(&self) -> Option<&str> {
        None
    }

    fn last_run(&self) -> Result<Option<LastRun>> {
        Ok(self.ledger.state().last_run())
    }

    fn last_fitted(&self, slot: &Path) -> Result<Vec<Option<Vec<u8>>>> {
        Ledger::fitted_in(slot)
    }

    fn begin(&mut self, record: RunRecord, restart: bool) -> Result<()> {
        fault::step("begin.before")?;
        if self.ledger.state().delegated_to.is_some() {
            self.ledger.append(Entry::DelegatedTo(None))?;
        }
        self.ledger.append(Entry::Begin { record, restart })
    }

    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        Ok(self.ledger.state().recorded_splits())
    }

    fn split_states(&mut self, ids: &[SplitId], visible: &[Option<u64>]) -> Result<Vec<Option<SplitState>>> {
        let committed = match &self.offsets {
            Some(offsets) => offsets.committed(ids)?,
            None => vec![None; ids.len()],
        };
        let mut states = Vec::with_capacity(ids.len());
        for ((id, committed), visible) in ids.iter().zip(committed).zip(visible) {
            let evidence = Evidence {
                ledger: self.ledger.state().splits.get(&**id),
                has_group: self.offsets.is_some(),
                committed: (committed, committed),
                visible: *visible,
                exclusive_memory: self.exclusive_memory.as_deref(),
                sink: &self.sink,
                ..Evidence::default()
            };
            let reconciled = reconcile(id, &evidence)?;
            reconciled.warning.iter().for_each(|warning| tracing::warn!("{warning}"));
            states.push(reconciled.start);
        }
        Ok(states)
    }

    fn decide(&mut self, checkpoints: &[Checkpoint]) -> Result<Decision> {
        fault::step("decide.before")?;
        self.ledger.append(Entry::Committed(Entry::checkpoints(checkpoints, self.clock.unix_ms())))?;
        fault::step("decide.after")?;
        // Checkpoints of a split come in order, so the last one counts.
        let ends = checkpoints.iter().map(|checkpoint| (Arc::clone(&checkpoint.split), checkpoint.range.to));
        self.to_acknowledge.extend(ends);
        Ok(Decision::Committed)
    }

    fn on_visible(&mut self) -> Result<()> {
        if self.ledger.has_pending() {
            self.ledger.append(Entry::Visible)?;
        }
        // Only now is the group told: whoever goes on from its offsets, without this ledger, finds all output before them.
        let ends = std::mem::take(&mut self.to_acknowledge);
        let Some(offsets) = self.offsets.as_ref().filter(|_| !ends.is_empty()) else { return Ok(()) };
        let ends: Vec<(SplitId, Position)> = ends.into_iter().collect();
        if !offsets.commit(&ends)? {
            return Ok(());
        }
        let acknowledged = ends.into_iter().map(|(split, end)| (split.to_string(), end.offset)).collect();
        self.ledger.append(Entry::Acknowledged(acknowledged))
    }

    fn on_aborted(&mut self) -> Result<()> {
        if self.ledger.state().in_doubt.is_some() { self.ledger.append(Entry::Aborted) } else { Ok(()) }
    }

    fn complete(&mut self) -> Result<()> {
        fault::step("done.before")?;
        self.ledger.append(Entry::Completed)?;
        fault::step("done.after")
    }

    fn reset(&mut self) -> Result<()> {
        // A later run would believe what an earlier one recorded with transactions.
        if let Some(backend) = self.backend.as_deref().filter(|_| self.ledger.state().delegated_to.is_some()) {
            metadata_commit::reset(backend, &self.pipeline)?;
        }
        self.ledger.append(Entry::Reset)
    }

    fn pending(&mut self) -> Result<Pending> {
        let (staged, _) = Pending::of(&self.ledger);
        Ok(Pending { staged, committed: true })
    }

    fn pending_of(&mut self, orphan: &Ledger) -> Result<Option<Pending>> {
        let (staged, in_doubt) = Pending::of(orphan);
        // Only the transactions know.
        Ok(in_doubt.is_none().then_some(Pending { staged, committed: true }))
    }
}
