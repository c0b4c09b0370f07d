//! Runs the steps one after the other, and saves their state.

use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{Output, State, Transform};
use serde::{Deserialize, Serialize};

use super::field_binder::{FieldBinder, FieldSelection};
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::key_table::KeyTable;
use super::keyed_batch::KeyedBatch;
use super::same_times::SameTimes;
use super::sampling::SamplingCheck;
use super::step::Method;

const CHAIN_FORMAT_VERSION: u8 = 2;

/// The saved state, behind the version.
#[derive(Serialize, Deserialize)]
struct SavedChain {
    keys: Vec<Option<String>>,
    fields: Vec<String>,
    steps: Vec<(Method, SavedStep)>,
    backlog: Vec<Vec<u8>>,
}

/// The steps of a split.
pub(super) struct ImputeChain {
    keys: KeyTable,
    binder: FieldBinder,
    steps: Vec<(Method, Box<dyn Imputer>)>,
    /// Rows that steps of an earlier configuration held. They go through the present steps first.
    backlog: Vec<Batch>,
    sampling: Option<SamplingCheck>,
    same_times: Option<SameTimes>,
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
        }
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
        let steps = self.steps.iter().map(|(method, step)| Ok((*method, step.save()?)));
        let saved = SavedChain {
            keys: self.keys.names().iter().map(|key| key.as_deref().map(str::to_owned)).collect(),
            fields: self.binder.names().iter().map(|name| name.to_string()).collect(),
            steps: steps.collect::<Result<_>>()?,
            backlog: self.backlog.iter().map(Batch::to_ipc).collect::<Result<_>>()?,
        };
        State::of(CHAIN_FORMAT_VERSION, &saved)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let saved: SavedChain = state.read(CHAIN_FORMAT_VERSION)?;
        let decode = |held: &[Vec<u8>]| held.iter().map(|bytes| Batch::from_ipc(bytes)).collect::<Result<Vec<_>>>();
        self.backlog = decode(&saved.backlog)?;
        let methods = || saved.steps.iter().map(|(method, _)| *method);
        if !methods().eq(self.steps.iter().map(|(method, _)| *method)) {
            // The later the step, the older its held rows.
            let mut held = Vec::new();
            for (_, step) in saved.steps.iter().rev() {
                held.extend(decode(&step.held)?);
            }
            self.backlog.splice(..0, held);
            let rows = self.held();
            tracing::warn!(rows, "the steps of `impute` changed: they start without the values seen before");
            return Ok(());
        }
        for key in &saved.keys {
            self.keys.id(key.as_deref());
        }
        self.binder.restore(saved.fields.iter().map(|name| name.as_str().into()).collect());
        for (index, (_, step)) in saved.steps.into_iter().enumerate() {
            let held = decode(&step.held)?.into_iter().map(|batch| self.rows(batch)).collect();
            self.steps[index].1.restore(step.state, held)?;
        }
        Ok(())
    }
}
