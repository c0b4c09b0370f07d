//! Calls of librdkafka that rdkafka has no safe face for.
//!
//! The only crate of the workspace with `unsafe` in it. What is public here can be called with any arguments.

mod handle;
mod topic_ids;

pub use topic_ids::{TopicId, topic_ids};
