//! Runs the steps one after the other, and saves their state.

use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{Output, State, StateChanges, Transform};

use super::damaged::damaged;
use super::field_binder::{FieldBinder, FieldSelection};
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::key_id::KeyId;
use super::key_table::KeyTable;
use super::keyed_batch::KeyedBatch;
use super::same_times::SameTimes;
use super::sampling::SamplingCheck;
use super::saved_entries::{self, FORMAT_VERSION, Header, SavedEntries, StepEntries};
use super::saved_key::{KeyWriter, StepState};
use super::step::Method;

/// The steps of a split.
pub(super) struct ImputeChain {
    keys: KeyTable,
    binder: FieldBinder,
    steps: Vec<(Method, Box<dyn Imputer>)>,
    /// Rows that steps of an earlier configuration held. They go through the present steps first.
    backlog: Vec<Batch>,
    sampling: Option<SamplingCheck>,
    same_times: Option<SameTimes>,
    /// What is saved of it.
    saved: Option<Saved>,
}

/// What was saved last, beside what each step knows of that itself.
#[derive(Default)]
struct Saved {
    header: Header,
    /// The number of keys.
    keys: usize,
    /// The number of parts.
    backlog: usize,
}

impl ImputeChain {
    pub(super) fn new(
        selection: FieldSelection,
        steps: Vec<(Method, Box<dyn Imputer>)>,
        sampling: Option<SamplingCheck>,
        same_times: SameTimes,
    ) -> ImputeChain {
        let binder = FieldBinder::new(selection);
        ImputeChain {
            keys: KeyTable::default(),
            binder,
            steps,
            backlog: Vec::new(),
            sampling,
            same_times: Some(same_times),
            saved: None,
        }
    }

    fn header(&self) -> Header {
        Header {
            fields: self.binder.names().iter().map(|name| name.to_string()).collect(),
            methods: self.steps.iter().map(|(method, _)| *method).collect(),
        }
    }

    fn put_keys(&self, changes: &mut StateChanges, keys: impl Iterator<Item = KeyId>) {
        let mut saved = KeyWriter::default();
        for key in keys {
            saved.begin(self.keys.names()[key as usize].as_deref(), self.steps.len());
            self.steps.iter().for_each(|(_, imputer)| imputer.write_key(key, &mut saved));
            saved_entries::put_key(changes, key, &saved);
        }
    }

    fn put_backlog(&self, changes: &mut StateChanges) -> Result<()> {
        for (number, batch) in self.backlog.iter().enumerate() {
            saved_entries::put_backlog(changes, number, &batch.to_ipc()?);
        }
        Ok(())
    }

    fn rows(&mut self, batch: Batch) -> KeyedBatch {
        let columns = self.binder.bind(batch.fields());
        KeyedBatch { order: self.keys.order(&batch), columns, batch }
    }

    /// Takes rows through the steps from the `from`-th on.
    fn run_steps(&mut self, from: usize, mut rows: Vec<KeyedBatch>, out: &mut Output) -> Result<()> {
        let names = SeriesNames { keys: self.keys.names(), fields: self.binder.names() };
        for (_, step) in &mut self.steps[from..] {
            let mut next = Vec::with_capacity(rows.len());
            for part in rows {
                step.apply(part, &names, &mut next)?;
            }
            rows = next;
        }
        out.batches.extend(rows.into_iter().map(|part| part.batch));
        Ok(())
    }

    fn run_backlog(&mut self, out: &mut Output) -> Result<()> {
        for batch in std::mem::take(&mut self.backlog) {
            let rows = self.rows(batch);
            self.run_steps(0, vec![rows], out)?;
        }
        Ok(())
    }

    /// Lets each step emit held rows, and takes them through the later steps.
    fn release(
        &mut self,
        out: &mut Output,
        mut release: impl FnMut(&mut dyn Imputer, &mut Vec<KeyedBatch>) -> Result<()>,
    ) -> Result<()> {
        for index in 0..self.steps.len() {
            let mut rows = Vec::new();
            release(&mut *self.steps[index].1, &mut rows)?;
            self.run_steps(index + 1, rows, out)?;
        }
        Ok(())
    }
}

impl Transform for ImputeChain {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        self.run_backlog(out)?;
        if batch.rows() == 0 {
            return Ok(());
        }
        let rows = self.rows(batch);
        if self.sampling.as_mut().is_some_and(|check| check.is_done_after(&rows)) {
            self.sampling = None;
        }
        if self.same_times.as_mut().is_some_and(|check| check.is_done_after(&rows)) {
            self.same_times = None;
        }
        self.run_steps(0, vec![rows], out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        if let Some(check) = self.sampling.take() {
            check.conclude();
        }
        self.run_backlog(out)?;
        self.release(out, |step, rows| step.finish(rows))
    }

    fn tick(&mut self, now: Instant, out: &mut Output) -> Result<()> {
        self.run_backlog(out)?;
        self.release(out, |step, rows| step.tick(now, rows))
    }

    fn held(&self) -> u64 {
        let backlog: usize = self.backlog.iter().map(Batch::rows).sum();
        (backlog + self.steps.iter().map(|(_, step)| step.held()).sum::<usize>()) as u64
    }

    fn save(&self) -> Result<State> {
        let mut changes = StateChanges::whole(State::new(FORMAT_VERSION));
        saved_entries::put_header(&mut changes, &self.header())?;
        self.put_backlog(&mut changes)?;
        self.put_keys(&mut changes, 0..self.keys.names().len() as KeyId);
        for (step, (_, imputer)) in self.steps.iter().enumerate() {
            imputer.save_all(&mut StepEntries { changes: &mut changes, step, scratch: Vec::new() })?;
        }
        Ok(State::from(changes))
    }

    fn save_changes(&mut self) -> Result<Option<StateChanges>> {
        let whole = self.saved.is_none();
        let before = self.saved.take().unwrap_or_default();
        let mut changes =
            if whole { StateChanges::whole(State::new(FORMAT_VERSION)) } else { StateChanges::none(FORMAT_VERSION) };
        let header = self.header();
        if whole || header != before.header {
            saved_entries::put_header(&mut changes, &header)?;
        }
        // It does not grow: it goes through the steps with the next batch.
        if whole {
            self.put_backlog(&mut changes)?;
        } else {
            (self.backlog.len()..before.backlog).for_each(|part| saved_entries::remove_backlog(&mut changes, part));
        }
        let mut keys: Vec<KeyId> = (before.keys..self.keys.names().len()).map(|key| key as KeyId).collect();
        self.steps.iter_mut().for_each(|(_, imputer)| imputer.take_changed(&mut keys));
        keys.sort_unstable();
        keys.dedup();
        self.put_keys(&mut changes, keys.into_iter());
        for (step, (_, imputer)) in self.steps.iter_mut().enumerate() {
            imputer.save_changes(whole, &mut StepEntries { changes: &mut changes, step, scratch: Vec::new() })?;
        }
        self.saved = Some(Saved { header, keys: self.keys.names().len(), backlog: self.backlog.len() });
        Ok(Some(changes))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved = SavedEntries::read(state)?;
        let decode = |held: &[&[u8]]| held.iter().map(|bytes| Batch::from_ipc(bytes)).collect::<Result<Vec<_>>>();
        self.backlog = decode(&saved.backlog)?;
        if !saved.header.methods.iter().eq(self.steps.iter().map(|(method, _)| method)) {
            // The later the step, the older its held rows.
            let mut held = Vec::new();
            for parts in saved.held.iter().rev() {
                held.extend(decode(parts)?);
            }
            self.backlog.splice(..0, held);
            let rows = self.held();
            tracing::warn!(rows, "the steps of `impute` changed: they start without the values seen before");
            return Ok(());
        }
        let mut keys: Vec<Vec<StepState>> = self.steps.iter().map(|_| Vec::new()).collect();
        for (number, key) in saved.keys.into_iter().enumerate() {
            if self.keys.id(key.name.as_deref()) as usize != number || key.steps.len() != keys.len() {
                return Err(damaged());
            }
            keys.iter_mut().zip(key.steps).for_each(|(of_step, state)| of_step.push(state));
        }
        let fields = saved.header.fields.len();
        self.binder.restore(saved.header.fields.iter().map(|name| name.as_str().into()).collect());
        for (index, (keys, (pieces, held))) in
            keys.into_iter().zip(saved.pieces.into_iter().zip(saved.held)).enumerate()
        {
            let held = decode(&held)?.into_iter().map(|batch| self.rows(batch)).collect();
            self.steps[index].1.restore(SavedStep { keys, fields, pieces, held })?;
        }
        Ok(())
    }
}
