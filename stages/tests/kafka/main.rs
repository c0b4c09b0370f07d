//! The Kafka stages against librdkafka's in-process cluster, and against a real Apache Kafka where one is named.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use aqpipe_stages as _;

mod embedded;
mod harness;
mod real;
