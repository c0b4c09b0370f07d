//! The run loop of a task: source, transforms, writers, and the checkpoints between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender};

use super::checkpoint_builder::CheckpointBuilder;
use super::schedule::CheckpointSchedule;
use crate::clock::{Clock, thread_cpu_time};
use crate::error::{Error, Result};
use crate::fault;
use crate::metrics::{Metrics, SplitMetrics, StageMetrics, StageSnapshot};
use crate::record::{Batch, Fields, Position, SAMPLE_RECORDS, SplitId};
use crate::run::chain::{Chain, ChainOutput};
use crate::run::commit::{Checkpoint, SplitChange};
use crate::run::guard;
use crate::run::losses::LossWatch;
use crate::run::reconfigure::Reconfiguration;
use crate::run::sinks::{DEAD_LETTER, Output, Writers};
use crate::run::tasks::{TaskHandle, TaskSignal, Tasks};
use crate::stage::{DeadLetter, FencingToken, Poll, Prepared, SplitReader, Waker};

/// Rows in a batch at most: those of some twenty columns and their text fit the second cache of a processor, and calls of stages are
/// few beside them.
const BATCH_ROWS_MAX: u64 = 2048;
/// Places in a message at most.
const PLACES_MAX: usize = 8;
/// How often a task looks at its signal and lets transforms emit what waited too long.
const SIGNAL_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The same where a signal wakes it, and no row waits in it.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the newest readings of stations are told.
const STATIONS_INTERVAL: Duration = Duration::from_secs(1);
/// Compares once the fields that really come with those that the stages name.
pub(in crate::run) type FieldCheck = Arc<dyn Fn(&Fields) + Send + Sync>;

/// The task of a split. It owns its reader, its transforms and its writers.
pub(in crate::run) struct Task {
    pub(in crate::run) id: SplitId,
    pub(in crate::run) epoch: u64,
    pub(in crate::run) handle: Arc<TaskHandle>,
    pub(in crate::run) tasks: Arc<Tasks>,
    pub(in crate::run) checkpoints: Sender<Checkpoint>,
    pub(in crate::run) reader: Box<dyn SplitReader>,
    pub(in crate::run) chain: Chain,
    pub(in crate::run) writers: Writers,
    pub(in crate::run) schedule: CheckpointSchedule,
    pub(in crate::run) metrics: Arc<Metrics>,
    /// The live counts of this split.
    pub(in crate::run) live: Arc<SplitMetrics>,
    pub(in crate::run) source_metrics: Arc<StageMetrics>,
    pub(in crate::run) sink_metrics: Arc<StageMetrics>,
    pub(in crate::run) clock: Clock,
    pub(in crate::run) source_label: String,
    pub(in crate::run) sink_label: String,
    pub(in crate::run) check_fields: Option<FieldCheck>,
    pub(in crate::run) fencing_token: Option<FencingToken>,
    /// Whether the first position is committed before anything is read.
    pub(in crate::run) commits_at_start: bool,
    /// Whether the end of the split is committed even if nothing else is.
    pub(in crate::run) commits_at_end: bool,
    /// Watches how many records of the split are lost, so that the committer hears of too many soon.
    pub(in crate::run) losses: LossWatch,
    pub(in crate::run) open: CheckpointBuilder,
    /// What ends a wait of the reader, once the task runs.
    pub(in crate::run) waker: Option<Waker>,
}

impl Task {
    /// Runs the split to its end, or until a signal ends it.
    pub(in crate::run) fn run(mut self) {
        self.waker = self.reader.waker();
        self.handle.set_waker(self.waker.clone());
        let ran = self.run_loop();
        self.handle.set_waker(None);
        match ran {
            Ok(()) => {}
            // Another instance has the split, and carries what this one could not.
            Err(error) if self.handle.signal() == TaskSignal::Revoked => {
                tracing::debug!("{}: a revoked split ends with an error: {error}", self.id);
            }
            Err(error) => {
                let at = self.open.at;
                let place = self.place(at.offset);
                self.tasks.fail(error.at(format!("{place} (record {})", at.records)));
            }
        }
        self.tell_stations();
        self.metrics.close_split(&self.id);
        self.tasks.task_ended(&self.id, self.epoch);
    }

    fn run_loop(&mut self) -> Result<()> {
        self.live.measure_lag_by(self.reader.lag_meter());
        let mut looked = self.clock.now();
        let mut told = looked;
        if self.may_go_back() {
            // Before the first checkpoint: what a transform told then, it does not tell again.
            self.chain.set_mark()?;
        }
        if self.commits_at_start {
            self.take_checkpoint()?;
        }
        loop {
            match self.handle.signal() {
                TaskSignal::Run => {}
                TaskSignal::Drain => return self.checkpoint(),
                TaskSignal::Revoked => return Ok(()),
            }
            if let Some(reconfiguration) = self.handle.take_reconfiguration() {
                self.reconfigure(&reconfiguration)?;
            }
            match self.poll()? {
                Poll::Rows(batch, dead) => self.process(batch, dead)?,
                Poll::Idle => self.open.move_to(self.reader.position(), self.clock.now()),
                Poll::End => return self.end(),
            }
            let now = self.clock.now();
            if now.saturating_duration_since(looked) >= SIGNAL_POLL_INTERVAL {
                looked = now;
                self.live.set_lag(self.reader.lag(), self.reader.lag_behind(self.live.committed_to()));
                if now.saturating_duration_since(told) >= STATIONS_INTERVAL {
                    told = now;
                    self.tell_stations();
                }
                let out = self.chain.tick(now)?;
                self.emit(out)?;
            }
            if self.too_many_are_lost() {
                self.checkpoint()?;
                // The committer may end the run, which then has not read more.
                self.tasks.wait_for_commits(&self.id, self.epoch, SIGNAL_POLL_INTERVAL);
            } else if self.is_due(now) {
                self.checkpoint()?;
            }
        }
    }

    fn poll(&mut self) -> Result<Poll> {
        let now = self.clock.now();
        let is_idle = self.waker.is_some() && self.open.since.is_none() && self.chain.held() == 0;
        let until = now + if is_idle { IDLE_POLL_INTERVAL } else { SIGNAL_POLL_INTERVAL };
        let until = self.due().map_or(until, |due| due.min(until));
        let until = self.clock.deadline(until);
        // So many records may still be read before the next checkpoint, or until it is known whether the first ones are all lost.
        let left = self.schedule.records_max.saturating_sub(self.open.accounting.counts.read);
        let left = self.losses.first_left().map_or(left, |first| first.min(left));
        let used = thread_cpu_time();
        self.live.set_busy(false);
        let polled =
            guard::call(&self.source_label, || self.reader.next(left.clamp(1, BATCH_ROWS_MAX) as usize, until))?;
        self.live.set_busy(true);
        self.live.read_to(self.reader.position());
        if let Poll::Rows(batch, dead) = &polled {
            let (rows_out, dead) = (batch.rows() as u64, dead.len() as u64);
            // Its processor time: it waits for records, and that is no work.
            let time = thread_cpu_time().saturating_sub(used);
            let read = StageSnapshot { rows_in: rows_out + dead, rows_out, dead, time, ..StageSnapshot::default() };
            self.source_metrics.add(&read);
        }
        if cfg!(debug_assertions)
            && let Poll::Rows(batch, dead) = &polled
        {
            self.check_order(batch, dead);
        }
        Ok(polled)
    }

    /// The three rules of [`SplitReader`]. A reader that breaks them loses records after a crash.
    fn check_order(&self, batch: &Batch, dead: &[DeadLetter]) {
        let label = &self.source_label;
        let offsets = batch.source_offsets();
        let dead: Vec<u64> = dead.iter().map(|letter| letter.source_offset).collect();
        debug_assert!(offsets.is_sorted() && dead.is_sorted(), "{label}: source offsets ascend");
        let (first, last) = (offsets.iter().chain(&dead).min(), offsets.iter().chain(&dead).max());
        debug_assert!(
            first.is_none_or(|first| *first >= self.open.at.offset),
            "{label}: an offset before the position"
        );
        let position = self.reader.position().offset;
        debug_assert!(last.is_none_or(|last| *last < position), "{label}: a position before an offset that was read");
    }

    /// Tells the newest readings of the stations of which some came since the last time.
    fn tell_stations(&mut self) {
        self.metrics.record_stations(self.open.accounting.stations.take_changed());
    }

    /// The input has ended: all held rows go out, and a checkpoint says so.
    fn end(&mut self) -> Result<()> {
        self.open.at = self.reader.position();
        let out = self.chain.finish()?;
        self.emit(out)?;
        self.open.ended = true;
        if self.commits_at_end || self.reader.commits_at_end() { self.take_checkpoint() } else { self.checkpoint() }
    }

    fn due(&self) -> Option<Instant> {
        self.open.since.map(|since| self.schedule.due(since))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.open.accounting.counts.read >= self.schedule.records_max
            || self.due().is_some_and(|due| now >= due)
            || self.writers.is_full()
    }

    /// Looks at what became of records since the last time: whether too many of this split are lost, once for each time.
    fn too_many_are_lost(&mut self) -> bool {
        let losses = self.open.accounting.take_losses();
        let found = self.losses.observe(&losses, self.chain.held());
        self.open.losses.extend(losses);
        if found.is_some() {
            self.losses.start_again();
        }
        found.is_some()
    }

    /// Takes what the source read.
    fn process(&mut self, batch: Batch, dead: Vec<DeadLetter>) -> Result<()> {
        let started = self.clock.now();
        if batch.rows() > 0 && self.open.fields.as_ref().is_some_and(|known| **known != **batch.fields()) {
            // One output has one set of fields: a checkpoint ends where this batch starts.
            self.checkpoint()?;
        }
        if batch.rows() > 0 {
            self.open.fields = Some(Arc::clone(batch.fields()));
        }
        let rows = (batch.rows() + dead.len()) as u64;
        self.metrics.progress.fetch_add(rows, Ordering::Relaxed);
        self.live.read(rows);
        self.chain.only_parts(self.reader.parts());
        match dead.first() {
            Some(first) if self.writers.dead_letters.is_none() => self.stop_at(&batch, first)?,
            _ => {
                self.open.accounting.counts.read += dead.len() as u64;
                self.dead_letters(with_stage(dead, &self.source_label), true)?;
                self.transform(batch, self.reader.position())?;
            }
        }
        self.open.since.get_or_insert(started);
        self.metrics.record_batch(rows, self.clock.now() - started);
        Ok(())
    }

    /// A record cannot be carried and there is no sink for dead letters: commits what came before it, and fails with its
    /// place.
    fn stop_at(&mut self, batch: &Batch, bad: &DeadLetter) -> Result<()> {
        let before = batch.source_offsets().partition_point(|offset| *offset < bad.source_offset);
        let to = Position { offset: bad.source_offset, records: self.open.at.records + before as u64 };
        self.transform(batch.slice(0, before), to)?;
        self.checkpoint()?;
        let stage = if bad.stage.is_empty() { self.source_label.clone() } else { bad.stage.clone() };
        Err(self.no_dead_letter_sink(bad, &stage))
    }

    /// The place of a record, for a person.
    fn place(&mut self, offset: u64) -> String {
        // It may be the reader that panicked.
        let place = guard::call(&self.source_label, || Ok(self.reader.describe_offset(offset)));
        place.ok().flatten().unwrap_or_else(|| format!("{}@{offset}", self.id))
    }

    /// The place of a dead letter, for a person: of a merged row, those of all its records.
    fn place_of(&mut self, letter: &DeadLetter) -> String {
        let mut places: Vec<String> =
            letter.records.iter().take(PLACES_MAX).map(|record| self.place(record.source_offset)).collect();
        match (letter.records.len(), &letter.part) {
            (0, None) => self.place(letter.source_offset),
            (0, Some(part)) => format!("{}, part {part}", self.place(letter.source_offset)),
            (records, _) => {
                places.extend((records > PLACES_MAX).then(|| format!("{} more", records - PLACES_MAX)));
                places.join(", ")
            }
        }
    }

    fn no_dead_letter_sink(&mut self, bad: &DeadLetter, stage: &str) -> Error {
        let place = bad.place.clone().unwrap_or_else(|| self.place_of(bad));
        Error::new(bad.reason.clone())
            .in_stage(stage)
            .at(place)
            .help("a [dead_letter] lets the pipeline set such records aside and go on")
    }

    /// Whether the transforms may have to go back to before a batch.
    fn may_go_back(&self) -> bool {
        self.writers.dead_letters.is_none() && self.chain.rejects()
    }

    /// Puts rows through the transforms; `to` is where the reader stands after them.
    fn transform(&mut self, batch: Batch, to: Position) -> Result<()> {
        let rows = batch.rows() as u64;
        self.look_at_input(&batch);
        // Without a sink for dead letters a rejected row must stop the pipeline with what came before it committed: the
        // transforms then go back to before this batch, and take its beginning alone.
        let again = self.may_go_back().then(|| batch.clone());
        if again.is_some() {
            self.chain.set_mark()?;
        }
        let out = self.chain.apply(batch)?;
        if let (Some(batch), Some(bad)) = (again, out.dead.first()) {
            self.chain.back_to_mark()?;
            let before = batch.source_offsets().partition_point(|offset| *offset < bad.source_offset);
            let at = Position {
                offset: bad.source_offset.max(self.open.at.offset),
                records: self.open.at.records + before as u64,
            };
            let start = self.chain.apply(batch.slice(0, before))?;
            if before > 0 && start.dead.is_empty() {
                self.open.accounting.counts.read += before as u64;
                self.open.at = at;
                self.emit(start)?;
            }
            self.checkpoint()?;
            return Err(self.no_dead_letter_sink(bad, &bad.stage));
        }
        self.open.accounting.counts.read += rows;
        self.open.at = to;
        self.emit(out)
    }

    /// Notes timestamps that go back, and fields that are missing.
    fn look_at_input(&mut self, batch: &Batch) {
        if let Some(offset) = self.open.accounting.count_input(batch) {
            tracing::warn!(
                "{}: this record is older than the one before it with its key: such records are carried as they are, and \
                 counted in the summary",
                self.place(offset)
            );
        }
        if self.open.accounting.read_in_all() >= SAMPLE_RECORDS
            && let Some(check) = self.check_fields.take()
        {
            check(batch.fields());
        }
    }

    /// Writes what came out of the transforms.
    fn emit(&mut self, out: ChainOutput) -> Result<()> {
        let accounting = &mut self.open.accounting;
        accounting.count_filtered(out.filtered);
        accounting.counts.made += out.made;
        accounting.counts.merged += out.merged;
        if let (Some(bad), None) = (out.dead.first(), &self.writers.dead_letters) {
            return Err(self.no_dead_letter_sink(bad, &bad.stage));
        }
        self.dead_letters(out.dead, true)?;
        for batch in out.batches {
            self.write(batch)?;
        }
        if !self.open.is_empty() {
            self.open.since.get_or_insert_with(|| self.clock.now());
        }
        Ok(())
    }

    fn write(&mut self, batch: Batch) -> Result<()> {
        let mut dead = Vec::new();
        self.open.accounting.count_output(&batch);
        if let Some(recent) = self.metrics.recent_output() {
            recent.offer(&batch, self.clock.now());
        }
        let offsets = batch.source_offsets_buffer();
        let (rows_in, started) = (batch.rows() as u64, self.clock.now());
        guard::call(&self.sink_label, || self.writers.records.write(batch, &mut dead))?;
        let (dead_rows, time) = (dead.len() as u64, self.clock.now() - started);
        let rows_out = rows_in.saturating_sub(dead_rows);
        let written = StageSnapshot { rows_in, rows_out, dead: dead_rows, time, ..StageSnapshot::default() };
        self.sink_metrics.add(&written);
        self.open.accounting.count_written(&offsets, &dead);
        if let (Some(bad), None) = (dead.first(), &self.writers.dead_letters) {
            let label = self.sink_label.clone();
            return Err(self.no_dead_letter_sink(bad, &label));
        }
        self.dead_letters(with_stage(dead, &self.sink_label), false)
    }

    /// Writes dead letters; `as_read` where their bytes are those of the source.
    fn dead_letters(&mut self, mut letters: Vec<DeadLetter>, as_read: bool) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        for letter in &mut letters {
            if letter.place.is_none() {
                letter.place = Some(self.place_of(letter));
            }
            letter.raw_schema = if as_read { self.reader.raw_schema(letter) } else { None };
        }
        let Some(writer) = &mut self.writers.dead_letters else {
            return Err(Error::bug("a dead letter without a sink for it"));
        };
        self.open.accounting.count_dead(&self.id, &letters);
        if let Some(recent) = self.metrics.recent_output() {
            for DeadLetter { stage, reason, place, raw, .. } in &letters {
                let place = place.as_deref().unwrap_or_default();
                recent.dead_letter(self.clock.unix_ms(), stage, reason, place, raw.as_deref());
            }
        }
        guard::call(DEAD_LETTER, || writer.write(letters, &mut Vec::new()))
    }

    /// Closes the open checkpoint, unless it is empty.
    fn checkpoint(&mut self) -> Result<()> {
        if self.open.is_empty() { Ok(()) } else { self.take_checkpoint() }
    }

    fn take_checkpoint(&mut self) -> Result<()> {
        let range = self.open.range();
        let since = self.open.accounting.take_losses();
        self.losses.observe(&since, self.chain.held());
        self.open.losses.extend(since);
        let losses = std::mem::take(&mut self.open.losses);
        let (counts, measured) = self.open.close(self.chain.held(), self.clock.now())?;
        fault::step("prepare.sink")?;
        let started = self.clock.now();
        let records = guard::call(&self.sink_label, || self.writers.records.prepare(range))?;
        self.sink_metrics.add(&StageSnapshot { time: self.clock.now() - started, ..StageSnapshot::default() });
        fault::step("prepare.dead")?;
        let dead_letters = match &mut self.writers.dead_letters {
            Some(writer) => guard::call(DEAD_LETTER, || writer.prepare(range))?,
            None => Prepared::Nothing,
        };
        fault::step("prepare.done")?;
        let reader = guard::call(&self.source_label, || self.reader.snapshot_state(range.to))?;
        let transforms = self.chain.save_changes()?;
        self.submit(Checkpoint {
            split: Arc::clone(&self.id),
            epoch: self.epoch,
            range,
            change: SplitChange { position: range.to, sequence: range.sequence, reader, transforms },
            output: Output { records, dead_letters },
            counts,
            losses,
            measured,
            ended: self.open.ended,
            fencing_token: self.fencing_token.clone(),
        })
    }

    /// Hands a checkpoint to the committer. Waits where many are under way.
    fn submit(&self, mut checkpoint: Checkpoint) -> Result<()> {
        self.tasks.submit_checkpoint(&self.id, self.epoch, checkpoint.change.bytes());
        self.metrics.checkpoints_waiting.fetch_add(1, Ordering::Relaxed);
        loop {
            match self.checkpoints.send_timeout(checkpoint, SIGNAL_POLL_INTERVAL) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => checkpoint = back,
                Err(SendTimeoutError::Disconnected(_)) => return Err(Error::bug("the committer is gone")),
            }
        }
    }

    /// At a checkpoint the split takes part in a swap of the transforms. Without the agreement of all splits it keeps its own.
    fn reconfigure(&mut self, reconfiguration: &Reconfiguration) -> Result<()> {
        self.checkpoint()?;
        let (old, new) = (reconfiguration.old(), reconfiguration.new_pipeline());
        let candidate = self.chain.reconfigured(old, new, reconfiguration.fitted());
        let signal = || self.handle.signal() == TaskSignal::Run;
        if let Some(candidate) = reconfiguration.vote(&self.id, candidate, signal) {
            self.chain.swap(candidate);
            self.open.fields = None;
            // The last checkpoint has the state of the old stages: no start is to find that.
            self.take_checkpoint()?;
        }
        Ok(())
    }
}

fn with_stage(letters: Vec<DeadLetter>, stage: &str) -> Vec<DeadLetter> {
    letters.into_iter().map(|letter| DeadLetter { stage: stage.to_owned(), ..letter }).collect()
}
