//! Shared parts of the Kafka source and sinks: endpoints, topics, producers, transactions; and the embedded broker.

mod admin;
mod broker_watch;
pub(crate) mod client_log;
pub(crate) mod connection_monitor;
pub(crate) mod dead_letter_topic;
mod embedded;
pub(crate) mod endpoint;
pub(crate) mod error_class;
mod failures;
mod flow_control;
pub(crate) mod metadata_client;
mod outage;
mod outage_teller;
pub(crate) mod producer;
pub(crate) mod producer_config;
pub(crate) mod properties;
mod property_names;
pub(crate) mod security;
mod sender;
pub(crate) mod statistics;
pub(crate) mod target;
pub(crate) mod topic_options;
pub(crate) mod topic_partition;
pub(crate) mod topics;
pub(crate) mod transactions;

pub use embedded::EmbeddedBroker;
