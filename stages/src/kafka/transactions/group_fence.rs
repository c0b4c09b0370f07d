//! What proves to brokers that a partition is still this process's.

use rdkafka::consumer::ConsumerGroupMetadata;

/// The membership in a consumer group at the time of an assignment. Brokers refuse offsets of a member that has been
/// replaced since.
pub(crate) struct GroupFence(pub(crate) ConsumerGroupMetadata);
