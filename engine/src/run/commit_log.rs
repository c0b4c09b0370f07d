//! Who decides a commit: a ledger file, or a transaction outside this process where an end can be part of one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, LastRun, RunRecord};
use super::instance::Instance;
use super::ledger::{DelegatedTo, Entry, Ledger, SplitStatus, State as LedgerState};
use super::metadata::{self, DecidedNote, RunNote};
use super::replay::REPLAY;
use super::sinks::Staged;
use super::transactional_log::{TransactionalLog, last_run};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::fault;
use crate::record::{Position, SplitId};
use crate::stage::{Decision, Delivery, OffsetStore, OpenOutcome, RecordedSplit, SplitState, TransactionalBackend};

/// The commit log of a run.
pub(super) struct CommitLog {
    ledger: Ledger,
    /// Positions that the source keeps itself.
    source: Option<Arc<dyn OffsetStore>>,
    outside: Option<TransactionalLog>,
    /// What the source is to be told of once all output before it is visible.
    to_tell: BTreeMap<SplitId, Position>,
    /// Why a coordinator that was asked cannot decide.
    unable: Option<String>,
}

/// How a log is opened.
#[derive(Clone, Copy)]
pub(super) struct OpenOptions {
    /// What was decided before is to be forgotten.
    pub(super) fresh: bool,
    /// Only one process may run the pipeline.
    pub(super) alone: bool,
    /// It is for dead letters that are sent through once more.
    pub(super) replay: bool,
}

impl CommitLog {
    /// Opens the log: that of a coordinator where the pipeline is to be exactly-once and there is one that can.
    pub(super) fn open(
        instance: &Instance,
        pipeline: &Pipeline,
        coordinator: Option<&dyn TransactionalBackend>,
        source: Option<Arc<dyn OffsetStore>>,
        how: OpenOptions,
    ) -> Result<CommitLog> {
        let path = instance.dir.join("ledger");
        let ledger = match Ledger::open(&path) {
            // What cannot be read need not be: it is forgotten.
            Err(error) if how.fresh => {
                tracing::warn!("{error}");
                Ledger::anew(&path)?
            }
            opened => opened?,
        };
        let (outside, unable) = match coordinator.filter(|_| pipeline.delivery == Delivery::ExactlyOnce) {
            Some(coordinator) => {
                let keeper = source.as_ref().map(|source| source.group()).unwrap_or_default();
                TransactionalLog::open(coordinator, pipeline, instance, keeper, how)?
            }
            None => (None, None),
        };
        let mut log = CommitLog { ledger, source, outside, to_tell: BTreeMap::new(), unable };
        if let (Some(outside), Some(id)) = (&mut log.outside, log.ledger.state().spent) {
            outside.spent.extend(outside.was_decided(id).then_some(id));
        }
        if !how.fresh {
            log.check_identity(pipeline)?;
        }
        Ok(log)
    }

    /// The last run of a pipeline that runs alone, as far as a coordinator knows of it: looked at before this process takes
    /// its place, for it may turn out that it has nothing to do here.
    pub(super) fn look(coordinator: &dyn TransactionalBackend, pipeline: &Pipeline) -> Result<Option<LastRun>> {
        let Some((_, notes)) = coordinator.peek(&pipeline.name)? else { return Ok(None) };
        last_run(&notes, "", true)
    }

    /// What transforms learned from the whole input in the pipeline's last run, for a replay, which has no such input.
    pub(super) fn surveys(&self, slot: &Path) -> Result<Vec<Option<Vec<u8>>>> {
        if let Some(outside) = &self.outside
            && let Some(RunNote { begin, .. }) =
                metadata::find(outside.transactions.metadata(), &metadata::run_key(""))?
        {
            return Ok(begin.surveys);
        }
        let ledger = slot.join("ledger");
        let begin = if ledger.exists() { Ledger::look(&ledger)?.begin } else { None };
        Ok(begin.map(|begin| begin.surveys).unwrap_or_default())
    }

    /// What readers of the output see, and who decides that.
    pub(super) fn say_delivery(&self, pipeline: &Pipeline) -> Delivery {
        match (&self.outside, &self.unable) {
            (Some(outside), _) => {
                tracing::info!("delivery {}: {} decides", pipeline.delivery, outside.transactions.name());
                pipeline.delivery
            }
            (None, Some(reason)) => {
                tracing::warn!("delivery {}: {reason}", Delivery::AtLeastOnce);
                Delivery::AtLeastOnce
            }
            (None, None) => {
                tracing::info!("delivery {}: a ledger file decides", pipeline.delivery);
                pipeline.delivery
            }
        }
    }

    /// Positions are believed only where they were noted.
    fn check_identity(&mut self, pipeline: &Pipeline) -> Result<()> {
        let state = self.ledger.state();
        let Some(elsewhere) = state.elsewhere.clone() else { return Ok(()) };
        let name = &pipeline.name;
        let Some(outside) = &mut self.outside else {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by transactions of cluster {}, and this run has none{}",
                elsewhere.place,
                self.unable.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
            ))
            .help(
                "run it with `delivery = \"exactly_once\"` as before, or give the pipeline another `name`, under which it \
                 begins anew",
            ));
        };
        let now = outside.transactions.cluster_id().to_owned();
        if elsewhere.place != now {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {}, and these brokers are cluster {now}",
                elsewhere.place
            ))
            .help("look at `brokers`, or start from the beginning with `--fresh`"));
        }
        let notes = outside.transactions.metadata();
        // That of a writer is forgotten where many others committed later.
        if !notes.keys().any(|key| key.starts_with(&metadata::run_key(""))) && !notes.contains_key(metadata::FORGOTTEN)
        {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {now}, and nothing is noted of them there: was the topic of \
                 commits deleted?"
            ))
            .help("`--fresh` starts from the beginning"));
        }
        Ok(())
    }

    /// How many records processes of this pipeline have written so far, as far as transactions note it.
    pub(super) fn written_by_all(&self) -> Result<u64> {
        self.outside.as_ref().map_or(Ok(0), TransactionalLog::written_by_all)
    }

    /// Whether this state directory has no memory, and the transactions have.
    pub(super) fn is_new_here(&self) -> bool {
        let knows_runs = |outside: &TransactionalLog| {
            outside
                .transactions
                .metadata()
                .keys()
                .any(|key| key.starts_with(&metadata::run_key("")) && *key != metadata::run_key(REPLAY))
        };
        *self.ledger.state() == LedgerState::default() && self.outside.as_ref().is_some_and(knows_runs)
    }

    /// The last run of this instance.
    pub(super) fn last_run(&mut self) -> Result<Option<LastRun>> {
        if let Some(outside) = &mut self.outside
            && let Some(last) = outside.last_run()?
        {
            return Ok(Some(last));
        }
        let state = self.ledger.state();
        if self.outside.is_some() && state.elsewhere.is_some() {
            return Ok(None);
        }
        let begun = state.begin.clone();
        let (done, counts) = (state.done, state.counts.clone());
        let splits = state.splits.iter().map(|(id, split)| split.noted(id)).collect();
        Ok(begun.map(|begin| LastRun { begin, done, counts, splits }))
    }

    /// A run begins. `anew` forgets the positions of the run before it.
    pub(super) fn begin(&mut self, begin: RunRecord, anew: bool) -> Result<()> {
        fault::step("begin.before")?;
        let Some(outside) = &mut self.outside else {
            if self.ledger.state().elsewhere.is_some() {
                self.ledger.append(Entry::DelegatedTo(None))?;
            }
            return self.ledger.append(Entry::Begin { begin, anew });
        };
        // What a ledger decided before there was a coordinator is noted there, once.
        let ledger = self.ledger.state();
        let known: Vec<(String, SplitStatus)> = if ledger.elsewhere.is_none() && !anew {
            ledger.splits.iter().map(|(id, split)| (id.clone(), split.clone())).collect()
        } else {
            Vec::new()
        };
        let elsewhere =
            DelegatedTo { place: outside.transactions.cluster_id().to_owned(), writer: outside.writer.clone() };
        outside.begin(begin, anew, known)?;
        fault::step("begin.after")?;
        if ledger.elsewhere.as_ref() != Some(&elsewhere) {
            self.ledger.append(Entry::DelegatedTo(Some(elsewhere)))?;
        }
        Ok(())
    }

    /// The splits of the run that goes on, of a pipeline that runs alone.
    pub(super) fn noted(&self) -> Result<Vec<RecordedSplit>> {
        if let Some(outside) = &self.outside {
            return outside.noted();
        }
        Ok(self.ledger.state().splits.iter().map(|(id, split)| split.noted(id)).collect())
    }

    /// Where splits go on.
    pub(super) fn starts(&mut self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        // First where the source's own positions are: that waits until every transaction about them is decided, and
        // then the notes have what belongs to them.
        let noted = match &self.source {
            Some(source) => source.committed(ids)?,
            None => vec![None; ids.len()],
        };
        match &mut self.outside {
            Some(outside) => {
                outside.refresh()?;
                // A process that is frozen between the two questions finds that others went on. They are asked once more
                // then: what lies between both answers was committed in order.
                let later = match &self.source {
                    Some(source) if outside.is_beyond(ids, &noted)? => source.committed(ids)?,
                    _ => noted.clone(),
                };
                let noted: Vec<_> = noted.into_iter().zip(later).collect();
                outside.starts(ids, &noted, self.source.is_some())
            }
            None => {
                let splits = &self.ledger.state().splits;
                Ok(ids.iter().zip(noted).map(|(id, noted)| merge(splits.get(&**id), noted)).collect())
            }
        }
    }

    /// Where a split stood at the end of this instance's last checkpoint as its ledger has it, and whether that ledger only goes
    /// along with a coordinator.
    pub(super) fn own_start(&self, id: &SplitId) -> (bool, Option<SplitState>) {
        (self.outside.is_some(), self.ledger.state().splits.get(&**id).map(|split| split.start.clone()))
    }

    /// Whether the source's own position was moved back to where a split starts.
    pub(super) fn is_moved_back(&self, id: &SplitId, start: Option<&SplitState>) -> bool {
        let told = self.ledger.state().splits.get(&**id).and_then(|split| split.told);
        self.outside.is_none() && start.is_some_and(|start| told.is_some_and(|told| start.position.offset < told))
    }

    /// The one act that makes cuts true.
    ///
    /// An error says that it is not known whether they are: the pipeline ends, and the next start finds out.
    pub(super) fn decide(&mut self, checkpoints: &[Checkpoint]) -> Result<Decision> {
        let Some(outside) = &mut self.outside else {
            fault::step("decide.before")?;
            self.ledger.append(Entry::Cuts(Entry::checkpoints(checkpoints)))?;
            fault::step("decide.after")?;
            // Checkpoints of a split come in order, so the last one counts.
            self.to_tell
                .extend(checkpoints.iter().map(|checkpoint| (Arc::clone(&checkpoint.split), checkpoint.span.to)));
            return Ok(Decision::Committed);
        };
        let id = rand::random();
        let beside = checkpoints.iter().any(|checkpoint| !checkpoint.output.staged().is_empty());
        if beside {
            self.ledger.append(Entry::Doubt { id, checkpoints: Entry::checkpoints(checkpoints) })?;
        }
        fault::step("decide.before")?;
        let decision = outside.decide(id, checkpoints, beside)?;
        fault::step("decide.after")?;
        Ok(decision)
    }

    /// Everything decided so far is visible. Only now is the source told of it: whoever goes on from the source's own
    /// positions, without this ledger, finds all output before them.
    pub(super) fn finished(&mut self) -> Result<()> {
        self.note_finished()?;
        let ends = std::mem::take(&mut self.to_tell);
        match &self.source {
            Some(source) if !ends.is_empty() => {
                let ends: Vec<(SplitId, Position)> = ends.into_iter().collect();
                if !source.commit(&ends)? {
                    return Ok(());
                }
                let told = ends.into_iter().map(|(split, end)| (split.to_string(), end.offset)).collect();
                self.ledger.append(Entry::Told(told))
            }
            _ => Ok(()),
        }
    }

    fn note_finished(&mut self) -> Result<()> {
        let state = self.ledger.state();
        if state.unfinished.is_empty() && state.doubt.is_none() {
            return Ok(());
        }
        let id = state.doubt.as_ref().map(|(id, _)| *id);
        self.ledger.append(Entry::Finished)?;
        if let Some(outside) = &mut self.outside {
            outside.spent.extend(id);
        }
        Ok(())
    }

    /// What was refused is gone.
    pub(super) fn undone(&mut self) -> Result<()> {
        if self.ledger.state().doubt.is_some() { self.ledger.append(Entry::Undone) } else { Ok(()) }
    }

    /// What this instance prepared and is not known to be visible or gone.
    pub(super) fn unsettled(&mut self) -> Result<PendingCommit> {
        let (checkpoints, doubt) = unsettled(&self.ledger);
        let decided = match (&mut self.outside, doubt) {
            (Some(outside), Some(id)) => {
                // It may have been called otherwise then.
                let then = self.ledger.state().elsewhere.as_ref();
                if let Some(then) = then.filter(|then| then.writer != outside.writer) {
                    outside.transactions.recover_writer(&then.writer)?;
                }
                outside.was_decided(id)
            }
            _ => true,
        };
        Ok(PendingCommit { staged: checkpoints, decided })
    }

    /// The same for the ledger of an instance that died; `None` where nobody can say whether it was decided.
    pub(super) fn unsettled_of(&mut self, orphan: &Ledger) -> Result<Option<PendingCommit>> {
        let (checkpoints, doubt) = unsettled(orphan);
        let Some(id) = doubt else { return Ok(Some(PendingCommit { staged: checkpoints, decided: true })) };
        match (&mut self.outside, &orphan.state().elsewhere) {
            (Some(outside), Some(elsewhere)) if elsewhere.place == outside.transactions.cluster_id() => {
                // To settle one's own name would end what this process is doing.
                if elsewhere.writer != outside.writer {
                    outside.transactions.recover_writer(&elsewhere.writer)?;
                }
                Ok(Some(PendingCommit { staged: checkpoints, decided: outside.was_decided(id) }))
            }
            _ => Ok(None),
        }
    }

    /// Output of this process or of another one, of which it was known that it is visible, need not be noted any more.
    pub(super) fn is_visible(&mut self, ids: impl IntoIterator<Item = u64>) {
        if let Some(outside) = &mut self.outside {
            let known: Vec<u64> = ids.into_iter().filter(|id| outside.was_decided(*id)).collect();
            outside.spent.extend(known);
        }
    }

    /// Whether something need not be noted any more.
    pub(super) fn is_to_flush(&self) -> bool {
        self.outside.as_ref().is_some_and(TransactionalLog::is_to_flush)
    }

    /// Takes away what need not be noted any more.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.outside.as_mut().map_or(Ok(()), TransactionalLog::flush)
    }

    /// What transactions decided of which nobody said yet that it is visible; nothing where a ledger decides.
    pub(super) fn decided(&self) -> Result<Vec<(u64, DecidedNote)>> {
        self.outside.as_ref().map_or(Ok(Vec::new()), TransactionalLog::decided)
    }

    /// Whether it can be found out what was decided of processes whose ledger is not here.
    pub(super) fn knows_others(&self) -> bool {
        self.outside.is_some()
    }

    /// Settles what a process left undecided that has ended, by the name of its hidden output.
    pub(super) fn settle_writer(&mut self, output: &str) -> Result<()> {
        self.outside.as_mut().map_or(Ok(()), |outside| outside.settle_writer(output))
    }

    /// The input has ended.
    pub(super) fn done(&mut self) -> Result<()> {
        fault::step("done.before")?;
        match &mut self.outside {
            Some(outside) => outside.done()?,
            None => self.ledger.append(Entry::Done)?,
        }
        fault::step("done.after")
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self, pipeline: &Pipeline, coordinator: Option<&dyn TransactionalBackend>) -> Result<()> {
        match (&mut self.outside, coordinator) {
            (Some(outside), _) => outside.forget()?,
            // What an earlier run noted with a coordinator would be believed by a later one.
            (None, Some(coordinator)) if self.ledger.state().elsewhere.is_some() => {
                match coordinator.open(&pipeline.name, REPLAY)? {
                    OpenOutcome::Open(transactions) => {
                        TransactionalLog::of(
                            transactions,
                            (REPLAY.to_owned(), REPLAY.to_owned()),
                            true,
                            String::new(),
                            String::new(),
                        )
                        .forget()?;
                    }
                    OpenOutcome::Unsupported(reason) => {
                        return Err(Error::config(format!("what transactions noted cannot be forgotten: {reason}")).help(
                            "run `--fresh` where it can be, or remove the state directory: then the notes stay, and count \
                             once there are transactions again",
                        ));
                    }
                }
            }
            (None, _) => {}
        }
        self.ledger.append(Entry::Forget)
    }
}

/// What was prepared and is not known to be visible or gone.
pub(super) struct PendingCommit {
    /// What each checkpoint staged.
    pub(super) staged: Vec<Staged>,
    /// Whether they were decided.
    pub(super) decided: bool,
}

/// What a ledger has prepared that is not settled, and the transaction that was to decide it.
fn unsettled(ledger: &Ledger) -> (Vec<Staged>, Option<u64>) {
    let state = ledger.state();
    match &state.doubt {
        Some((id, checkpoints)) => {
            (checkpoints.iter().map(|checkpoint| checkpoint.staged.clone()).collect(), Some(*id))
        }
        None => (state.unfinished.clone(), None),
    }
}

/// The further of the two, unless somebody moved the source's back since it was told of the split's. Another member may have taken the split on from here: its position is then the source's,
/// and the state that is kept here no longer belongs to it.
fn merge(split: Option<&SplitStatus>, noted: Option<u64>) -> Option<SplitState> {
    match (split, noted) {
        (Some(split), Some(noted)) if split.told.is_some_and(|told| noted < told) => {
            tracing::warn!(
                "the group's offset was moved back from {} to {noted}: going on there. The transforms begin without what \
                 they knew then",
                split.start.position.offset
            );
            Some(SplitState { position: Position { offset: noted, records: 0 }, ..SplitState::default() })
        }
        (Some(split), Some(noted)) if noted > split.start.position.offset => {
            tracing::warn!(
                "another member read on from {} to {noted}: what the transforms knew then is not known here",
                split.start.position.offset
            );
            Some(SplitState {
                position: Position { offset: noted, records: split.start.position.records },
                ..SplitState::default()
            })
        }
        (Some(split), _) => Some(split.start.clone()),
        (None, Some(noted)) => {
            Some(SplitState { position: Position { offset: noted, records: 0 }, ..SplitState::default() })
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> SplitStatus {
        let start =
            SplitState { position: Position { offset: position, records: 3 }, sequence: 0, state: vec![vec![1]] };
        SplitStatus { start, held: 0, ended: false, told: None, time_ms: 0 }
    }

    #[test]
    fn a_split_goes_on_at_the_further_of_both_positions_and_keeps_its_state_only_where_it_fits() {
        assert_eq!(merge(None, None), None);
        assert_eq!(merge(Some(&at(5)), None), Some(at(5).start));
        assert_eq!(merge(Some(&at(5)), Some(4)), Some(at(5).start), "a crash came before the group was told");
        assert_eq!(merge(Some(&at(5)), Some(5)), Some(at(5).start));
        let told = |told| SplitStatus { told: Some(told), ..at(5) };
        assert_eq!(merge(Some(&told(4)), Some(4)), Some(at(5).start), "it was told of an earlier one only");
        let back = merge(Some(&told(5)), Some(4)).expect("starts");
        assert_eq!((back.position.offset, back.state.len()), (4, 0), "somebody moved it back");
        let ahead = merge(Some(&at(5)), Some(9)).expect("starts");
        assert_eq!((ahead.position.offset, ahead.state.len()), (9, 0));
    }
}
