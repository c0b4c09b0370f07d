//! What the Kafka source, sink and dead letter share: client set-up, topics, the embedded broker.

pub(crate) mod client;
pub mod embedded;
mod gate;
pub(crate) mod letters;
mod names;
pub(crate) mod outbox;
pub(crate) mod properties;
pub(crate) mod security;
pub(crate) mod target;
pub(crate) mod topics;
pub(crate) mod transactions;
pub(crate) mod watch;

pub use embedded::Embedded;
