//! What a stage is: its configuration, its parts that run, and how it registers itself.

mod commit;
mod context;
mod dead_letter;
mod descriptor;
mod registry;
mod repeat;
mod traits;

pub use commit::{
    CommitMetadata, Decision, FencingToken, OpenOutcome, Prepared, Transaction, TransactionLog, TransactionalBackend,
    TransactionalOutput,
};
pub use context::{BuildContext, Extensions, Latch};
pub use dead_letter::{DeadLetterDecoder, DeadLetterId, DeadLetterReader, StoredDeadLetter};
pub use descriptor::{
    AnyDeadLetter, AnySink, AnySource, AnyTransform, CheckpointPolicy, DeadLetterConfig, Delivery, Descriptor, Problem,
    Rerun, Role, SinkConfig, SourceConfig, StageConfig, TransformConfig,
};
pub use registry::Registry;
pub use repeat::Repeat;
pub use traits::{
    DeadLetter, DeadLetterSink, DeadLetterWriter, Destination, Fitter, OffsetStore, Output, Poll, RecordedSplit, Sink,
    Source, SourceContext, SplitReader, SplitState, Transform, TwoPhaseCommit, Writer,
};
