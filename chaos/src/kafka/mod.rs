//! Apache Kafka: brokers, the producer of the input, and consumers of the output.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod feed;

pub(crate) use client::{Message, Topic};
pub(crate) use cluster::Cluster;
pub(crate) use feed::Feed;
