//! A coordinator that decides in place of a ledger, and what a pipeline notes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cut::{Begin, Cut, LastRun};
use super::instance::Instance;
use super::ledger::{LaneState, now_ms};
use super::log::How;
use super::notes::{self, DecidedNote, LaneNote, LastNote, RunNote};
use super::replay::REPLAY;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::monitor::Counts;
use crate::record::{LaneId, Position};
use crate::stage::{Coordinator, Decision, Delivery, Joining, Noted, Notes, Opened, Prepared, Start};
use crate::stage::{Transaction, Transactions};

/// How many other instances of a pipeline are remembered: each lost state directory leaves one, and no pipeline has so
/// many that run.
const OTHERS_MAX: usize = 100;

/// A coordinator that decides.
pub(super) struct Outside {
    pub(super) transactions: Box<dyn Transactions>,
    pub(super) writer: String,
    /// What this process's hidden output is called after.
    output: String,
    /// Whether only one process may run the pipeline, so that lanes belong to a run of it.
    alone: bool,
    run: u64,
    shape: String,
    /// Who keeps positions besides: the consumer group.
    keeper: String,
    counts: Counts,
    /// Transactions that need not be noted any more: all that lay beside them is visible.
    pub(super) spent: Vec<u64>,
}

impl Outside {
    pub(super) fn open(
        coordinator: &dyn Coordinator,
        pipeline: &Pipeline,
        instance: &Instance,
        keeper: String,
        how: How,
    ) -> Result<(Option<Outside>, Option<String>)> {
        let transactions = match coordinator.open(&pipeline.name, &instance.writer)? {
            Opened::Ready(transactions) => transactions,
            Opened::Unable(reason) if pipeline.settings.delivery == Some(Delivery::ExactlyOnce) => {
                return Err(Error::config(format!("this run cannot deliver `exactly_once`: {reason}"))
                    .help("leave `delivery` out to get the best that is possible"));
            }
            Opened::Unable(reason) => return Ok((None, Some(reason))),
        };
        let alone = how.alone;
        let shape = if how.replay { REPLAY.to_owned() } else { pipeline.shape.clone() };
        let writer = (instance.writer.clone(), instance.output.to_string());
        let outside = Outside::of(transactions, writer, alone, shape, keeper);
        Ok((Some(outside), None))
    }

    pub(super) fn of(
        transactions: Box<dyn Transactions>,
        (writer, output): (String, String),
        alone: bool,
        shape: String,
        keeper: String,
    ) -> Outside {
        let (counts, spent) = (Counts::default(), Vec::new());
        Outside { transactions, writer, output, alone, run: 0, shape, keeper, counts, spent }
    }

    pub(super) fn was_decided(&self, id: u64) -> bool {
        self.transactions.notes().contains_key(&notes::decided_key(id))
    }

    pub(super) fn last_run(&self) -> Result<Option<LastRun>> {
        last_run(self.transactions.notes(), &self.writer, self.alone)
    }

    /// How many records all writers have written so far.
    pub(super) fn written_by_all(&self) -> Result<u64> {
        let found = self.transactions.notes();
        let mut written = 0;
        for key in found.keys().filter(|key| key.starts_with(&notes::last_key(""))) {
            written += notes::find::<LastNote>(found, key)?.map_or(0, |last| last.counts.written);
        }
        Ok(written)
    }

    /// What is noted of writers that have not committed for long, where there are too many.
    fn of_bygone_writers(&mut self) -> Result<Vec<(String, Option<Vec<u8>>)>> {
        let found = self.transactions.notes();
        let mut others: Vec<(u64, String)> = Vec::new();
        for writer in found.keys().filter_map(|key| key.strip_prefix(&notes::last_key(""))) {
            if writer != self.writer && writer != REPLAY {
                let last: LastNote = notes::find(found, &notes::last_key(writer))?.unwrap_or_default();
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
        let keys = bygone.iter().flat_map(|writer| [notes::run_key(writer), notes::last_key(writer)]);
        Ok(keys.map(|key| (key, None)).collect())
    }

    pub(super) fn begin(&mut self, begin: Begin, anew: bool, known: Vec<(String, LaneState)>) -> Result<()> {
        self.run = begin.run;
        self.counts = match self.last_run()? {
            Some(last) if !anew => last.counts,
            _ => Counts::default(),
        };
        let mut notes = self.of_bygone_writers()?;
        for (id, lane) in known {
            let key = notes::lane_key(&self.keeper, &id);
            let known = notes::find::<LaneNote>(self.transactions.notes(), &key)?;
            if known.is_none_or(|known| known.time_ms < lane.time_ms) {
                let (run, shape) = (self.run, begin.shape.clone());
                let LaneState { start, held, ended, time_ms, .. } = lane;
                let note = LaneNote { lane: id, run, shape, start, held, ended, time_ms, from_ledger: true };
                notes.push((key, Some(notes::encode(&note)?)));
            }
        }
        notes.push((notes::run_key(&self.writer), Some(notes::encode(&RunNote { begin, done: false })?)));
        self.note(notes)
    }

    /// Notes something by itself, with the counts so far.
    fn note(&mut self, mut notes: Vec<(String, Option<Vec<u8>>)>) -> Result<()> {
        let id = rand::random();
        notes.push(self.last_note(&self.counts)?);
        notes.extend(self.spent.iter().map(|id| (notes::decided_key(*id), None)));
        let transaction = Transaction { id, notes, outputs: Vec::new(), ends: Vec::new(), fence: None };
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
        Ok((notes::last_key(&self.writer), Some(notes::encode(&last)?)))
    }

    /// Learns what others have noted.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if self.alone { Ok(()) } else { self.transactions.refresh() }
    }

    fn lane_note(&self, id: &LaneId) -> Result<Option<LaneNote>> {
        let note = notes::find::<LaneNote>(self.transactions.notes(), &notes::lane_key(&self.keeper, id))?;
        Ok(note.filter(|note| !self.alone || note.run == self.run))
    }

    /// The lanes of the run that goes on.
    pub(super) fn noted(&self) -> Result<Vec<Noted>> {
        lanes_of(self.transactions.notes(), self.run)
    }

    /// Whether the last commit of any lane is beyond what was known of the source's own position.
    pub(super) fn is_beyond(&self, ids: &[LaneId], noted: &[Option<u64>]) -> Result<bool> {
        for (id, noted) in ids.iter().zip(noted) {
            let note = self.lane_note(id)?;
            if note.is_some_and(|note| noted.is_some_and(|noted| noted < note.start.position.at)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where lanes go on; `noted` is where the source's own positions were before the notes were read, and after.
    pub(super) fn starts(
        &self,
        ids: &[LaneId],
        noted: &[(Option<u64>, Option<u64>)],
        shared: bool,
    ) -> Result<Vec<Option<Start>>> {
        let shape = &*self.shape;
        let start = |(id, noted): (&LaneId, &(Option<u64>, Option<u64>))| {
            let note = self.lane_note(id)?;
            let noted = between(*noted, note.as_ref().map(|note| note.start.position.at));
            let start = agree(id, note, noted, shared)?;
            match start {
                Some((start, of)) if of != shape && !start.state.is_empty() => Err(other_stages(id, &of, shape)),
                start => Ok(start.map(|(start, _)| start)),
            }
        };
        ids.iter().zip(noted).map(start).collect()
    }

    pub(super) fn decide(&mut self, id: u64, cuts: &[Cut], beside: bool) -> Result<Decision> {
        let mut counts = self.counts.clone();
        // Cuts of a lane come in order, so its last one counts.
        let mut lanes: BTreeMap<&LaneId, &Cut> = BTreeMap::new();
        for cut in cuts {
            counts.add(&Counts { flags: BTreeMap::new(), ..cut.counts.clone() });
            lanes.insert(&cut.lane, cut);
        }
        let mut notes = Vec::with_capacity(lanes.len() + 1);
        for (lane, cut) in &lanes {
            let note = LaneNote::of(cut, self.run, &self.shape);
            notes.push((notes::lane_key(&self.keeper, lane), Some(notes::encode(&note)?)));
        }
        notes.push(self.last_note(&counts)?);
        notes.extend(self.spent.iter().map(|id| (notes::decided_key(*id), None)));
        if beside {
            let note = DecidedNote::of(cuts, &self.output);
            notes.push((notes::decided_key(id), Some(notes::encode(&note)?)));
        }
        let outputs: Vec<&Joining> = cuts.iter().flat_map(|cut| &cut.prepared).filter_map(within).collect();
        let fenced = lanes.values().filter(|cut| cut.fence.is_some());
        let ends = fenced.map(|cut| (Arc::clone(&cut.lane), cut.span.to.at)).collect();
        let fence = cuts.iter().find_map(|cut| cut.fence.clone());
        let decision = self.transactions.decide(&Transaction { id, notes, outputs, ends, fence })?;
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
        let found = notes::decided(self.transactions.notes());
        found.filter(|note| note.as_ref().map_or(true, |(id, _)| !self.spent.contains(id))).collect()
    }

    /// Settles what a process left undecided that wrote hidden output and has ended.
    pub(super) fn settle_writer(&mut self, output: &str) -> Result<()> {
        // A pipeline that runs alone has one name where commits are decided, and this process has it by now.
        if self.alone && output != REPLAY { Ok(()) } else { self.transactions.settle(output) }
    }

    pub(super) fn done(&mut self) -> Result<()> {
        let Some(LastRun { begin, .. }) = self.last_run()? else { return Err(Error::bug("the end of no run")) };
        self.note(vec![(notes::run_key(&self.writer), Some(notes::encode(&RunNote { begin, done: true })?))])
    }

    pub(super) fn forget(&mut self) -> Result<()> {
        let notes: Vec<(String, Option<Vec<u8>>)> =
            self.transactions.notes().keys().map(|key| (key.clone(), None)).collect();
        self.counts = Counts::default();
        if notes.is_empty() {
            return Ok(());
        }
        // Other state directories know that there was something.
        let mut notes: Vec<_> = notes.into_iter().filter(|(key, _)| key != notes::FORGOTTEN).collect();
        notes.push((notes::FORGOTTEN.to_owned(), Some(Vec::new())));
        self.note(notes)
    }
}

/// The lanes that a run noted.
fn lanes_of(notes: &Notes, of: u64) -> Result<Vec<Noted>> {
    let mut noted = Vec::new();
    for note in notes::lanes(notes) {
        let LaneNote { lane, run, start, held, ended, .. } = note?;
        if run == of && lane != REPLAY {
            noted.push(Noted { id: lane.into(), start, held, ended });
        }
    }
    Ok(noted)
}

/// A writer's last run, with its lanes where it was alone.
pub(super) fn last_run(notes: &Notes, writer: &str, alone: bool) -> Result<Option<LastRun>> {
    let Some(RunNote { begin, done }) = notes::find(notes, &notes::run_key(writer))? else { return Ok(None) };
    let last: LastNote = notes::find(notes, &notes::last_key(writer))?.unwrap_or_default();
    let lanes = if alone { lanes_of(notes, begin.run)? } else { Vec::new() };
    Ok(Some(LastRun { begin, done, counts: last.counts, lanes }))
}

fn within(prepared: &Prepared) -> Option<&Joining> {
    match prepared {
        Prepared::Within(output) => Some(output),
        _ => None,
    }
}

/// The source's own position as it was when the notes were read, between two others.
fn between((before, after): (Option<u64>, Option<u64>), note: Option<u64>) -> Option<u64> {
    note.filter(|note| before.is_some_and(|before| before < *note) && after.is_some_and(|after| *note <= after))
        .or(before)
}

/// Where a lane goes on, and the stages that its state belongs to: its note and the source's own position were decided
/// together, so that they differ only where somebody else changed one of them.
fn agree(id: &LaneId, note: Option<LaneNote>, noted: Option<u64>, shared: bool) -> Result<Option<(Start, String)>> {
    let without_state = |at: u64, row: u64| Start { position: Position { at, row }, ..Start::default() };
    Ok(match (note, noted) {
        (None, None) => None,
        (None, Some(at)) => Some((without_state(at, 0), String::new())),
        (Some(note), Some(at)) if at > note.start.position.at => {
            tracing::warn!(
                "{id}: the group stands at {at}, beyond the last commit at {}: going on there. What the transforms knew \
                 then is not known here",
                note.start.position.at
            );
            Some((without_state(at, note.start.position.row), String::new()))
        }
        (Some(note), Some(at)) if at < note.start.position.at && !note.from_ledger => {
            return Err(Error::new(format!(
                "{id}: the group stands at {at}, and the last commit was at {}: one of them was changed, or lost by its \
                 broker",
                note.start.position.at
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

fn other_stages(id: &LaneId, was: &str, is: &str) -> Error {
    Error::config(format!("{id}: the saved state is that of other stages: it had {was}, now there are {is}"))
        .help("put the stages back, or start from the beginning with `--fresh`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> LaneState {
        let start = Start { position: Position { at: position, row: 3 }, part: 0, state: vec![vec![1]] };
        LaneState { start, held: 0, ended: false, told: None, time_ms: 0 }
    }

    /// Transactions that are always decided.
    #[derive(Default)]
    struct Agreeing {
        notes: Notes,
        bygone: std::sync::Arc<parking_lot::Mutex<Vec<String>>>,
    }

    impl Transactions for Agreeing {
        fn place(&self) -> &str {
            "here"
        }

        fn name(&self) -> &str {
            "agreeing"
        }

        fn refresh(&mut self) -> Result<()> {
            Ok(())
        }

        fn notes(&self) -> &Notes {
            &self.notes
        }

        fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
            for (key, value) in &transaction.notes {
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

        fn settle(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn instances_whose_state_directories_are_lost_are_forgotten_once_there_are_many() {
        let agreeing = Agreeing::default();
        let bygone = Arc::clone(&agreeing.bygone);
        let mut transactions: Box<dyn Transactions> = Box::new(agreeing);
        for lost in 0..OTHERS_MAX + 20 {
            let writer = format!("0-{lost:04}");
            let mut outside = Outside::of(transactions, (writer.clone(), writer), false, "a".into(), "g".into());
            outside.begin(Begin::default(), true, Vec::new()).expect("begins");
            // In another millisecond, for the order is that of their commits.
            std::thread::sleep(std::time::Duration::from_millis(2));
            transactions = outside.transactions;
        }
        let runs = transactions.notes().keys().filter(|key| key.starts_with("run/")).count();
        assert_eq!((runs, bygone.lock().len()), (OTHERS_MAX + 1, 19));
        assert!(transactions.notes().contains_key(&notes::run_key("0-0119")), "the last one");
        assert!(!transactions.notes().contains_key(&notes::run_key("0-0000")), "the first one");
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
        let id: LaneId = "t/0".into();
        let note = |from_ledger| {
            let lane = at(5);
            Some(LaneNote {
                lane: "t/0".into(),
                run: 0,
                shape: "a -> b".into(),
                start: lane.start,
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
        assert_eq!((moved.position.at, moved.state.len()), (9, 0));
        let error = agree(note(false), Some(3)).expect_err("an offset that went back");
        assert!(error.to_string().contains("stands at 3, and the last commit was at 5"), "{error}");
        let ahead = agree(note(true), Some(3)).expect("a crash came before the group was told");
        assert_eq!(ahead, Some(at(5).start));
    }
}
