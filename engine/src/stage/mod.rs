//! Stages: their configuration, their parts that run, and their registration.
//!
//! | to add | implement | and register with |
//! | --- | --- | --- |
//! | a source | [`SourceConfig`], [`Source`], [`SplitReader`] | [`Descriptor::source`] |
//! | a transform | [`TransformConfig`], [`Transform`] | [`Descriptor::transform`] |
//! | a sink | [`SinkConfig`], [`Sink`], [`Writer`] | [`Descriptor::sink`] |
//! | a dead-letter sink | the same three, of [`DeadLetters`] | [`Descriptor::dead_letter`] |
//!
//! All parts that run block, and none is shared between threads unless its trait says so: a split reader, its transforms and
//! its writers belong to one thread.

mod boundedness;
mod context;
mod dead_letter;
mod delivery;
mod descriptor;
mod entries;
mod extensions;
mod latch;
mod loss_limits;
mod problem;
mod registry;
mod repeat;
mod role;
mod sink;
mod source;
mod split;
mod state;
mod transaction;
mod transform;
mod two_phase_commit;
mod version;

pub use boundedness::Boundedness;
pub use context::BuildContext;
pub use dead_letter::{DeadLetter, DeadLetterDecoder, DeadLetterId, DeadLetterReader, DeadLetters, StoredDeadLetter};
pub use delivery::Delivery;
pub use descriptor::{Descriptor, ParseError, StageConfig};
pub use extensions::Extensions;
pub use latch::Latch;
pub use loss_limits::LossLimits;
pub use problem::Problem;
pub use registry::Registry;
pub use repeat::Repeat;
pub use role::Role;
pub use sink::{CheckpointPolicy, DeadLetterSink, Destination, Rerun, Sink, SinkConfig, Writer};
pub use source::{OffsetStore, Source, SourceConfig};
pub use split::{Poll, RecordedSplit, SourceContext, SplitReader, SplitState, Waker};
pub use state::{State, StateChanges};
pub use transaction::{
    CommitMetadata, Decision, FencingToken, OpenOutcome, Prepared, Transaction, TransactionLog, TransactionalBackend,
    TransactionalOutput,
};
pub use transform::{Fitter, Output, Transform, TransformConfig};
pub use two_phase_commit::{Acquire, CommittedOffsets, Orphans, TwoPhaseCommit};
pub use version::PipelineVersion;
