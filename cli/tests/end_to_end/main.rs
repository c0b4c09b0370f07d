//! The `aqpipe` command from end to end, as it is typed: files, pipelines and signals in, files and messages out.
//!
//! One program, so that one link is enough. Tests that need an Apache Kafka are ignored, and find it by
//! `AQPIPE_TEST_BROKERS`.

#![expect(clippy::print_stderr, reason = "tests print how they can be repeated")]

mod alerts;
mod bad_input;
mod changing_files;
mod command;
mod common;
mod configuration;
mod dead_letters;
mod field;
mod growing_files;
mod kafka_command;
mod kafka_command_errors;
mod kafka_messages;
mod killed;
mod leaving;
mod limits;
mod log_numbers;
mod logs;
mod losses;
mod lost;
mod main_job;
mod new_stage;
mod page;
mod positions;
mod printed;
mod recipes;
mod records;
mod report;
mod running_again;
mod scores;
mod served;
mod service;
mod shapes;
mod terminal;
mod times;
mod trouble;
mod until_end;
