//! The steps one after the other, and their state.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{Output, State as SavedState, Transform};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::columns::{Binder, Choice};
use super::gaps::Run;
use super::keys::Keys;
use super::rows::Rows;
use super::step::Method;

/// The keys and fields that have been seen, by their numbers.
pub(super) struct Seen<'a> {
    pub(super) keys: &'a [Option<Box<str>>],
    pub(super) fields: &'a [Arc<str>],
}

/// A step at work.
pub(super) trait Pass: Send {
    /// Takes rows and hands on those that are decided, in order within each key.
    fn apply(&mut self, rows: Rows, seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()>;

    /// Hands on everything: no more records will come.
    fn finish(&mut self, _out: &mut Vec<Rows>) -> Result<()> {
        Ok(())
    }

    /// Hands on what waited too long.
    fn tick(&mut self, _now: Instant, _out: &mut Vec<Rows>) -> Result<()> {
        Ok(())
    }

    /// How many rows wait.
    fn held(&self) -> usize {
        0
    }

    /// What it needs to go on.
    fn save(&self) -> Result<Saved> {
        Ok(Saved { state: State::Nothing, held: Vec::new() })
    }

    /// Goes on from there.
    fn restore(&mut self, state: State, held: Vec<Rows>) -> Result<()>;
}

/// What a step needs to go on: its state, and the rows it holds, as Arrow IPC.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) state: State,
    pub(super) held: Vec<Vec<u8>>,
}

/// The state of a step, by field and key.
#[derive(Serialize, Deserialize)]
pub(super) enum State {
    /// It has none.
    Nothing,
    /// What came before the held rows.
    Fill(Vec<Vec<Run>>),
    /// The last observed values, oldest first.
    Window(Vec<Vec<Vec<f64>>>),
    /// The distinct observed values with their counts.
    Expanding(Vec<Vec<Vec<(f64, u64)>>>),
}

impl State {
    /// The error of a step that is given the state of another kind of step.
    pub(super) fn foreign() -> Error {
        Error::new("the saved state of `impute` is that of other steps")
    }
}

/// The version of what `save` writes.
const VERSION: u8 = 1;

/// What `save` writes behind the version.
#[derive(Serialize, Deserialize)]
struct Everything {
    keys: Vec<Option<String>>,
    fields: Vec<String>,
    steps: Vec<(Method, Saved)>,
    backlog: Vec<Vec<u8>>,
}

/// All steps of a split.
pub(super) struct Chain {
    keys: Keys,
    binder: Binder,
    steps: Vec<(Method, Box<dyn Pass>)>,
    /// Rows that steps of an earlier configuration held: they go through the present ones first.
    backlog: Vec<Batch>,
}

impl Chain {
    pub(super) fn new(choice: Choice, steps: Vec<(Method, Box<dyn Pass>)>) -> Chain {
        Chain { keys: Keys::default(), binder: Binder::new(choice), steps, backlog: Vec::new() }
    }

    fn rows(&mut self, batch: Batch) -> Rows {
        let columns = self.binder.bind(batch.fields());
        Rows { order: self.keys.order(&batch), columns, batch }
    }

    /// Carries rows through the steps from the `from`-th on.
    fn carry(&mut self, from: usize, mut rows: Vec<Rows>, out: &mut Output) -> Result<()> {
        let seen = Seen { keys: self.keys.names(), fields: self.binder.names() };
        for (_, step) in &mut self.steps[from..] {
            let mut next = Vec::with_capacity(rows.len());
            for part in rows {
                step.apply(part, &seen, &mut next)?;
            }
            rows = next;
        }
        out.batches.extend(rows.into_iter().map(|part| part.batch));
        Ok(())
    }

    fn carry_backlog(&mut self, out: &mut Output) -> Result<()> {
        for batch in std::mem::take(&mut self.backlog) {
            let rows = self.rows(batch);
            self.carry(0, vec![rows], out)?;
        }
        Ok(())
    }

    /// Lets each step hand on rows of its own accord, and carries them through the later steps.
    fn release(
        &mut self,
        out: &mut Output,
        mut release: impl FnMut(&mut dyn Pass, &mut Vec<Rows>) -> Result<()>,
    ) -> Result<()> {
        for index in 0..self.steps.len() {
            let mut rows = Vec::new();
            release(&mut *self.steps[index].1, &mut rows)?;
            self.carry(index + 1, rows, out)?;
        }
        Ok(())
    }
}

impl Transform for Chain {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        self.carry_backlog(out)?;
        if batch.rows() == 0 {
            return Ok(());
        }
        let rows = self.rows(batch);
        self.carry(0, vec![rows], out)
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        self.carry_backlog(out)?;
        self.release(out, |step, rows| step.finish(rows))
    }

    fn tick(&mut self, now: Instant, out: &mut Output) -> Result<()> {
        self.carry_backlog(out)?;
        self.release(out, |step, rows| step.tick(now, rows))
    }

    fn held(&self) -> u64 {
        let backlog: usize = self.backlog.iter().map(Batch::rows).sum();
        (backlog + self.steps.iter().map(|(_, step)| step.held()).sum::<usize>()) as u64
    }

    fn save(&self) -> Result<SavedState> {
        let steps = self.steps.iter().map(|(method, step)| Ok((*method, step.save()?)));
        let everything = Everything {
            keys: self.keys.names().iter().map(|key| key.as_deref().map(str::to_owned)).collect(),
            fields: self.binder.names().iter().map(|name| name.to_string()).collect(),
            steps: steps.collect::<Result<_>>()?,
            backlog: self.backlog.iter().map(Batch::to_ipc).collect::<Result<_>>()?,
        };
        SavedState::of(VERSION, &everything)
    }

    fn restore(&mut self, state: &SavedState) -> Result<()> {
        let saved: Everything = state.read(VERSION)?;
        let decode = |held: &[Vec<u8>]| held.iter().map(|bytes| Batch::from_ipc(bytes)).collect::<Result<Vec<_>>>();
        self.backlog = decode(&saved.backlog)?;
        let methods = || saved.steps.iter().map(|(method, _)| *method);
        if !methods().eq(self.steps.iter().map(|(method, _)| *method)) {
            // The later a step, the older what it holds.
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
