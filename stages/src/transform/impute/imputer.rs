//! The interface of a step, and its saved state.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::gap_state::GapState;
use super::keyed_batch::KeyedBatch;

/// The names of all keys and fields so far, by their numbers.
pub(super) struct SeriesNames<'a> {
    pub(super) keys: &'a [Option<Box<str>>],
    pub(super) fields: &'a [Arc<str>],
}

/// A running step.
pub(super) trait Imputer: Send {
    /// Takes rows and emits those that are decided, in order within each key.
    fn apply(&mut self, rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()>;

    /// Emits all held rows: the input has ended.
    fn finish(&mut self, _out: &mut Vec<KeyedBatch>) -> Result<()> {
        Ok(())
    }

    /// Emits rows that have waited too long.
    fn tick(&mut self, _now: Instant, _out: &mut Vec<KeyedBatch>) -> Result<()> {
        Ok(())
    }

    /// How many rows are held.
    fn held(&self) -> usize {
        0
    }

    /// The state that a later run needs, held rows included.
    fn save(&self) -> Result<SavedStep> {
        Ok(SavedStep { state: StepState::Nothing, held: Vec::new() })
    }

    /// Takes over the state of an earlier run.
    fn restore(&mut self, state: StepState, held: Vec<KeyedBatch>) -> Result<()>;
}

/// The saved state of a step, and its held rows as Arrow IPC.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedStep {
    pub(super) state: StepState,
    pub(super) held: Vec<Vec<u8>>,
}

/// The state of a step, by field and then by key.
#[derive(Serialize, Deserialize)]
pub(super) enum StepState {
    /// The step has none.
    Nothing,
    /// The gap state before the held rows.
    Fill(Vec<Vec<GapState>>),
    /// The last observed values, oldest first.
    Window(Vec<Vec<Vec<f64>>>),
    /// The distinct observed values with their counts.
    Expanding(Vec<Vec<Vec<(f64, u64)>>>),
}

impl StepState {
    /// The error of a step that gets the state of another kind of step.
    pub(super) fn foreign() -> Error {
        Error::new("the saved state of `impute` is that of other steps")
    }
}
