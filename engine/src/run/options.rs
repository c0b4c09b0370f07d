//! What a run is asked for, and what it answers.

use std::sync::Arc;

use super::observer::Observer;
use super::reconfigure::RunControl;
use crate::cancel::CancellationToken;
use crate::clock::Clock;
use crate::metrics::{Metrics, Snapshot};
use crate::stage::{Delivery, Extensions, Latch, StoredDeadLetter};

/// How to run a pipeline.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Forget position and state, remove the output that this pipeline wrote, start from the beginning.
    pub fresh: bool,
    /// Repeat a completed run, whatever the source's `rerun` says.
    pub rerun: bool,
    /// Stop at the last record of now, although more could come.
    pub until_end: bool,
    /// Opens once the pipelines of this process that write what this one reads are done; absent where there are none.
    pub upstream: Option<Arc<Latch>>,
    /// The values, by type, that the pipelines of one run share.
    pub extensions: Arc<Extensions>,
    /// Send these dead letters through the pipeline instead of reading its source.
    pub replay: Option<Arc<Vec<StoredDeadLetter>>>,
    /// Where this run is counted.
    pub metrics: Arc<Metrics>,
    /// The time of the run.
    pub clock: Clock,
    /// Sees what each transform takes and gives.
    pub observer: Option<Arc<dyn Observer>>,
    /// Asked for changes while the pipeline runs.
    pub control: RunControl,
    /// Ends the run early.
    pub cancellation: CancellationToken,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was carried.
    Done,
    /// It was asked to stop, and goes on from there at the next start.
    Stopped,
    /// An earlier run carried the whole input, and is not to be repeated.
    NothingToDo,
    /// The same, and every record of it became a dead letter.
    NothingToDoAfterAllDied,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub outcome: Outcome,
    /// What readers of its output get.
    pub delivery: Delivery,
    /// What was counted.
    pub metrics: Snapshot,
}
