//! To a Kafka topic.

mod config;
mod writer;
