//! A coordinator that decides in place of a ledger, and what a pipeline notes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, LastRun, RunRecord};
use super::commit_log::OpenOptions;
use super::instance::Instance;
use super::ledger::{SplitStatus, now_ms};
use super::metadata::{self, DecidedNote, LastNote, RunNote, SplitRecord};
use super::replay::REPLAY;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::monitor::Counts;
use crate::record::{Position, SplitId};
use crate::stage::{
    CommitMetadata, Decision, Delivery, OpenOutcome, Prepared, RecordedSplit, SplitState, TransactionalBackend,
    TransactionalOutput,
};
use crate::stage::{Transaction, TransactionLog};

/// How many other instances of a pipeline are remembered: each lost state directory leaves one, and no pipeline has so
/// many that run.
const OTHERS_MAX: usize = 100;

/// A coordinator that decides.
pub(super) struct TransactionalLog {
    pub(super) transactions: Box<dyn TransactionLog>,
    pub(super) writer: String,
    /// What this process's hidden output is called after.
    output: String,
    /// Whether only one process may run the pipeline, so that splits belong to a run of it.
    alone: bool,
    run: u64,
    shape: String,
    /// Who keeps positions besides: the consumer group.
    keeper: String,
    counts: Counts,
    /// Transactions that need not be noted any more: all that lay beside them is visible.
    pub(super) spent: Vec<u64>,
}

impl TransactionalLog {
    pub(super) fn open(
        coordinator: &dyn TransactionalBackend,
        pipeline: &Pipeline,
        instance: &Instance,
        keeper: String,
        how: OpenOptions,
    ) -> Result<(Option<TransactionalLog>, Option<String>)> {
        let transactions = match coordinator.open(&pipeline.name, &instance.writer)? {
            OpenOutcome::Open(transactions) => transactions,
            OpenOutcome::Unsupported(reason) if pipeline.settings.delivery == Some(Delivery::ExactlyOnce) => {
                return Err(Error::config(format!("this run cannot deliver `exactly_once`: {reason}"))
                    .help("leave `delivery` out to get the best that is possible"));
            }
            OpenOutcome::Unsupported(reason) => return Ok((None, Some(reason))),
        };
        let alone = how.alone;
        let shape = if how.replay { REPLAY.to_owned() } else { pipeline.shape.clone() };
        let writer = (instance.writer.clone(), instance.output.to_string());
        let outside = TransactionalLog::of(transactions, writer, alone, shape, keeper);
        Ok((Some(outside), None))
    }

    pub(super) fn of(
        transactions: Box<dyn TransactionLog>,
        (writer, output): (String, String),
        alone: bool,
        shape: String,
        keeper: String,
    ) -> TransactionalLog {
        let (counts, spent) = (Counts::default(), Vec::new());
        TransactionalLog { transactions, writer, output, alone, run: 0, shape, keeper, counts, spent }
    }

    pub(super) fn was_decided(&self, id: u64) -> bool {
        self.transactions.metadata().contains_key(&metadata::decided_key(id))
    }

    pub(super) fn last_run(&self) -> Result<Option<LastRun>> {
        last_run(self.transactions.metadata(), &self.writer, self.alone)
    }

    /// How many records all writers have written so far.
    pub(super) fn written_by_all(&self) -> Result<u64> {
        let found = self.transactions.metadata();
        let mut written = 0;
        for key in found.keys().filter(|key| key.starts_with(&metadata::last_key(""))) {
            written += metadata::find::<LastNote>(found, key)?.map_or(0, |last| last.counts.written);
        }
        Ok(written)
    }

    /// What is noted of writers that have not committed for long, where there are too many.
    fn of_bygone_writers(&mut self) -> Result<Vec<(String, Option<Vec<u8>>)>> {
        let found = self.transactions.metadata();
        let mut others: Vec<(u64, String)> = Vec::new();
        for writer in found.keys().filter_map(|key| key.strip_prefix(&metadata::last_key(""))) {
            if writer != self.writer && writer != REPLAY {
                let last: LastNote = metadata::find(found, &metadata::last_key(writer))?.unwrap_or_default();
                others.push((last.time_ms, writer.to_owned()));
            }
        }
        others.sort_unstable();
        let bygone: Vec<String> =
            others.drain(..others.len().saturating_sub(OTHERS_MAX)).map(|(_, writer)| writer).collect();
        if !bygone.is_empty() {
            tracing::info!(
                "forgetting what is noted of {} instances of this pipeline that have not committed for long: {} others are \
                 remembered",
                bygone.len(),
                others.len()
            );
            self.transactions.forget_writers(&bygone);
        }
        let keys = bygone.iter().flat_map(|writer| [metadata::run_key(writer), metadata::last_key(writer)]);
        Ok(keys.map(|key| (key, None)).collect())
    }

    pub(super) fn begin(&mut self, begin: RunRecord, anew: bool, known: Vec<(String, SplitStatus)>) -> Result<()> {
        self.run = begin.run;
        self.counts = match self.last_run()? {
            Some(last) if !anew => last.counts,
            _ => Counts::default(),
        };
        let mut notes = self.of_bygone_writers()?;
        for (id, split) in known {
            let key = metadata::split_key(&self.keeper, &id);
            let known = metadata::find::<SplitRecord>(self.transactions.metadata(), &key)?;
            if known.is_none_or(|known| known.time_ms < split.time_ms) {
                let (run, shape) = (self.run, begin.shape.clone());
                let SplitStatus { start, held, ended, time_ms, .. } = split;
                let note = SplitRecord { split: id, run, shape, start, held, ended, time_ms, from_ledger: true };
                notes.push((key, Some(metadata::encode(&note)?)));
            }
        }
        notes.push((metadata::run_key(&self.writer), Some(metadata::encode(&RunNote { begin, done: false })?)));
        self.note(notes)
    }

    /// Notes something by itself, with the counts so far.
    fn note(&mut self, mut notes: Vec<(String, Option<Vec<u8>>)>) -> Result<()> {
        let id = rand::random();
        notes.push(self.last_note(&self.counts)?);
        notes.extend(self.spent.iter().map(|id| (metadata::decided_key(*id), None)));
        let transaction =
            Transaction { id, metadata: notes, outputs: Vec::new(), source_offsets: Vec::new(), fencing_token: None };
        match self.transactions.decide(&transaction)? {
            Decision::Committed => {
                self.spent.clear();
                Ok(())
            }
            Decision::Refused { reason } => Err(Error::new(format!("the commit was refused: {reason}"))),
        }
    }

    fn last_note(&self, counts: &Counts) -> Result<(String, Option<Vec<u8>>)> {
        let last = LastNote { counts: counts.clone(), time_ms: now_ms() };
        Ok((metadata::last_key(&self.writer), Some(metadata::encode(&last)?)))
    }

    /// Learns what others have noted.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if self.alone { Ok(()) } else { self.transactions.refresh() }
    }

    fn split_note(&self, id: &SplitId) -> Result<Option<SplitRecord>> {
        let note = metadata::find::<SplitRecord>(self.transactions.metadata(), &metadata::split_key(&self.keeper, id))?;
        Ok(note.filter(|note| !self.alone || note.run == self.run))
    }

    /// The splits of the run that goes on.
    pub(super) fn noted(&self) -> Result<Vec<RecordedSplit>> {
        splits_of(self.transactions.metadata(), self.run)
    }

    /// Whether the last commit of any split is beyond what was known of the source's own position.
    pub(super) fn is_beyond(&self, ids: &[SplitId], noted: &[Option<u64>]) -> Result<bool> {
        for (id, noted) in ids.iter().zip(noted) {
            let note = self.split_note(id)?;
            if note.is_some_and(|note| noted.is_some_and(|noted| noted < note.start.position.offset)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where splits go on; `noted` is where the source's own positions were before the notes were read, and after.
    pub(super) fn starts(
        &self,
        ids: &[SplitId],
        noted: &[(Option<u64>, Option<u64>)],
        shared: bool,
    ) -> Result<Vec<Option<SplitState>>> {
        let shape = &*self.shape;
        let start = |(id, noted): (&SplitId, &(Option<u64>, Option<u64>))| {
            let note = self.split_note(id)?;
            let noted = between(*noted, note.as_ref().map(|note| note.start.position.offset));
            let start = agree(id, note, noted, shared)?;
            match start {
                Some((start, of)) if of != shape && !start.state.is_empty() => Err(other_stages(id, &of, shape)),
                start => Ok(start.map(|(start, _)| start)),
            }
        };
        ids.iter().zip(noted).map(start).collect()
    }

    pub(super) fn decide(&mut self, id: u64, checkpoints: &[Checkpoint], beside: bool) -> Result<Decision> {
        let mut counts = self.counts.clone();
        // Checkpoints of a split come in order, so its last one counts.
        let mut splits: BTreeMap<&SplitId, &Checkpoint> = BTreeMap::new();
        for checkpoint in checkpoints {
            counts.add(&Counts { flags: BTreeMap::new(), ..checkpoint.counts.clone() });
            splits.insert(&checkpoint.split, checkpoint);
        }
        let mut notes = Vec::with_capacity(splits.len() + 1);
        for (split, checkpoint) in &splits {
            let note = SplitRecord::of(checkpoint, self.run, &self.shape);
            notes.push((metadata::split_key(&self.keeper, split), Some(metadata::encode(&note)?)));
        }
        notes.push(self.last_note(&counts)?);
        notes.extend(self.spent.iter().map(|id| (metadata::decided_key(*id), None)));
        if beside {
            let note = DecidedNote::of(checkpoints, &self.output);
            notes.push((metadata::decided_key(id), Some(metadata::encode(&note)?)));
        }
        let outputs: Vec<&TransactionalOutput> = checkpoints
            .iter()
            .flat_map(|checkpoint| checkpoint.output.each())
            .filter_map(Prepared::transactional)
            .collect();
        let fenced = splits.values().filter(|checkpoint| checkpoint.fence.is_some());
        let ends = fenced.map(|checkpoint| (Arc::clone(&checkpoint.split), checkpoint.span.to.offset)).collect();
        let fence = checkpoints.iter().find_map(|checkpoint| checkpoint.fence.clone());
        let decision = self.transactions.decide(&Transaction {
            id,
            metadata: notes,
            outputs,
            source_offsets: ends,
            fencing_token: fence,
        })?;
        if decision == Decision::Committed {
            self.counts = counts;
            self.spent.clear();
        }
        Ok(decision)
    }

    /// Whether something need not be noted any more.
    pub(super) fn is_to_flush(&self) -> bool {
        !self.spent.is_empty()
    }

    /// Takes away what need not be noted any more.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.spent.is_empty() { Ok(()) } else { self.note(Vec::new()) }
    }

    /// What was decided of other transactions that may not be visible yet.
    pub(super) fn decided(&self) -> Result<Vec<(u64, DecidedNote)>> {
        let found = metadata::decided(self.transactions.metadata());
        found.filter(|note| note.as_ref().map_or(true, |(id, _)| !self.spent.contains(id))).collect()
    }

    /// Settles what a process left undecided that wrote hidden output and has ended.
    pub(super) fn settle_writer(&mut self, output: &str) -> Result<()> {
        // A pipeline that runs alone has one name where commits are decided, and this process has it by now.
        if self.alone && output != REPLAY { Ok(()) } else { self.transactions.recover_writer(output) }
    }

    pub(super) fn done(&mut self) -> Result<()> {
        let Some(LastRun { begin, .. }) = self.last_run()? else { return Err(Error::bug("the end of no run")) };
        self.note(vec![(metadata::run_key(&self.writer), Some(metadata::encode(&RunNote { begin, done: true })?))])
    }

    pub(super) fn forget(&mut self) -> Result<()> {
        let notes: Vec<(String, Option<Vec<u8>>)> =
            self.transactions.metadata().keys().map(|key| (key.clone(), None)).collect();
        self.counts = Counts::default();
        if notes.is_empty() {
            return Ok(());
        }
        // Other state directories know that there was something.
        let mut notes: Vec<_> = notes.into_iter().filter(|(key, _)| key != metadata::FORGOTTEN).collect();
        notes.push((metadata::FORGOTTEN.to_owned(), Some(Vec::new())));
        self.note(notes)
    }
}

/// The splits that a run noted.
fn splits_of(notes: &CommitMetadata, of: u64) -> Result<Vec<RecordedSplit>> {
    let mut noted = Vec::new();
    for note in metadata::splits(notes) {
        let SplitRecord { split, run, start, held, ended, .. } = note?;
        if run == of && split != REPLAY {
            noted.push(RecordedSplit { id: split.into(), start, held, ended });
        }
    }
    Ok(noted)
}

/// A writer's last run, with its splits where it was alone.
pub(super) fn last_run(notes: &CommitMetadata, writer: &str, alone: bool) -> Result<Option<LastRun>> {
    let Some(RunNote { begin, done }) = metadata::find(notes, &metadata::run_key(writer))? else { return Ok(None) };
    let last: LastNote = metadata::find(notes, &metadata::last_key(writer))?.unwrap_or_default();
    let splits = if alone { splits_of(notes, begin.run)? } else { Vec::new() };
    Ok(Some(LastRun { begin, done, counts: last.counts, splits }))
}

/// The source's own position as it was when the notes were read, between two others.
fn between((before, after): (Option<u64>, Option<u64>), note: Option<u64>) -> Option<u64> {
    note.filter(|note| before.is_some_and(|before| before < *note) && after.is_some_and(|after| *note <= after))
        .or(before)
}

/// Where a split goes on, and the stages that its state belongs to: its note and the source's own position were decided
/// together, so that they differ only where somebody else changed one of them.
fn agree(
    id: &SplitId,
    note: Option<SplitRecord>,
    noted: Option<u64>,
    shared: bool,
) -> Result<Option<(SplitState, String)>> {
    let without_state =
        |at: u64, row: u64| SplitState { position: Position { offset: at, records: row }, ..SplitState::default() };
    Ok(match (note, noted) {
        (None, None) => None,
        (None, Some(at)) => Some((without_state(at, 0), String::new())),
        (Some(note), Some(at)) if at > note.start.position.offset => {
            tracing::warn!(
                "{id}: the group stands at {at}, beyond the last commit at {}: going on there. What the transforms knew \
                 then is not known here",
                note.start.position.offset
            );
            Some((without_state(at, note.start.position.records), String::new()))
        }
        (Some(note), Some(at)) if at < note.start.position.offset && !note.from_ledger => {
            return Err(Error::new(format!(
                "{id}: the group stands at {at}, and the last commit was at {}: one of them was changed, or lost by its \
                 broker",
                note.start.position.offset
            ))
            .help("set the group's offset to that of the last commit, or start afresh with `--fresh`"));
        }
        (Some(note), None) if shared => {
            tracing::warn!("{id}: the group knows no offset any more: going on at that of the last commit");
            Some((note.start, note.shape))
        }
        (Some(note), _) => Some((note.start, note.shape)),
    })
}

fn other_stages(id: &SplitId, was: &str, is: &str) -> Error {
    Error::config(format!("{id}: the saved state is that of other stages: it had {was}, now there are {is}"))
        .help("put the stages back, or start from the beginning with `--fresh`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> SplitStatus {
        let start =
            SplitState { position: Position { offset: position, records: 3 }, sequence: 0, state: vec![vec![1]] };
        SplitStatus { start, held: 0, ended: false, told: None, time_ms: 0 }
    }

    /// Transactions that are always decided.
    #[derive(Default)]
    struct Agreeing {
        notes: CommitMetadata,
        bygone: std::sync::Arc<parking_lot::Mutex<Vec<String>>>,
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
            &self.notes
        }

        fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
            for (key, value) in &transaction.metadata {
                match value {
                    Some(value) => self.notes.insert(key.clone(), value.clone()),
                    None => self.notes.remove(key),
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

    #[test]
    fn instances_whose_state_directories_are_lost_are_forgotten_once_there_are_many() {
        let agreeing = Agreeing::default();
        let bygone = Arc::clone(&agreeing.bygone);
        let mut transactions: Box<dyn TransactionLog> = Box::new(agreeing);
        for lost in 0..OTHERS_MAX + 20 {
            let writer = format!("0-{lost:04}");
            let mut outside =
                TransactionalLog::of(transactions, (writer.clone(), writer), false, "a".into(), "g".into());
            outside.begin(RunRecord::default(), true, Vec::new()).expect("begins");
            // In another millisecond, for the order is that of their commits.
            std::thread::sleep(std::time::Duration::from_millis(2));
            transactions = outside.transactions;
        }
        let runs = transactions.metadata().keys().filter(|key| key.starts_with("run/")).count();
        assert_eq!((runs, bygone.lock().len()), (OTHERS_MAX + 1, 19));
        assert!(transactions.metadata().contains_key(&metadata::run_key("0-0119")), "the last one");
        assert!(!transactions.metadata().contains_key(&metadata::run_key("0-0000")), "the first one");
    }

    #[test]
    fn a_note_between_two_offsets_of_the_group_agrees_with_it() {
        assert_eq!(between((Some(3), Some(9)), Some(5)), Some(5), "others committed while this process was frozen");
        assert_eq!(between((Some(3), Some(5)), Some(5)), Some(5));
        assert_eq!(between((Some(3), Some(3)), Some(5)), Some(3), "the group went back");
        assert_eq!(between((Some(7), Some(7)), Some(5)), Some(7), "somebody moved the group on");
        assert_eq!(between((None, None), Some(5)), None);
        assert_eq!(between((Some(3), Some(9)), None), Some(3));
    }

    #[test]
    fn a_note_and_the_offset_of_the_group_that_do_not_agree_are_no_secret() {
        let id: SplitId = "t/0".into();
        let note = |from_ledger| {
            let split = at(5);
            Some(SplitRecord {
                split: "t/0".into(),
                run: 0,
                shape: "a -> b".into(),
                start: split.start,
                held: 0,
                ended: false,
                time_ms: 0,
                from_ledger,
            })
        };
        let agree = |note, noted| agree(&id, note, noted, true).map(|start| start.map(|(start, _)| start));
        assert_eq!(agree(None, None).expect("agrees"), None);
        assert_eq!(agree(note(false), Some(5)).expect("agrees"), Some(at(5).start));
        assert_eq!(agree(note(false), None).expect("an offset that expired"), Some(at(5).start));
        let moved = agree(note(false), Some(9)).expect("somebody moved the group on").expect("starts");
        assert_eq!((moved.position.offset, moved.state.len()), (9, 0));
        let error = agree(note(false), Some(3)).expect_err("an offset that went back");
        assert!(error.to_string().contains("stands at 3, and the last commit was at 5"), "{error}");
        let ahead = agree(note(true), Some(3)).expect("a crash came before the group was told");
        assert_eq!(ahead, Some(at(5).start));
    }
}
