//! Apache Kafka: its brokers, what is fed into it and what is read from it.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod feed;

pub(crate) use client::{Message, Topic};
pub(crate) use cluster::Cluster;
pub(crate) use feed::Feed;
