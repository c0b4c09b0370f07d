//! Who decides a commit: a ledger file, or a transaction outside this process where an end can be part of one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::cut::{Begin, Cut, LastRun};
use super::instance::Instance;
use super::ledger::{Elsewhere, Entry, LaneState, Ledger};
use super::notes::{self, LaneNote, LastNote, RunNote};
use super::replay::REPLAY;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::fault;
use crate::monitor::Counts;
use crate::record::{LaneId, Position};
use crate::stage::{Acknowledge, Coordinator, Decision, Delivery, Joining, Notes, Opened, Prepared, Start};
use crate::stage::{Transaction, Transactions};

/// The commit log of a run.
pub(super) struct Log {
    ledger: Ledger,
    /// Positions that the source keeps itself.
    source: Option<Arc<dyn Acknowledge>>,
    outside: Option<Outside>,
    /// Why a coordinator that was asked cannot decide.
    unable: Option<String>,
}

/// How a log is opened.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// What was decided before is to be forgotten.
    pub(super) fresh: bool,
    /// Only one process may run the pipeline.
    pub(super) alone: bool,
    /// It is for dead letters that are sent through once more.
    pub(super) replay: bool,
}

/// A coordinator that decides.
struct Outside {
    transactions: Box<dyn Transactions>,
    writer: String,
    /// Whether only one process may run the pipeline, so that lanes belong to a run of it.
    alone: bool,
    run: u64,
    shape: String,
    /// Who keeps positions besides: the consumer group.
    keeper: String,
    counts: Counts,
    /// Transactions that need not be noted any more: all that lay beside them is visible.
    spent: Vec<u64>,
}

impl Log {
    /// Opens the log: that of a coordinator where the pipeline is to be exactly-once and there is one that can.
    pub(super) fn open(
        instance: &Instance,
        pipeline: &Pipeline,
        coordinator: Option<&dyn Coordinator>,
        source: Option<Arc<dyn Acknowledge>>,
        how: How,
    ) -> Result<Log> {
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
                let keeper = source.as_ref().map(|source| source.name()).unwrap_or_default();
                Outside::open(coordinator, pipeline, instance, keeper, how)?
            }
            None => (None, None),
        };
        let mut log = Log { ledger, source, outside, unable };
        if !how.fresh {
            log.check_identity(pipeline)?;
        }
        Ok(log)
    }

    /// The last run of a pipeline that runs alone, as far as a coordinator knows of it: looked at before this process takes
    /// its place, for it may turn out that it has nothing to do here.
    pub(super) fn look(coordinator: &dyn Coordinator, pipeline: &Pipeline) -> Result<Option<LastRun>> {
        let Some((_, notes)) = coordinator.look(&pipeline.name)? else { return Ok(None) };
        last_run(&notes, "")
    }

    /// What transforms learned from the whole input in the pipeline's last run, for a replay, which has no such input.
    pub(super) fn surveys(&self, slot: &Path) -> Result<Vec<Option<Vec<u8>>>> {
        if let Some(outside) = &self.outside
            && let Some(RunNote { begin, .. }) = notes::find(outside.transactions.notes(), &notes::run_key(""))?
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
                "commits of `{name}` were decided by transactions of cluster {}, and this run has none",
                elsewhere.place
            ))
            .help("run it with `delivery = \"exactly_once\"` as before, or start from the beginning with `--fresh`"));
        };
        let now = outside.transactions.place().to_owned();
        if elsewhere.place != now {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {}, and these brokers are cluster {now}",
                elsewhere.place
            ))
            .help("look at `brokers`, or start from the beginning with `--fresh`"));
        }
        let notes = outside.transactions.notes();
        if !notes.contains_key(&notes::run_key(&elsewhere.writer)) && !notes.contains_key(notes::FORGOTTEN) {
            return Err(Error::config(format!(
                "commits of `{name}` were decided by cluster {now}, and nothing is noted of them there: was the topic of \
                 commits deleted?"
            ))
            .help("`--fresh` starts from the beginning"));
        }
        Ok(())
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
        Ok(begun.map(|begin| LastRun { begin, done: state.done, counts: state.counts.clone() }))
    }

    /// A run begins. `anew` forgets the positions of the run before it.
    pub(super) fn begin(&mut self, begin: Begin, anew: bool) -> Result<()> {
        fault::step("begin.before")?;
        let Some(outside) = &mut self.outside else {
            if self.ledger.state().elsewhere.is_some() {
                self.ledger.append(Entry::Elsewhere(None))?;
            }
            return self.ledger.append(Entry::Begin { begin, anew });
        };
        // What a ledger decided before there was a coordinator is noted there, once.
        let ledger = self.ledger.state();
        let known: Vec<(String, LaneState)> = if ledger.elsewhere.is_none() && !anew {
            ledger.lanes.iter().map(|(id, lane)| (id.clone(), lane.clone())).collect()
        } else {
            Vec::new()
        };
        let elsewhere = Elsewhere { place: outside.transactions.place().to_owned(), writer: outside.writer.clone() };
        outside.begin(begin, anew, known)?;
        fault::step("begin.after")?;
        if ledger.elsewhere.as_ref() != Some(&elsewhere) {
            self.ledger.append(Entry::Elsewhere(Some(elsewhere)))?;
        }
        Ok(())
    }

    /// Where lanes go on.
    pub(super) fn starts(&mut self, ids: &[LaneId]) -> Result<Vec<Option<Start>>> {
        // First where the source's own positions are: that waits until every transaction about them is decided, and
        // then the notes have what belongs to them.
        let noted = match &self.source {
            Some(source) => source.acknowledged(ids)?,
            None => vec![None; ids.len()],
        };
        match &mut self.outside {
            Some(outside) => outside.starts(ids, &noted, self.source.is_some()),
            None => {
                let lanes = &self.ledger.state().lanes;
                Ok(ids.iter().zip(noted).map(|(id, noted)| merge(lanes.get(&**id), noted)).collect())
            }
        }
    }

    /// Where a lane stood at the end of this instance's last cut as its ledger has it, and whether that ledger only goes
    /// along with a coordinator.
    pub(super) fn own_start(&self, id: &LaneId) -> (bool, Option<Start>) {
        (self.outside.is_some(), self.ledger.state().lanes.get(&**id).map(|lane| lane.start.clone()))
    }

    /// The one act that makes cuts true.
    ///
    /// An error says that it is not known whether they are: the pipeline ends, and the next start finds out.
    pub(super) fn decide(&mut self, cuts: &[Cut]) -> Result<Decision> {
        let Some(outside) = &mut self.outside else {
            fault::step("decide.before")?;
            self.ledger.append(Entry::Cuts(Entry::cuts(cuts)))?;
            fault::step("decide.after")?;
            if let Some(source) = &self.source {
                // Cuts of a lane come in order, so the last one counts.
                let ends: BTreeMap<LaneId, Position> =
                    cuts.iter().map(|cut| (Arc::clone(&cut.lane), cut.span.to)).collect();
                source.acknowledge(&ends.into_iter().collect::<Vec<_>>())?;
            }
            return Ok(Decision::Committed);
        };
        let id = rand::random();
        let beside = cuts.iter().flat_map(|cut| &cut.prepared).any(|prepared| !prepared.apart().is_empty());
        if beside {
            self.ledger.append(Entry::Doubt { id, cuts: Entry::cuts(cuts) })?;
        }
        fault::step("decide.before")?;
        let decision = outside.decide(id, cuts, beside)?;
        fault::step("decide.after")?;
        Ok(decision)
    }

    /// Everything decided so far is visible.
    pub(super) fn finished(&mut self) -> Result<()> {
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
    pub(super) fn unsettled(&mut self) -> Result<Unsettled> {
        let (cuts, doubt) = unsettled(&self.ledger);
        let decided = match (&mut self.outside, doubt) {
            (Some(outside), Some(id)) => {
                // It may have been called otherwise then.
                let then = self.ledger.state().elsewhere.as_ref();
                if let Some(then) = then.filter(|then| then.writer != outside.writer) {
                    outside.transactions.settle(&then.writer)?;
                }
                outside.was_decided(id)
            }
            _ => true,
        };
        Ok(Unsettled { cuts, decided })
    }

    /// The same for the ledger of an instance that died; `None` where nobody can say whether it was decided.
    pub(super) fn unsettled_of(&mut self, orphan: &Ledger) -> Result<Option<Unsettled>> {
        let (cuts, doubt) = unsettled(orphan);
        let Some(id) = doubt else { return Ok(Some(Unsettled { cuts, decided: true })) };
        match (&mut self.outside, &orphan.state().elsewhere) {
            (Some(outside), Some(elsewhere)) if elsewhere.place == outside.transactions.place() => {
                // To settle one's own name would end what this process is doing.
                if elsewhere.writer != outside.writer {
                    outside.transactions.settle(&elsewhere.writer)?;
                }
                let decided = outside.was_decided(id);
                outside.spent.extend(decided.then_some(id));
                Ok(Some(Unsettled { cuts, decided }))
            }
            _ => Ok(None),
        }
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
    pub(super) fn forget(&mut self, pipeline: &Pipeline, coordinator: Option<&dyn Coordinator>) -> Result<()> {
        match (&mut self.outside, coordinator) {
            (Some(outside), _) => outside.forget()?,
            // What an earlier run noted with a coordinator would be believed by a later one.
            (None, Some(coordinator)) if self.ledger.state().elsewhere.is_some() => {
                if let Opened::Ready(transactions) = coordinator.open(&pipeline.name, REPLAY)? {
                    Outside::of(transactions, REPLAY.to_owned(), true, String::new(), String::new()).forget()?;
                }
            }
            (None, _) => {}
        }
        self.ledger.append(Entry::Forget)
    }
}

/// What was prepared and is not known to be visible or gone.
pub(super) struct Unsettled {
    /// What each cut prepared.
    pub(super) cuts: Vec<Vec<Vec<u8>>>,
    /// Whether they were decided.
    pub(super) decided: bool,
}

/// What a ledger has prepared that is not settled, and the transaction that was to decide it.
fn unsettled(ledger: &Ledger) -> (Vec<Vec<Vec<u8>>>, Option<u64>) {
    let state = ledger.state();
    match &state.doubt {
        Some((id, cuts)) => (cuts.iter().map(|cut| cut.prepared.clone()).collect(), Some(*id)),
        None => (state.unfinished.clone(), None),
    }
}

impl Outside {
    fn open(
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
        let writer = instance.writer.clone();
        let outside = Outside::of(transactions, writer, alone, shape, keeper);
        Ok((Some(outside), None))
    }

    fn of(transactions: Box<dyn Transactions>, writer: String, alone: bool, shape: String, keeper: String) -> Outside {
        let (counts, spent) = (Counts::default(), Vec::new());
        Outside { transactions, writer, alone, run: 0, shape, keeper, counts, spent }
    }

    fn was_decided(&self, id: u64) -> bool {
        self.transactions.notes().contains_key(&notes::decided_key(id))
    }

    fn last_run(&self) -> Result<Option<LastRun>> {
        last_run(self.transactions.notes(), &self.writer)
    }

    fn begin(&mut self, begin: Begin, anew: bool, known: Vec<(String, LaneState)>) -> Result<()> {
        self.run = begin.run;
        self.counts = match self.last_run()? {
            Some(last) if !anew => last.counts,
            _ => Counts::default(),
        };
        let mut notes = Vec::new();
        for (id, lane) in known {
            let key = notes::lane_key(&self.keeper, &id);
            let known = notes::find::<LaneNote>(self.transactions.notes(), &key)?;
            if known.is_none_or(|known| known.time_ms < lane.time_ms) {
                let (run, shape) = (self.run, begin.shape.clone());
                let (start, held, time_ms) = (lane.start, lane.held, lane.time_ms);
                let note = LaneNote { lane: id, run, shape, start, held, time_ms, from_ledger: true };
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
        let transaction = Transaction { id, notes, outputs: Vec::new(), ends: Vec::new(), fence: None };
        match self.transactions.decide(&transaction)? {
            Decision::Committed => Ok(()),
            Decision::Refused { reason } => Err(Error::new(format!("the commit was refused: {reason}"))),
        }
    }

    fn last_note(&self, counts: &Counts) -> Result<(String, Option<Vec<u8>>)> {
        let last = LastNote { counts: counts.clone(), time_ms: super::ledger::now_ms() };
        Ok((notes::last_key(&self.writer), Some(notes::encode(&last)?)))
    }

    fn starts(&mut self, ids: &[LaneId], noted: &[Option<u64>], shared: bool) -> Result<Vec<Option<Start>>> {
        if !self.alone {
            self.transactions.refresh()?;
        }
        let (alone, run, shape, keeper) = (self.alone, self.run, &*self.shape, &*self.keeper);
        let notes = self.transactions.notes();
        let start = |(id, noted): (&LaneId, &Option<u64>)| {
            let note =
                notes::find::<LaneNote>(notes, &notes::lane_key(keeper, id))?.filter(|note| !alone || note.run == run);
            let start = agree(id, note, *noted, shared)?;
            match start {
                Some((start, of)) if of != shape && !start.state.is_empty() => Err(other_stages(id, &of, shape)),
                start => Ok(start.map(|(start, _)| start)),
            }
        };
        ids.iter().zip(noted).map(start).collect()
    }

    fn decide(&mut self, id: u64, cuts: &[Cut], beside: bool) -> Result<Decision> {
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
            notes.push((notes::decided_key(id), Some(Vec::new())));
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

    fn done(&mut self) -> Result<()> {
        let Some(LastRun { begin, .. }) = self.last_run()? else { return Err(Error::bug("the end of no run")) };
        self.note(vec![(notes::run_key(&self.writer), Some(notes::encode(&RunNote { begin, done: true })?))])
    }

    fn forget(&mut self) -> Result<()> {
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

fn last_run(notes: &Notes, writer: &str) -> Result<Option<LastRun>> {
    let Some(RunNote { begin, done }) = notes::find(notes, &notes::run_key(writer))? else { return Ok(None) };
    let last: LastNote = notes::find(notes, &notes::last_key(writer))?.unwrap_or_default();
    Ok(Some(LastRun { begin, done, counts: last.counts }))
}

fn within(prepared: &Prepared) -> Option<&Joining> {
    match prepared {
        Prepared::Within(output) => Some(output),
        _ => None,
    }
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

/// The further of the two. Another member may have taken the lane on from here: its position is then the source's,
/// and the state that is kept here no longer belongs to it.
fn merge(lane: Option<&LaneState>, noted: Option<u64>) -> Option<Start> {
    match (lane, noted) {
        (Some(lane), Some(noted)) if noted > lane.start.position.at => {
            tracing::warn!(
                "another member read on from {} to {noted}: what the transforms knew then is not known here",
                lane.start.position.at
            );
            Some(Start { position: Position { at: noted, row: lane.start.position.row }, ..Start::default() })
        }
        (Some(lane), _) => Some(lane.start.clone()),
        (None, Some(noted)) => Some(Start { position: Position { at: noted, row: 0 }, ..Start::default() }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> LaneState {
        let start = Start { position: Position { at: position, row: 3 }, part: 0, state: vec![vec![1]] };
        LaneState { start, held: 0, time_ms: 0 }
    }

    #[test]
    fn a_lane_goes_on_at_the_further_of_both_positions_and_keeps_its_state_only_where_it_fits() {
        assert_eq!(merge(None, None), None);
        assert_eq!(merge(Some(&at(5)), None), Some(at(5).start));
        assert_eq!(merge(Some(&at(5)), Some(4)), Some(at(5).start), "a crash came before the group was told");
        assert_eq!(merge(Some(&at(5)), Some(5)), Some(at(5).start));
        let ahead = merge(Some(&at(5)), Some(9)).expect("starts");
        assert_eq!((ahead.position.at, ahead.state.len()), (9, 0));
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
