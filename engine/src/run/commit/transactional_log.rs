//! A commit log whose transactions decide, with a ledger beside it for staged output.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, LastRun, RunRecord};
use super::key::Key;
use super::ledger::{CheckpointEntry, DelegatedTo, Entry, Ledger, State as LedgerState, changes_of_each_split};
use super::log::{CommitLog, History, OpenOptions, Pending};
use super::metadata::{self, Change, ProgressValue, RunValue, SplitValue, StagedValue};
use super::metadata_commit::{commit_metadata, reset_metadata};
use super::reconcile::{Evidence, reconcile};
use super::split_change::SplitChange;
use crate::clock::Clock;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::fault;
use crate::metrics::Counts;
use crate::record::SplitId;
use crate::run::instance::Instance;
use crate::run::replay::REPLAY;
use crate::stage::{
    CommitMetadata, Decision, OffsetStore, Prepared, RecordedSplit, SplitState, Transaction, TransactionLog,
    TransactionalBackend, TransactionalOutput,
};

/// How many other instances of a pipeline are remembered: each lost state directory leaves one, and no pipeline has so
/// many that run.
const OTHER_WRITERS_MAX: usize = 100;

/// What ought to know of the output of an exclusive pipeline, for a message.
const TOPIC_MEMORY: &str = "the topic of commits does not know of it: it was deleted, or is another one";

/// A commit log whose transactions decide.
///
/// Output that lies beside a transaction is recorded in the ledger first, with the transaction's id. The transaction writes
/// metadata of that id with the staged output: the metadata says that it was committed, and lets whoever comes next make it
/// visible. A later transaction deletes that metadata once it is.
pub(super) struct TransactionalLog {
    ledger: Ledger,
    offsets: Option<Arc<dyn OffsetStore>>,
    transactions: Box<dyn TransactionLog>,
    /// The name of this process among those that commit.
    writer: String,
    /// The name of this process in staged output.
    output: String,
    /// Whether one process runs the pipeline alone, so that splits belong to a run of it.
    exclusive: bool,
    run: u64,
    group: String,
    /// The name of the sink, for messages.
    sink: String,
    counts: Counts,
    /// Transactions whose staged output is all visible.
    acknowledged: Vec<u64>,
    clock: Clock,
}

impl TransactionalLog {
    pub(super) fn open(
        transactions: Box<dyn TransactionLog>,
        ledger: Ledger,
        instance: &Instance,
        pipeline: &Pipeline,
        offsets: Option<Arc<dyn OffsetStore>>,
        clock: &Clock,
        options: OpenOptions,
    ) -> Result<TransactionalLog> {
        let mut log = TransactionalLog {
            group: offsets.as_ref().map(|offsets| offsets.group()).unwrap_or_default(),
            offsets,
            writer: instance.writer.clone(),
            output: instance.output.to_string(),
            exclusive: options.exclusive,
            sink: pipeline.sink.label.clone(),
            run: 0,
            counts: Counts::default(),
            acknowledged: Vec::new(),
            clock: clock.clone(),
            ledger,
            transactions,
        };
        if let Some(id) = log.ledger.state().visible {
            log.acknowledge(&[id]);
        }
        if !options.fresh {
            log.check_identity(&pipeline.name)?;
        }
        Ok(log)
    }

    /// Positions are believed only where they were recorded.
    fn check_identity(&self, name: &str) -> Result<()> {
        let metadata = self.transactions.metadata();
        if let Some(unknown) = metadata.keys().find(|key| key.parse::<Key>().is_err()) {
            return Err(Error::new(format!(
                "the commit metadata of `{name}` has a key `{unknown}` of another version of aqpipe"
            ))
            .help("run it with that version, or start from the beginning with `--fresh`, which deletes the metadata"));
        }
        let Some(earlier) = &self.ledger.state().delegated_to else { return Ok(()) };
        let now = self.transactions.cluster_id();
        if earlier.cluster_id != now {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {}, and these brokers are cluster {now}",
                earlier.cluster_id
            ))
            .help("look at `brokers`, or start from the beginning with `--fresh`"));
        }
        // That of a writer is forgotten where many others committed later.
        if !metadata::keys(metadata).any(|key| matches!(key, Key::Run { .. } | Key::Reset)) {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {now}, and nothing is recorded of them there: was the topic of \
                 commits deleted?"
            ))
            .help("`--fresh` starts from the beginning"));
        }
        Ok(())
    }

    fn was_committed(&self, id: u64) -> bool {
        self.transactions.metadata().contains_key(&Key::Staged { id }.to_string())
    }

    /// The last value of a split in this run, without the entries of its transforms.
    fn split_value(&self, id: &str) -> Result<Option<SplitValue>> {
        let value = metadata::get::<SplitValue>(self.transactions.metadata(), &self.split_key(id))?;
        Ok(value.filter(|value| !self.exclusive || value.run == self.run))
    }

    /// The same with them.
    fn whole_split_value(&self, id: &str) -> Result<Option<SplitValue>> {
        let state = |value: &SplitValue| metadata::split_state(self.transactions.metadata(), &self.group, value);
        Ok(self.split_value(id)?.map(|value| SplitValue { state: state(&value), ..value }))
    }

    fn split_key(&self, id: &str) -> Key {
        Key::Split { group: self.group.clone(), split: id.to_owned() }
    }

    /// Whether the last commit of any split is beyond the offset that the group had.
    fn is_beyond(&self, ids: &[SplitId], committed: &[Option<u64>]) -> Result<bool> {
        for (id, committed) in ids.iter().zip(committed) {
            let value = self.split_value(id)?;
            if value.is_some_and(|value| committed.is_some_and(|at| at < value.state.position.offset)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The metadata of writers that have not committed for long, to be deleted where there are too many.
    fn of_bygone_writers(&mut self) -> Result<Vec<Change>> {
        let found = self.transactions.metadata();
        let mut others: Vec<(u64, String)> = Vec::new();
        for key in metadata::keys(found) {
            if let Key::Progress { writer } = &key
                && *writer != self.writer
                && writer != REPLAY
            {
                let progress: ProgressValue = metadata::get(found, &key)?.unwrap_or_default();
                others.push((progress.time_ms, writer.clone()));
            }
        }
        others.sort_unstable();
        let bygone: Vec<String> =
            others.drain(..others.len().saturating_sub(OTHER_WRITERS_MAX)).map(|(_, writer)| writer).collect();
        if !bygone.is_empty() {
            tracing::info!(
                "forgetting {} instances of this pipeline that have not committed for long: {} others are remembered",
                bygone.len(),
                others.len()
            );
            self.transactions.forget_writers(&bygone);
        }
        let keys =
            bygone.into_iter().flat_map(|writer| [Key::Run { writer: writer.clone() }, Key::Progress { writer }]);
        Ok(keys.map(|key| metadata::delete(&key)).collect())
    }

    fn put_split(
        &self,
        value: &mut SplitValue,
        before: Option<&SplitValue>,
        change: &SplitChange,
    ) -> Result<Vec<Change>> {
        metadata::put_split(self.transactions.metadata(), &self.group, value, before, change)
    }

    /// The ledger's entry of a commit. The ledger keeps the states too, and knows nothing of commits without staged output: of a
    /// split that it does not know as it was before, the entry has the whole state.
    fn ledger_entries(
        &self,
        checkpoints: &[Checkpoint],
        states: &BTreeMap<SplitId, SplitChange>,
    ) -> Result<Vec<CheckpointEntry>> {
        let mut entries = Entry::with_changes(checkpoints, states.clone(), self.clock.unix_ms());
        for entry in &mut entries {
            let Some(change) = entry.change.as_mut().filter(|change| !change.is_whole()) else { continue };
            let here = |state: &SplitState| (state.position, state.sequence);
            let before = self.split_value(&entry.split)?.map(|before| here(&before.state));
            let known = self.ledger.state().splits.get(&entry.split).map(|split| here(&split.state));
            if known != before {
                let mut state = self.whole_split_value(&entry.split)?.map(|before| before.state).unwrap_or_default();
                std::mem::take(change).apply(&mut state);
                *change = SplitChange::whole(state);
            }
        }
        Ok(entries)
    }

    fn progress(&self, counts: &Counts) -> Result<Change> {
        let value = ProgressValue { counts: counts.clone(), time_ms: self.clock.unix_ms() };
        metadata::put(&Key::Progress { writer: self.writer.clone() }, &value)
    }

    fn deleted_acknowledged(&self) -> impl Iterator<Item = Change> {
        self.acknowledged.iter().map(|id| metadata::delete(&Key::Staged { id: *id }))
    }

    /// Writes metadata in a transaction of its own.
    fn write(&mut self, mut changes: Vec<Change>) -> Result<()> {
        changes.push(self.progress(&self.counts)?);
        changes.extend(self.deleted_acknowledged());
        commit_metadata(&mut *self.transactions, changes)?;
        self.acknowledged.clear();
        Ok(())
    }

    fn run_change(&self, record: RunRecord, completed: bool) -> Result<Change> {
        metadata::put(&Key::Run { writer: self.writer.clone() }, &RunValue { record, completed })
    }

    /// What a ledger committed before there were transactions becomes metadata, once.
    fn taken_over(&self, record: &RunRecord) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (id, split) in &self.ledger.state().splits {
            let key = self.split_key(id);
            let known = metadata::get::<SplitValue>(self.transactions.metadata(), &key)?;
            if known.as_ref().is_none_or(|known| known.time_ms < split.time_ms) {
                let mut value = SplitValue {
                    split: id.clone(),
                    run: record.run,
                    state: SplitState::default(),
                    held: split.held,
                    ended: split.ended,
                    time_ms: split.time_ms,
                    from_ledger: true,
                };
                let change = SplitChange::whole(split.state.clone());
                changes.extend(self.put_split(&mut value, known.as_ref(), &change)?);
            }
        }
        Ok(changes)
    }

    /// The metadata that a commit of checkpoints writes, and the counts after it.
    fn changes(
        &self,
        id: u64,
        checkpoints: &[Checkpoint],
        states: &BTreeMap<SplitId, SplitChange>,
        has_staged: bool,
    ) -> Result<(Vec<Change>, Counts)> {
        let mut counts = self.counts.clone();
        for checkpoint in checkpoints {
            counts.add(&Counts { flags: BTreeMap::new(), ..checkpoint.counts.clone() });
        }
        let mut changes = Vec::new();
        for (split, checkpoint) in last_of_each_split(checkpoints) {
            let Some(change) = states.get(split) else { continue };
            let mut value = SplitValue {
                split: split.to_string(),
                run: self.run,
                state: SplitState::default(),
                held: checkpoint.counts.held_after,
                ended: checkpoint.ended,
                time_ms: self.clock.unix_ms(),
                from_ledger: false,
            };
            // Whichever run it is of: its entries are there.
            let before = metadata::get::<SplitValue>(self.transactions.metadata(), &self.split_key(split))?;
            changes.extend(self.put_split(&mut value, before.as_ref(), change)?);
        }
        changes.push(self.progress(&counts)?);
        changes.extend(self.deleted_acknowledged());
        if has_staged {
            changes.push(metadata::put(&Key::Staged { id }, &StagedValue::of(checkpoints, &self.output))?);
        }
        Ok((changes, counts))
    }
}

impl CommitLog for TransactionalLog {
    fn cluster_id(&self) -> Option<&str> {
        Some(self.transactions.cluster_id())
    }

    fn last_run(&self) -> Result<Option<LastRun>> {
        if let Some(last) = last_run(self.transactions.metadata(), &self.writer, self.exclusive)? {
            return Ok(Some(last));
        }
        let state = self.ledger.state();
        Ok(state.last_run().filter(|_| state.delegated_to.is_none()))
    }

    fn last_fitted(&self, slot: &Path) -> Result<Vec<Option<Vec<u8>>>> {
        let of_the_pipeline = Key::Run { writer: String::new() };
        match metadata::get::<RunValue>(self.transactions.metadata(), &of_the_pipeline)? {
            Some(RunValue { record, .. }) => Ok(record.fitted),
            None => Ledger::fitted_in(slot),
        }
    }

    fn begin(&mut self, record: RunRecord, restart: bool) -> Result<()> {
        fault::step("begin.before")?;
        self.run = record.run;
        let last = last_run(self.transactions.metadata(), &self.writer, self.exclusive)?;
        self.counts = last.filter(|_| !restart).map(|last| last.counts).unwrap_or_default();
        let mut changes = self.of_bygone_writers()?;
        if !restart && self.ledger.state().delegated_to.is_none() {
            changes.extend(self.taken_over(&record)?);
        }
        changes.push(self.run_change(record, false)?);
        self.write(changes)?;
        fault::step("begin.after")?;
        let here = DelegatedTo { cluster_id: self.transactions.cluster_id().to_owned(), writer: self.writer.clone() };
        if self.ledger.state().delegated_to.as_ref() != Some(&here) {
            self.ledger.append(Entry::DelegatedTo(Some(here)))?;
        }
        Ok(())
    }

    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        splits_of(self.transactions.metadata(), self.run)
    }

    fn split_states(&mut self, ids: &[SplitId], visible: &[Option<u64>]) -> Result<Vec<Option<SplitState>>> {
        // The group first: that waits until every transaction about these splits is decided, and the metadata then has what
        // belongs to its offsets.
        let before = match &self.offsets {
            Some(offsets) => offsets.committed(ids)?,
            None => vec![None; ids.len()],
        };
        if !self.exclusive {
            self.transactions.refresh()?;
        }
        let after = match &self.offsets {
            Some(offsets) if self.is_beyond(ids, &before)? => offsets.committed(ids)?,
            _ => before.clone(),
        };
        let mut states = Vec::with_capacity(ids.len());
        for (i, id) in ids.iter().enumerate() {
            let evidence = Evidence {
                ledger: self.ledger.state().splits.get(&**id),
                metadata: self.whole_split_value(id)?,
                transactional: true,
                has_group: self.offsets.is_some(),
                committed: (before[i], after[i]),
                visible: visible[i],
                exclusive_memory: self.exclusive.then_some(TOPIC_MEMORY),
                sink: &self.sink,
            };
            let reconciled = reconcile(id, &evidence)?;
            reconciled.warning.iter().for_each(|warning| tracing::warn!("{warning}"));
            states.push(reconciled.start);
        }
        Ok(states)
    }

    fn decide(&mut self, checkpoints: &[Checkpoint]) -> Result<Decision> {
        let id = rand::random();
        let states = changes_of_each_split(checkpoints);
        let has_staged = checkpoints.iter().any(|checkpoint| !checkpoint.output.staged().is_empty());
        if has_staged {
            let checkpoints = self.ledger_entries(checkpoints, &states)?;
            self.ledger.append(Entry::InDoubt { id, checkpoints })?;
        }
        fault::step("decide.before")?;
        let (metadata, counts) = self.changes(id, checkpoints, &states, has_staged)?;
        let outputs: Vec<&TransactionalOutput> = checkpoints
            .iter()
            .flat_map(|checkpoint| checkpoint.output.each())
            .filter_map(Prepared::transactional)
            .collect();
        let (source_offsets, fencing_tokens) = last_of_each_split(checkpoints)
            .into_values()
            .filter_map(|last| Some(((Arc::clone(&last.split), last.range.to.offset), last.fencing_token.clone()?)))
            .unzip();
        let transaction = Transaction { id, metadata, outputs, source_offsets, fencing_tokens };
        let decision = self.transactions.decide(&transaction)?;
        if decision == Decision::Committed {
            self.counts = counts;
            self.acknowledged.clear();
        }
        fault::step("decide.after")?;
        Ok(decision)
    }

    fn on_visible(&mut self) -> Result<()> {
        if !self.ledger.has_pending() {
            return Ok(());
        }
        let id = self.ledger.state().in_doubt.as_ref().map(|(id, _)| *id);
        self.ledger.append(Entry::Visible)?;
        self.acknowledged.extend(id);
        Ok(())
    }

    fn on_aborted(&mut self) -> Result<()> {
        if self.ledger.state().in_doubt.is_some() { self.ledger.append(Entry::Aborted) } else { Ok(()) }
    }

    fn complete(&mut self) -> Result<()> {
        fault::step("done.before")?;
        let Some(last) = self.last_run()? else { return Err(Error::bug("the end of no run")) };
        let completed = self.run_change(last.record, true)?;
        self.write(vec![completed])?;
        fault::step("done.after")
    }

    fn reset(&mut self) -> Result<()> {
        reset_metadata(&mut *self.transactions)?;
        self.counts = Counts::default();
        self.acknowledged.clear();
        self.ledger.append(Entry::Reset)
    }

    fn pending(&mut self) -> Result<Pending> {
        let (staged, in_doubt) = Pending::of(&self.ledger);
        let Some(id) = in_doubt else { return Ok(Pending { staged, committed: true }) };
        // This instance may have had another name then.
        let then = self.ledger.state().delegated_to.as_ref();
        if let Some(then) = then.filter(|then| then.writer != self.writer) {
            self.transactions.recover_writer(&then.writer)?;
        }
        Ok(Pending { staged, committed: self.was_committed(id) })
    }

    fn pending_of(&mut self, orphan: &Ledger) -> Result<Option<Pending>> {
        let (staged, in_doubt) = Pending::of(orphan);
        let Some(id) = in_doubt else { return Ok(Some(Pending { staged, committed: true })) };
        match &orphan.state().delegated_to {
            Some(there) if there.cluster_id == self.transactions.cluster_id() => {
                // To recover one's own name would abort what this process is doing.
                if there.writer != self.writer {
                    self.transactions.recover_writer(&there.writer)?;
                }
                Ok(Some(Pending { staged, committed: self.was_committed(id) }))
            }
            _ => Ok(None),
        }
    }

    fn recover_writers(&mut self, writers: &[Arc<str>]) -> Result<Vec<Arc<str>>> {
        for writer in writers {
            // An exclusive pipeline commits under one name, which is this process's by now.
            if !self.exclusive || **writer == *REPLAY {
                self.transactions.recover_writer(writer)?;
            }
        }
        Ok(writers.to_vec())
    }

    fn staged(&self) -> Result<Vec<(u64, StagedValue)>> {
        let found = metadata::staged(self.transactions.metadata());
        found.filter(|value| value.as_ref().map_or(true, |(id, _)| !self.acknowledged.contains(id))).collect()
    }

    fn acknowledge(&mut self, transactions: &[u64]) {
        let known: Vec<u64> = transactions.iter().copied().filter(|id| self.was_committed(*id)).collect();
        self.acknowledged.extend(known);
    }

    fn has_acknowledged(&self) -> bool {
        !self.acknowledged.is_empty()
    }

    fn flush(&mut self) -> Result<()> {
        if self.acknowledged.is_empty() { Ok(()) } else { self.write(Vec::new()) }
    }

    fn history(&self) -> Result<History> {
        let found = self.transactions.metadata();
        let mut history = History::default();
        let knows_runs = metadata::writers(found).any(|writer| writer != REPLAY);
        history.is_new_here = knows_runs && *self.ledger.state() == LedgerState::default();
        for key in metadata::keys(found).filter(|key| matches!(key, Key::Progress { .. })) {
            history.written += metadata::get::<ProgressValue>(found, &key)?.map_or(0, |value| value.counts.written);
        }
        Ok(history)
    }
}

/// The last run of an exclusive pipeline, as far as a backend knows of it. It is looked at before this process opens the log,
/// which would fence another one: there may be nothing to do here.
pub(in crate::run) fn peek_last_run(backend: &dyn TransactionalBackend, pipeline: &str) -> Result<Option<LastRun>> {
    let Some((_, metadata)) = backend.peek(pipeline)? else { return Ok(None) };
    last_run(&metadata, "", true)
}

/// Checkpoints of a split come in order, so that its last one counts.
fn last_of_each_split(checkpoints: &[Checkpoint]) -> BTreeMap<&SplitId, &Checkpoint> {
    checkpoints.iter().map(|checkpoint| (&checkpoint.split, checkpoint)).collect()
}

/// The splits that a run recorded.
fn splits_of(metadata: &CommitMetadata, run: u64) -> Result<Vec<RecordedSplit>> {
    let mut splits = Vec::new();
    for value in metadata::splits(metadata) {
        let (group, value) = value?;
        if value.run == run && value.split != REPLAY {
            let start = metadata::split_state(metadata, &group, &value);
            let SplitValue { split, held, ended, .. } = value;
            splits.push(RecordedSplit { id: split.into(), start, held, ended });
        }
    }
    Ok(splits)
}

/// The last run of a writer, with its splits where it is exclusive.
fn last_run(metadata: &CommitMetadata, writer: &str, exclusive: bool) -> Result<Option<LastRun>> {
    let writer = writer.to_owned();
    let run = metadata::get::<RunValue>(metadata, &Key::Run { writer: writer.clone() })?;
    let Some(RunValue { record, completed }) = run else { return Ok(None) };
    let progress: ProgressValue = metadata::get(metadata, &Key::Progress { writer })?.unwrap_or_default();
    let splits = if exclusive { splits_of(metadata, record.run)? } else { Vec::new() };
    Ok(Some(LastRun { record, completed, counts: progress.counts, splits }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::metrics::Measured;
    use crate::record::{OffsetRange, Position};
    use crate::run::losses::Losses;
    use crate::run::sinks::Output;
    use crate::stage::{State, StateChanges};

    /// Transactions that always commit.
    #[derive(Default)]
    struct Agreeing {
        metadata: CommitMetadata,
        bygone: Arc<Mutex<Vec<String>>>,
    }

    impl TransactionLog for Agreeing {
        fn cluster_id(&self) -> &str {
            "here"
        }

        fn name(&self) -> &str {
            "agreeing"
        }

        fn refresh(&mut self) -> Result<()> {
            Ok(())
        }

        fn metadata(&self) -> &CommitMetadata {
            &self.metadata
        }

        fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
            for (key, value) in &transaction.metadata {
                match value {
                    Some(value) => self.metadata.insert(key.clone(), value.clone()),
                    None => self.metadata.remove(key),
                };
            }
            Ok(Decision::Committed)
        }

        fn forget_writers(&mut self, writers: &[String]) {
            self.bygone.lock().extend_from_slice(writers);
        }

        fn recover_writer(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    fn log(dir: &Path, writer: String, transactions: Box<dyn TransactionLog>, clock: &Clock) -> TransactionalLog {
        TransactionalLog {
            ledger: Ledger::open(&dir.join(&writer)).expect("opens"),
            offsets: None,
            transactions,
            output: writer.clone(),
            writer,
            exclusive: false,
            run: 0,
            sink: "sink".into(),
            group: "g".into(),
            counts: Counts::default(),
            acknowledged: Vec::new(),
            clock: clock.clone(),
        }
    }

    /// A checkpoint up to an offset, with staged output or none.
    fn checkpoint(to: u64, staged: &[u8], transforms: &[(&str, StateChanges)]) -> Checkpoint {
        let position = |offset: u64| Position { offset, records: offset };
        let range = OffsetRange { from: position(to - 1), to: position(to), sequence: 0 };
        let transforms = transforms.iter().map(|(stage, changes)| ((*stage).to_owned(), changes.clone())).collect();
        Checkpoint {
            split: "t/0".into(),
            epoch: 1,
            range,
            change: SplitChange { position: range.to, sequence: 0, reader: vec![to as u8], transforms },
            output: Output { records: staged.to_vec().into(), dead_letters: Prepared::Nothing },
            counts: Counts { read: 1, written: 1, ..Counts::default() },
            losses: Losses::default(),
            measured: Measured::default(),
            ended: false,
            fencing_token: None,
        }
    }

    fn changes(whole: bool, entries: &[(&str, Option<u8>)]) -> StateChanges {
        let mut changes = if whole { StateChanges::whole(State::new(1)) } else { StateChanges::none(1) };
        for (key, value) in entries {
            match value {
                Some(byte) => changes.put(*key, vec![*byte]),
                None => changes.remove(*key),
            }
        }
        changes
    }

    #[test]
    fn what_is_gone_of_a_state_is_deleted_and_the_ledger_has_all_of_it_though_not_all_commits() {
        let dir = tempfile::tempdir().expect("a directory");
        let clock = Clock::manual(Duration::ZERO);
        let mut log = log(dir.path(), "0".to_owned(), Box::<Agreeing>::default(), &clock);
        let mut commit = |checkpoints: &[Checkpoint]| {
            assert_eq!(log.decide(checkpoints).expect("decides"), Decision::Committed);
            log.on_visible().expect("notes it");
            let value = log.whole_split_value("t/0").expect("reads").expect("a value");
            let entries = log.transactions.metadata().keys().filter(|key| key.starts_with("state/")).count();
            (value.state, entries, log.ledger.state().splits.get("t/0").map(|split| split.state.clone()))
        };
        let of = |state: &SplitState, stage: &str| {
            let entries = state.transforms[stage].entries(1).expect("this version");
            entries.map(|(key, bytes)| (key.to_owned(), bytes[0])).collect::<Vec<_>>()
        };
        let first = [("a", changes(true, &[("x", Some(1)), ("y", Some(2))])), ("b", changes(true, &[("z", Some(3))]))];
        let (state, entries, ledger) = commit(&[checkpoint(1, b"file", &first)]);
        assert_eq!((entries, ledger), (3, Some(state)));
        // Two of one commit, without staged output: the ledger does not hear of them.
        let second = [("a", changes(false, &[("x", Some(4)), ("v", Some(5))]))];
        let third = [("a", changes(false, &[("y", None), ("v", None)]))];
        let (state, entries, ledger) = commit(&[checkpoint(2, b"", &second), checkpoint(3, b"", &third)]);
        assert_eq!((of(&state, "a"), entries), (vec![("x".to_owned(), 4)], 1), "the stage `b` is gone too");
        assert_eq!(ledger.map(|state| state.position.offset), Some(1));
        let fourth = [("a", changes(false, &[("w", Some(6))]))];
        let (state, entries, ledger) = commit(&[checkpoint(4, b"file", &fourth)]);
        assert_eq!((of(&state, "a"), entries), (vec![("w".to_owned(), 6), ("x".to_owned(), 4)], 2));
        assert_eq!(ledger, Some(state), "the whole state");
        // Another task of the split tells all that there is.
        let (state, entries, ledger) = commit(&[checkpoint(5, b"file", &[("a", changes(true, &[("u", Some(7))]))])]);
        assert_eq!((of(&state, "a"), entries), (vec![("u".to_owned(), 7)], 1));
        assert_eq!(ledger, Some(state));
    }

    #[test]
    fn instances_whose_state_directories_are_lost_are_forgotten_once_there_are_many() {
        let dir = tempfile::tempdir().expect("a directory");
        let agreeing = Agreeing::default();
        let bygone = Arc::clone(&agreeing.bygone);
        let mut transactions: Box<dyn TransactionLog> = Box::new(agreeing);
        let clock = Clock::manual(Duration::ZERO);
        for lost in 0..OTHER_WRITERS_MAX + 20 {
            let writer = format!("0-{lost:04}");
            let mut log = log(dir.path(), writer, transactions, &clock);
            log.begin(RunRecord::default(), true).expect("begins");
            // Their order is that of their commits.
            clock.advance(Duration::from_millis(1));
            transactions = log.transactions;
        }
        let known: Vec<String> = metadata::writers(transactions.metadata()).collect();
        assert_eq!((known.len(), bygone.lock().len()), (OTHER_WRITERS_MAX + 1, 19));
        assert!(known.contains(&"0-0119".to_owned()), "the last one");
        assert!(!known.contains(&"0-0000".to_owned()), "the first one");
    }
}
