//! What the Kafka source, sink and dead letter share: client set-up, topics, the embedded broker.

pub(crate) mod client;
mod client_log;
pub(crate) mod connection_monitor;
pub(crate) mod dead_letter_topic;
pub mod embedded;
pub(crate) mod error_class;
mod flow_control;
mod outage;
pub(crate) mod producer;
pub(crate) mod properties;
mod property_names;
pub(crate) mod security;
pub(crate) mod target;
pub(crate) mod topic_partition;
pub(crate) mod topics;
pub(crate) mod transactions;

pub use embedded::EmbeddedBroker;
