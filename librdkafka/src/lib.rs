//! Calls of librdkafka that rdkafka has no safe face for.
//!
//! The only crate of the workspace with `unsafe` in it. What is public here can be called with any arguments.

mod batch_producer;
mod event_thread;
mod handle;
mod partition_messages;
mod question;
mod queue_bell;
mod raw_message;
mod topic_ids;
mod topic_settings;

pub use batch_producer::{BatchProducer, BatchRecord, Refused, Unsent};
pub use partition_messages::{PartitionMessage, PartitionMessages, PartitionQueue, Polled, configure};
pub use queue_bell::{Bell, has_events};
pub use topic_ids::{TopicId, topic_ids};
pub use topic_settings::{TopicSettings, topic_settings};
