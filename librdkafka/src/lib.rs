//! Calls of librdkafka that rdkafka has no safe face for.
//!
//! The only crate of the workspace with `unsafe` in it. What is public here can be called with any arguments.

mod batch_producer;
mod handle;
mod partition_messages;
mod raw_message;
mod topic_ids;

pub use batch_producer::{BatchProducer, BatchRecord, Unsent};
pub use partition_messages::{PartitionMessage, PartitionMessages, Polled};
pub use topic_ids::{TopicId, topic_ids};
