//! A split's thread: source, transforms, writer, and the barriers at which it is cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::Array;
use crossbeam_channel::{SendTimeoutError, Sender};

use super::chain::{Chain, ChainOutput};
use super::checkpoint::Checkpoint;
use super::control::{Control, SignalCell, TaskSignal};
use super::sinks::{Output, Writers};
use crate::error::{Error, Result};
use crate::fault;
use crate::monitor::{Counts, FlagCounts, Metrics};
use crate::record::{Batch, Column, Fields, Flag, OffsetRange, Position, SplitId};
use crate::stage::{DeadLetter, FencingToken, Poll, Prepared, SplitReader};

/// Rows in a batch at most: larger ones win nothing, smaller ones cost (measured on chains of 13 columns).
const BATCH_ROWS: u64 = 8192;
/// How often a split looks at its orders and lets transforms give up what waited too long.
const LOOK: Duration = Duration::from_millis(100);
/// After so many records of an open source its fields are compared with those that the stages name.
const FIELDS_SETTLED: u64 = 1_000;

/// Looks once whether the fields that really come are those that the stages name.
pub(super) type FieldCheck = Arc<dyn Fn(&Fields) + Send + Sync>;

/// When a split comes to a barrier by itself.
#[derive(Clone, Copy)]
pub(super) struct Barrier {
    /// After so many records read.
    pub(super) most: u64,
    /// When the first of them has waited so long.
    pub(super) timeout: Duration,
    /// Where all splits come to barriers at the same times, which are multiples of the timeout: since when.
    pub(super) together: Option<Instant>,
}

impl Barrier {
    /// When a stretch is to end that began at `since`.
    fn due(&self, since: Instant) -> Instant {
        let Some(first) = self.together else { return since + self.timeout };
        let period = self.timeout.as_nanos().max(1);
        let over = since.saturating_duration_since(first).as_nanos() % period;
        since + Duration::from_nanos(u64::try_from(period - over).unwrap_or(u64::MAX))
    }
}

pub(super) struct Task {
    pub(super) id: SplitId,
    pub(super) epoch: u64,
    pub(super) reins: Arc<SignalCell>,
    pub(super) control: Arc<Control>,
    pub(super) checkpoints: Sender<Checkpoint>,
    pub(super) split: Box<dyn SplitReader>,
    pub(super) chain: Chain,
    pub(super) writers: Writers,
    pub(super) barrier: Barrier,
    pub(super) metrics: Arc<Metrics>,
    pub(super) source_label: String,
    pub(super) sink_label: String,
    pub(super) check_fields: Option<FieldCheck>,
    /// Whether that the split has ended is committed even where nothing else is.
    pub(super) notes_end: bool,
    pub(super) fence: Option<FencingToken>,
    /// Whether where it begins is committed before anything is read.
    pub(super) notes_beginning: bool,
    pub(super) now: OpenCheckpoint,
}

/// What happened in a split since its last barrier.
pub(super) struct OpenCheckpoint {
    from: Position,
    /// Where the next record starts that has not gone through the transforms.
    at: Position,
    part: u32,
    counts: Counts,
    flags: BTreeMap<Arc<str>, FlagCounts>,
    /// When the first of it happened.
    since: Option<Instant>,
    fields: Option<Arc<Fields>>,
    times: HashMap<String, i64>,
    read_in_all: u64,
    /// Whether there is nothing more.
    ended: bool,
}

impl OpenCheckpoint {
    pub(super) fn at(position: Position, part: u32, held: u64) -> OpenCheckpoint {
        OpenCheckpoint {
            from: position,
            at: position,
            part,
            counts: Counts { held_before: held, ..Counts::default() },
            flags: BTreeMap::new(),
            since: None,
            fields: None,
            times: HashMap::new(),
            read_in_all: 0,
            ended: false,
        }
    }

    /// Whether nothing happened. A position that moved over what is no record is something: a source may drop what lies
    /// before it, and would then seem to have dropped records.
    fn is_empty(&self) -> bool {
        let c = &self.counts;
        self.at == self.from && c.read == 0 && c.written == 0 && c.dead == 0 && c.filtered == 0
    }

    /// The split stands here, and nothing was read since it stood elsewhere.
    fn moved_to(&mut self, position: Position) {
        self.at = position;
        if self.at != self.from {
            self.since.get_or_insert_with(Instant::now);
        }
    }
}

impl Task {
    /// Runs the split to its end, or until it is told otherwise.
    pub(super) fn run(mut self) {
        match self.carry_on() {
            Ok(()) => {}
            // Somebody else has the split, and what this one could not do is not missed.
            Err(error) if self.reins.order() == TaskSignal::Lost => {
                tracing::debug!("{}: a lost split ends with an error: {error}", self.id);
            }
            Err(error) => {
                let at = self.now.at;
                let place = self.place(at.offset);
                self.control.fail(error.at(format!("{place} (record {})", at.records)));
            }
        }
        self.metrics.lag(&self.id, None);
        self.control.ended(&self.id, self.epoch);
    }

    fn carry_on(&mut self) -> Result<()> {
        let mut looked = Instant::now();
        if self.notes_beginning {
            self.checkpoint_always()?;
        }
        loop {
            match self.reins.order() {
                TaskSignal::Run => {}
                TaskSignal::Drain => return self.checkpoint(),
                TaskSignal::Lost => return Ok(()),
            }
            let now = Instant::now();
            let until = self.due().map_or(now + LOOK, |due| due.min(now + LOOK));
            match self.split.next(self.room() as usize, until).map_err(|e| e.in_stage(&self.source_label))? {
                Poll::Rows(batch, dead) => self.carry(batch, dead)?,
                Poll::Idle => self.now.moved_to(self.split.position()),
                Poll::End => {
                    self.now.at = self.split.position();
                    let passed = self.chain.finish()?;
                    self.hand_on(passed)?;
                    if self.chain.held() > 0 {
                        return Err(Error::bug("a transform held rows back after the end of the input"));
                    }
                    self.now.ended = true;
                    let anyway = self.notes_end || self.split.commits_at_end();
                    return if anyway { self.checkpoint_always() } else { self.checkpoint() };
                }
            }
            let now = Instant::now();
            if now.duration_since(looked) >= LOOK {
                looked = now;
                self.metrics.lag(&self.id, self.split.lag());
                let passed = self.chain.tick(now)?;
                self.hand_on(passed)?;
            }
            if self.is_due(now) {
                self.checkpoint()?;
            }
        }
    }

    /// How many records may still be read before the next barrier.
    fn room(&self) -> u64 {
        self.barrier.most.saturating_sub(self.now.counts.read).clamp(1, BATCH_ROWS)
    }

    fn due(&self) -> Option<Instant> {
        self.now.since.map(|since| self.barrier.due(since))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.now.counts.read >= self.barrier.most
            || self.due().is_some_and(|due| now >= due)
            || self.writers.records.is_full()
            || self.writers.dead_letters.as_ref().is_some_and(|dead| dead.is_full())
    }

    /// Takes what the source read.
    fn carry(&mut self, batch: Batch, dead: Vec<DeadLetter>) -> Result<()> {
        let started = Instant::now();
        if batch.rows() > 0 && self.now.fields.as_ref().is_some_and(|known| **known != **batch.fields()) {
            // One output has one set of columns: what came before is cut off where this batch starts.
            self.checkpoint()?;
        }
        if batch.rows() > 0 {
            self.now.fields = Some(Arc::clone(batch.fields()));
        }
        self.metrics.progress.fetch_add((batch.rows() + dead.len()) as u64, Ordering::Relaxed);
        match dead.first() {
            Some(first) if self.writers.dead_letters.is_none() => self.stop_at(&batch, first)?,
            _ => {
                self.now.counts.read += dead.len() as u64;
                let label = self.source_label.clone();
                self.bury(
                    dead.into_iter().map(|letter| DeadLetter { stage: label.clone(), ..letter }).collect(),
                    true,
                )?;
                self.transform(batch, self.split.position())?;
            }
        }
        self.now.since.get_or_insert(started);
        self.metrics.carried(started.elapsed());
        Ok(())
    }

    /// There is nowhere to put a record that cannot be carried: commits what came before it, and fails with its place.
    fn stop_at(&mut self, batch: &Batch, bad: &DeadLetter) -> Result<()> {
        let before = batch.source_offsets().partition_point(|origin| *origin < bad.source_offset);
        let to = Position { offset: bad.source_offset, records: self.now.at.records + before as u64 };
        self.transform(batch.slice(0, before), to)?;
        self.checkpoint()?;
        let stage = if bad.stage.is_empty() { self.source_label.clone() } else { bad.stage.clone() };
        Err(self.no_dead_letters(bad, &stage))
    }

    /// The place of a record, for a person.
    fn place(&mut self, at: u64) -> String {
        self.split.describe_offset(at).unwrap_or_else(|| format!("{} {at}", self.id))
    }

    fn no_dead_letters(&mut self, bad: &DeadLetter, stage: &str) -> Error {
        let place = bad.place.clone().unwrap_or_else(|| self.place(bad.source_offset));
        Error::new(bad.reason.clone())
            .in_stage(stage)
            .at(place)
            .help("a [dead_letter] lets the pipeline set such records aside and go on")
    }

    /// Puts rows through the transforms; `to` is where the split stands after them.
    fn transform(&mut self, batch: Batch, to: Position) -> Result<()> {
        let rows = batch.rows() as u64;
        self.look_at(&batch)?;
        // Without dead letters a rejected row must stop the pipeline with what came before it committed: the
        // transforms then go back to before this batch, and take its beginning alone.
        let retry = (self.writers.dead_letters.is_none() && self.chain.rejects())
            .then(|| Ok((self.chain.save()?, batch.clone())));
        let retry = retry.transpose()?;
        let passed = self.chain.apply(batch)?;
        if let (Some((states, batch)), Some(bad)) = (retry, passed.dead.first()) {
            self.chain.reset(&states)?;
            let before = batch.source_offsets().partition_point(|origin| *origin < bad.source_offset);
            let at = Position {
                offset: bad.source_offset.max(self.now.at.offset),
                records: self.now.at.records + before as u64,
            };
            let start = self.chain.apply(batch.slice(0, before))?;
            if before > 0 && start.dead.is_empty() {
                self.now.counts.read += before as u64;
                self.now.at = at;
                self.hand_on(start)?;
            }
            self.checkpoint()?;
            return Err(self.no_dead_letters(bad, &bad.stage));
        }
        self.now.counts.read += rows;
        self.now.at = to;
        self.hand_on(passed)
    }

    /// Hands to the ends what came out of the transforms.
    fn hand_on(&mut self, passed: ChainOutput) -> Result<()> {
        self.now.counts.filtered += passed.filtered;
        if let (Some(bad), None) = (passed.dead.first(), &self.writers.dead_letters) {
            return Err(self.no_dead_letters(bad, &bad.stage));
        }
        self.bury(passed.dead, true)?;
        for batch in passed.batches {
            self.write(batch)?;
        }
        if !self.now.is_empty() {
            self.now.since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let (rows, mut dead) = (batch.rows() as u64, Vec::new());
        self.count(&batch);
        self.writers.records.write(batch, &mut dead).map_err(|e| e.in_stage(&self.sink_label))?;
        self.now.counts.written += rows - dead.len() as u64;
        if let (Some(bad), None) = (dead.first(), &self.writers.dead_letters) {
            let label = self.sink_label.clone();
            return Err(self.no_dead_letters(bad, &label));
        }
        let label = self.sink_label.clone();
        self.bury(dead.into_iter().map(|letter| DeadLetter { stage: label.clone(), ..letter }).collect(), false)
    }

    /// Hands letters over; `as_read` where their bytes are those of the source.
    fn bury(&mut self, mut letters: Vec<DeadLetter>, as_read: bool) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let form = if as_read { self.split.raw_schema() } else { None };
        for letter in &mut letters {
            if letter.place.is_none() {
                letter.place = self.split.describe_offset(letter.source_offset);
            }
            letter.raw_schema.clone_from(&form);
        }
        let Some(dead) = &mut self.writers.dead_letters else {
            return Err(Error::bug("a dead letter without an end for it"));
        };
        self.now.counts.dead += letters.len() as u64;
        dead.write(letters, &mut Vec::new()).map_err(|e| e.in_stage("dead_letter"))
    }

    /// A barrier: what happened since the last one becomes a checkpoint. Nothing where nothing happened.
    fn checkpoint(&mut self) -> Result<()> {
        if self.now.is_empty() { Ok(()) } else { self.checkpoint_always() }
    }

    fn checkpoint_always(&mut self) -> Result<()> {
        let now = &mut self.now;
        now.counts.held_after = self.chain.held();
        now.counts.flags = std::mem::take(&mut now.flags);
        if !now.counts.balance() {
            return Err(Error::bug(format!("records are not accounted for: {:?}", now.counts)));
        }
        let part = if now.at == now.from { now.part + 1 } else { 0 };
        let span = OffsetRange { from: now.from, to: now.at, sequence: part };
        fault::step("prepare.sink")?;
        let sink = self.writers.records.prepare(span).map_err(|e| e.in_stage(&self.sink_label))?;
        fault::step("prepare.dead")?;
        let dead = match &mut self.writers.dead_letters {
            Some(dead) => dead.prepare(span).map_err(|e| e.in_stage("dead_letter"))?,
            None => Prepared::Nothing,
        };
        fault::step("prepare.done")?;
        let mut state = vec![self.split.snapshot_state(span.to)?];
        state.extend(self.chain.save()?);
        let held = now.counts.held_after;
        let counts = std::mem::take(&mut now.counts);
        now.counts.held_before = held;
        (now.from, now.part, now.since) = (now.at, part, None);
        self.hand_over(Checkpoint {
            split: Arc::clone(&self.id),
            epoch: self.epoch,
            span,
            state,
            output: Output { records: sink, dead_letters: dead },
            counts,
            ended: self.now.ended,
            fence: self.fence.clone(),
        })
    }

    fn hand_over(&self, mut checkpoint: Checkpoint) -> Result<()> {
        self.control.handed_over(&self.id, self.epoch);
        loop {
            match self.checkpoints.send_timeout(checkpoint, LOOK) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => checkpoint = back,
                Err(SendTimeoutError::Disconnected(_)) => return Err(Error::bug("the committer is gone")),
            }
        }
    }

    /// Notes what is worth a word about the rows as they come in: times that go back or repeat, fields that are missing.
    fn look_at(&mut self, batch: &Batch) -> Result<()> {
        self.now.read_in_all += batch.rows() as u64;
        if self.now.read_in_all >= FIELDS_SETTLED
            && let Some(check) = self.check_fields.take()
        {
            check(batch.fields());
        }
        let rows = batch.rows();
        let mut row = 0;
        while row < rows {
            let (key, end) = key_run(batch, row);
            let mut last = self.now.times.get(key).copied();
            for (i, time) in batch.time()[row..end].iter().copied().enumerate() {
                match last {
                    Some(before) if time < before => {
                        if self.now.counts.out_of_order == 0 {
                            let at = batch.source_offsets()[row + i];
                            let place = self.split.describe_offset(at).unwrap_or_else(|| format!("{} {at}", self.id));
                            tracing::warn!(
                                "{place}: this record is older than the one before it with its key: such records are carried as they \
                                 are, and counted in the summary"
                            );
                        }
                        self.now.counts.out_of_order += 1;
                    }
                    Some(before) if time == before => self.now.counts.repeated += 1,
                    _ => {}
                }
                last = Some(time);
            }
            if let Some(last) = last {
                let known = self.now.times.len();
                if let Some(slot) = self.now.times.get_mut(key) {
                    *slot = last;
                } else if known < KEYS_MAX {
                    self.now.times.insert(key.to_owned(), last);
                }
            }
            row = end;
        }
        Ok(())
    }

    /// Counts scores and flags of rows on their way out.
    fn count(&mut self, batch: &Batch) {
        let now = &mut self.now;
        if let Some(scores) = batch.score() {
            now.counts.scored += (scores.len() - scores.null_count()) as u64;
            now.counts.score_sum += scores.iter().flatten().sum::<f64>();
        }
        for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
            let Column::Number(numbers) = column else { continue };
            if field.derived {
                continue;
            }
            let sums = match now.flags.get_mut(&field.name) {
                Some(sums) => sums,
                None => now.flags.entry(Arc::clone(&field.name)).or_default(),
            };
            // A pass for each flag, not a look-up for each cell: the compiler makes vector code of it.
            for (sum, flag) in sums.iter_mut().zip(Flag::ALL) {
                *sum += numbers.quality.iter().filter(|mark| **mark & 0xf == flag as u32).count() as u64;
            }
        }
    }
}

/// How many keys a split remembers the last time of.
const KEYS_MAX: usize = 100_000;

/// The key of a row, and the end of the run of rows that have it.
fn key_run(batch: &Batch, row: usize) -> (&str, usize) {
    let Some(keys) = batch.key() else { return ("", batch.rows()) };
    let of = |row: usize| if keys.is_valid(row) { keys.value(row) } else { "" };
    let key = of(row);
    (key, (row + 1..batch.rows()).find(|next| of(next.to_owned()) != key).unwrap_or(batch.rows()))
}
