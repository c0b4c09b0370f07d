//! What a stage is: its configuration, its parts that run, and how it registers itself.

mod commit;
mod context;
mod descriptor;
mod letters;
mod registry;
mod repeat;
mod running;

pub use commit::{Coordinator, Decision, Fence, Joining, Notes, Opened, Prepared, Transaction, Transactions};
pub use context::{BuildContext, Gate, Shared};
pub use descriptor::{
    AnyDeadLetter, AnySink, AnySource, AnyTransform, Cadence, DeadLetterConfig, Delivery, Descriptor, Parsed, Problem,
    Rerun, Role, SinkConfig, SourceConfig, TransformConfig,
};
pub use letters::{Again, LetterId, Letters, StoredLetter};
pub use registry::Registry;
pub use repeat::Repeat;
pub use running::{
    Acknowledge, DeadEnd, DeadLetter, DeadWriter, Destination, End, Lane, Lanes, Next, Noted, Output, Sink, Source,
    Start, Survey, Transform, Writer,
};
