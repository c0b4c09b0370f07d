//! The `aqpipe` command from end to end, as it is typed: files, pipelines and signals in, files and messages out.
//!
//! One program, so that one link is enough. What needs an Apache Kafka is ignored, and finds it by `AQPIPE_TEST_BROKERS`.

mod bad_input;
mod common;
mod main_job;
