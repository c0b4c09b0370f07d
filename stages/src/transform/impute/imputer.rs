//! The interface of a step, and its saved state.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;

use super::key_id::KeyId;
use super::keyed_batch::KeyedBatch;
use super::saved_entries::{Piece, StepEntries};
use super::saved_key::{KeyWriter, StepState};

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

    /// Tells the keys of which [`write_key`](Self::write_key) says something else than at the last call.
    fn take_changed(&mut self, _keys: &mut Vec<KeyId>) {}

    /// Writes the little that it knows of a key.
    fn write_key(&self, _key: KeyId, out: &mut KeyWriter) {
        out.nothing();
    }

    /// Saves what changed since the last call beside the states of keys: values and held rows; everything where all is to be
    /// saved.
    fn save_changes(&mut self, _whole: bool, _out: &mut StepEntries<'_>) -> Result<()> {
        Ok(())
    }

    /// Saves everything beside the states of keys, and counts none of it as saved.
    fn save_all(&self, _out: &mut StepEntries<'_>) -> Result<()> {
        Ok(())
    }

    /// Takes over the state of an earlier run.
    fn restore(&mut self, saved: SavedStep<'_>) -> Result<()>;
}

/// The saved state of a step.
pub(super) struct SavedStep<'a> {
    /// By key.
    pub(super) keys: Vec<StepState>,
    /// How many fields there are.
    pub(super) fields: usize,
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) held: Vec<KeyedBatch>,
}
