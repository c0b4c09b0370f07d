//! The `aqpipe` command from end to end, as it is typed: files, pipelines and signals in, files and messages out.
//!
//! One program, so that one link is enough. What needs an Apache Kafka is ignored, and finds it by `AQPIPE_TEST_BROKERS`.

#![expect(clippy::print_stderr, reason = "tests say how they can be tried again and what they left out")]

mod bad_input;
mod changing_files;
mod command;
mod common;
mod dead_letters;
mod kafka_messages;
mod killed;
mod limits;
mod lost;
mod main_job;
mod positions;
mod printed;
mod running_again;
mod trouble;
