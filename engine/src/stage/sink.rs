//! Sinks: their configuration, and their part that runs. A sink of dead letters is a sink whose rows are dead letters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::two_phase_commit::{Acquire, CommittedOffsets, Orphans, TwoPhaseCommit};
use super::{
    BuildContext, DeadLetter, DeadLetterReader, DeadLetters, Delivery, Prepared, Problem, TransactionalBackend,
};
use crate::error::Result;
use crate::record::{Batch, Fields, OffsetRange, SplitId};

/// The configuration of a sink: of records, or, as `SinkConfig<DeadLetters>`, of dead letters.
/// [`Descriptor::sink`](super::Descriptor::sink) and [`Descriptor::dead_letter`](super::Descriptor::dead_letter) register it.
pub trait SinkConfig<T = Batch>: Send + Sync {
    /// Checks it against the fields that arrive; dead letters have none. Pure: no I/O.
    ///
    /// # Errors
    /// The mistakes that the schema cannot find.
    fn check(&self, input: &Fields) -> Result<(), Vec<Problem>>;

    /// When it wants checkpoints. Dead letters go with the checkpoints of the records.
    fn checkpoint_policy(&self) -> CheckpointPolicy {
        CheckpointPolicy::Interval
    }

    /// What becomes of the output when a completed pipeline is run again.
    fn rerun(&self) -> Rerun {
        Rerun::Append
    }

    /// The best delivery that it supports. A pipeline has the least of all its stages.
    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    /// The outputs, `kafka:topic` for one, that a source of the same run may read.
    fn writes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The directory and the prefix of its files, in a pipeline of that name, where it writes files.
    fn files(&self, _pipeline: &str) -> Option<(String, String)> {
        None
    }

    /// A reader of the dead letters that were written there, for a sink that keeps them.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn dead_letter_reader(&self, _cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
        Ok(None)
    }

    /// Builds the sink. It may look at files, and must not wait for a network.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink<T>>>;
}

/// When a sink wants checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointPolicy {
    /// One output for each checkpoint: after so many records read, or when the first of them has waited so long.
    Records {
        /// Records read in a checkpoint at most.
        records_max: u64,
        /// How long an open checkpoint may wait to be filled.
        timeout: Duration,
    },
    /// Every `commit_interval_ms` of the pipeline.
    Interval,
}

/// What becomes of a sink's output when a completed pipeline is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// The records are written once more.
    Append,
    /// The output would have to be overwritten, so that the run is refused.
    Refuse,
}

/// Where output goes. Two destinations are the same where either of their names is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The name in the configuration, for messages: the topic `air-quality-data`, the files `batch_*` in `out`.
    pub name: String,
    /// The same for every spelling: a path without links.
    pub canonical: String,
}

impl Destination {
    /// Whether both are one place.
    #[must_use]
    pub fn is_same(&self, other: &Destination) -> bool {
        self.name == other.name || self.canonical == other.canonical
    }
}

/// A sink. All splits share it; each opens a writer.
///
/// Only [`open`](Self::open) is required. A sink whose writers hand out [`Prepared::Staged`] has
/// [`two_phase_commit`](Self::two_phase_commit); the other parts are for output that outlives the run.
pub trait Sink<T = Batch>: Send + Sync {
    /// Opens the writer of a split. `epoch` counts how often this process opened splits.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn open(&self, split: &SplitId, epoch: u64) -> Result<Box<dyn Writer<T>>>;

    /// The second phase of the commit of staged output.
    fn two_phase_commit(&self) -> Option<&dyn TwoPhaseCommit> {
        None
    }

    /// The staged output of processes that have ended.
    fn orphans(&self) -> Option<&dyn Orphans> {
        None
    }

    /// The claim of this pipeline to its output.
    fn acquire(&self) -> Option<&dyn Acquire> {
        None
    }

    /// The offsets up to which output is visible.
    fn committed_offsets(&self) -> Option<&dyn CommittedOffsets> {
        None
    }

    /// Where the output goes, where it outlives the run.
    fn destination(&self) -> Option<Destination> {
        None
    }

    /// The backend whose transactions can commit this output.
    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        None
    }

    /// Called before any split opens with the number of the pipeline's run, from 1. A run that starts again from the
    /// beginning reads the same positions once more.
    fn on_run_start(&self, _run: u64) {}

    /// Waits at the end of a run until everything is out, until the instant at the latest.
    ///
    /// # Errors
    /// Where something still waits.
    fn close(&self, _until: Instant) -> Result<()> {
        Ok(())
    }
}

/// A sink of dead letters.
pub type DeadLetterSink = dyn Sink<DeadLetters>;

/// Writes the rows of one split. One thread owns it.
pub trait Writer<T = Batch>: Send {
    /// Takes rows. A record that cannot be written becomes a dead letter; a writer of dead letters has none.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn write(&mut self, rows: T, dead: &mut Vec<DeadLetter>) -> Result<()>;

    /// The first phase of a commit: makes what was written since the last call durable but not visible, or ready to become
    /// part of a transaction. Later rows belong to the next checkpoint.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared>;

    /// Whether so much waits that a checkpoint is due.
    fn is_full(&self) -> bool {
        false
    }
}
