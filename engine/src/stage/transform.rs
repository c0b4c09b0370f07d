//! Transforms: their configuration, and their part that runs.

use std::time::Instant;

use super::{BuildContext, DeadLetter, Problem, State, StateChanges};
use crate::error::Result;
use crate::record::{Batch, FieldTest, Fields};

/// The configuration of a transform. [`Descriptor::transform`](super::Descriptor::transform) registers it.
pub trait TransformConfig: Send + Sync {
    /// The fields that leave the transform, given those that come in. Pure: no I/O.
    ///
    /// # Errors
    /// The mistakes that the schema cannot find: min above max, a field that no earlier stage yields.
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>>;

    /// The fields that it uses as measurements, as far as the configuration names them. The source yields these as numbers.
    fn numeric_fields(&self) -> Vec<String> {
        Vec::new()
    }

    /// The tests that it makes of fields, as far as the configuration names these. Pages, reports and the description of files tell by
    /// them which tests a field undergoes and between which bounds it is to lie.
    fn tests(&self) -> Vec<FieldTest> {
        Vec::new()
    }

    /// Whether it may turn rows into dead letters.
    fn rejects(&self) -> bool {
        false
    }

    /// Whether it makes several rows of one, or merges several into one: the bytes of rows that leave it are then lists of
    /// [`Origin`](crate::record::Origin)s, where bytes are kept.
    fn changes_number_of_rows(&self) -> bool {
        false
    }

    /// Whether it counts hours by the clock of the source's zone ([`BuildContext::changing_clock`]), and rejects those that the clock
    /// passed over.
    fn counts_hours(&self) -> bool {
        false
    }

    /// Whether it may turn rows into dead letters that come by a clock which is put forward and back, or by another one.
    fn may_reject(&self, has_changing_clock: bool) -> bool {
        self.rejects() || (has_changing_clock && self.counts_hours())
    }

    /// A fitter, for a transform that must see the whole input before it can start. It needs a bounded source.
    fn fitter(&self, _cx: &BuildContext) -> Option<Box<dyn Fitter>> {
        None
    }

    /// The option that asks for a fitter, as a problem of an unbounded source: its message says which option to use instead.
    fn requires_bounded(&self) -> Option<Problem> {
        None
    }

    /// Builds the transform, once a split.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>>;
}

/// The output of a transform. Every row that came in leaves once: in a batch, as a dead letter or filtered. Until then it
/// counts as held. A transform that [changes the number of rows](TransformConfig::changes_number_of_rows) says by how many:
/// `held before + in + made = out + dead letters + filtered + merged + held after`.
#[derive(Debug, Default)]
pub struct Output {
    /// Rows that go on, in order.
    pub batches: Vec<Batch>,
    /// Rows that could not be carried.
    pub dead: Vec<DeadLetter>,
    /// The number of rows that the configuration asked to leave out.
    pub filtered: u64,
    /// The number of rows that were made beside those that came in: 23 where one becomes 24.
    pub made: u64,
    /// The number of rows that went into others: 2 where three become one.
    pub merged: u64,
}

/// A transform of one split. One thread owns it.
///
/// [`held`](Self::held), [`save`](Self::save), [`restore`](Self::restore) and [`finish`](Self::finish) belong together: a
/// transform that holds rows saves them, has as many of them after a restore, and gives all of them up at the end.
/// The conformance checks of the testing kit call all four.
pub trait Transform: Send {
    /// Takes a batch and emits the rows that are ready. All rows of a batch have one layout, which changes only between calls.
    ///
    /// # Errors
    /// Stops the pipeline. A row that cannot be carried is a dead letter in `out`, not an error.
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()>;

    /// Emits all held rows, for the input has ended. Never called at a checkpoint, a revocation or a stop.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn finish(&mut self, _out: &mut Output) -> Result<()> {
        Ok(())
    }

    /// Emits the rows that have waited longer than they may.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn tick(&mut self, _now: Instant, _out: &mut Output) -> Result<()> {
        Ok(())
    }

    /// The number of rows that are held back.
    fn held(&self) -> u64 {
        0
    }

    /// The state that a later run needs to go on, held rows included.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn save(&self) -> Result<State> {
        Ok(State::default())
    }

    /// What changed of the state since the last call, for a stage with much state of which little changes. The first call of a
    /// transform, and the first after a restore, tells the [whole](StateChanges::whole) state. `None` has the engine compare what
    /// [`save`](Self::save) returns with what it returned before, which takes as long as the state is large.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn save_changes(&mut self) -> Result<Option<StateChanges>> {
        Ok(None)
    }

    /// Takes over what [`save`](Self::save) returned. Called before the first `apply`, never with an empty state.
    ///
    /// # Errors
    /// Where the state is not one that this version saves.
    fn restore(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Learns from the whole input before the run (see [`TransformConfig::fitter`]).
pub trait Fitter: Send {
    /// Sees a batch as the transform would.
    ///
    /// # Errors
    /// Where a bound is exceeded. Stops the pipeline before it starts.
    fn observe(&mut self, batch: &Batch) -> Result<()>;

    /// Called now and then with the share of the input that was read, 0 to 1, where it is known.
    fn on_progress(&mut self, _share: f64) {}

    /// What was learned. Every split of the run gets it as [`BuildContext::fitted`].
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}
