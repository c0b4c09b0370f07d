//! The Kafka stages against librdkafka's in-process cluster, and against a real Apache Kafka where one is named.

use aqpipe_stages as _;

mod by_hand;
mod embedded;
mod harness;
mod real;
