//! Sources: their configuration, and their part that runs.

use std::sync::Arc;
use std::time::Instant;

use super::{
    Boundedness, BuildContext, DeadLetterDecoder, Delivery, Problem, RecordedSplit, SourceContext, SplitReader,
    SplitState, TransactionalBackend,
};
use crate::error::Result;
use crate::pace::Pace;
use crate::record::{Fields, Position, SplitId};

/// The configuration of a source. [`Descriptor::source`](super::Descriptor::source) registers it.
pub trait SourceConfig: Send + Sync {
    /// The fields that it yields, as far as the configuration says. Pure: no I/O.
    ///
    /// # Errors
    /// The mistakes that the schema cannot find.
    fn check(&self) -> Result<Fields, Vec<Problem>>;

    /// What is worth a word in a configuration that [`check`](Self::check) accepts. Pure: no I/O.
    fn warnings(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Whether the input ends, and whether it can be read again.
    fn boundedness(&self) -> Boundedness;

    /// Whether each run ends by itself, be it only at what is there now of an input without an end.
    fn ends_by_itself(&self) -> bool {
        self.boundedness().is_bounded()
    }

    /// The best delivery that it supports. A pipeline has the least of all its stages.
    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    /// The inputs, in the words of [`SinkConfig::writes`](super::SinkConfig::writes), so that the pipelines of one run know of
    /// each other.
    fn reads(&self) -> Vec<String> {
        Vec::new()
    }

    /// How fast records are played back in event time, where they are.
    fn pace(&self) -> Option<Pace> {
        None
    }

    /// The name of the zone whose clock gives the times, where that clock is put forward and back.
    fn changing_clock(&self) -> Option<String> {
        None
    }

    /// A decoder of its records from their bytes alone, which the replay of dead letters needs.
    ///
    /// # Errors
    /// Where the decoder needs something that is not there.
    fn dead_letter_decoder(&self, _cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
        Ok(None)
    }

    /// The place where a split goes on, for a message, where it says more than the offset: `data.csv:17`.
    fn describe_state(&self, _state: &SplitState) -> Option<String> {
        None
    }

    /// Builds the source. It may look at files, and must not wait for a network.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>>;
}

/// A source. It runs on a thread of its own, opens splits, and returns when there are no more to open; the engine waits for
/// the splits.
pub trait Source: Send {
    /// The fields that the input really has, where the source can know them before the first row.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(None)
    }

    /// Readers of the whole input, without pacing and limits, for [`Fitter`](super::Fitter)s. Only called for a bounded source.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        Ok(Vec::new())
    }

    /// Where the source itself keeps committed offsets: a consumer group.
    fn offset_store(&self) -> Option<Arc<dyn OffsetStore>> {
        None
    }

    /// The identity of the input, the same for every spelling: for files, their directory without links and the pattern of
    /// their names. Empty where the options are its identity.
    ///
    /// # Errors
    /// Where the input cannot be looked at.
    fn input_identity(&self) -> Result<String> {
        Ok(String::new())
    }

    /// How the input differs from the one that a completed run read: `in.csv has 120 bytes more`.
    ///
    /// # Errors
    /// Where the input cannot be looked at.
    fn input_changes(&self, _completed: &[RecordedSplit]) -> Result<Option<String>> {
        Ok(None)
    }

    /// The backend whose transactions can commit what this source reads.
    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        None
    }

    /// Opens and closes splits until there are no more to open, or [`SourceContext::stopping`].
    ///
    /// # Errors
    /// Stops the pipeline.
    fn run(self: Box<Self>, cx: Arc<dyn SourceContext>) -> Result<()>;
}

/// Committed offsets that a source keeps itself.
pub trait OffsetStore: Send + Sync {
    /// The name of the consumer group.
    fn group(&self) -> String;

    /// Commits offsets; returns whether they were taken. They are not where other members have the splits by now, which then
    /// read the same records again.
    ///
    /// # Errors
    /// Where the offsets could not be committed. The pipeline then ends, for another member may read the same again.
    fn commit(&self, offsets: &[(SplitId, Position)]) -> Result<bool>;

    /// The committed offsets.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn committed(&self, ids: &[SplitId]) -> Result<Vec<Option<u64>>>;

    /// Where each split ends now: the offset behind its last record. `None` where that is not known by then.
    fn ends(&self, ids: &[SplitId], _until: Instant) -> Vec<Option<u64>> {
        vec![None; ids.len()]
    }

    /// Deletes the committed offsets, so that the next start is the beginning.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn reset(&self) -> Result<()>;
}
