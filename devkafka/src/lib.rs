//! A local Apache Kafka for trying and testing pipelines: `aqpipe kafka up|down|status`.
//!
//! It is Apache Kafka itself, run by the Java of this machine. `install` finds it or has `maven` fetch its jars, `cluster`
//! and `node` lay out its directory and configure it, `process` tells the brokers that this command started from other
//! processes, and `client` queries them. `up`, `down` and `status` are the three commands.
//!
//! Tests that need a broker take its address from the environment variable `AQPIPE_TEST_BROKERS`
//! (`127.0.0.1:9092`) and are `#[ignore = "needs Apache Kafka"]`: `aqpipe kafka up`, set it, `cargo test -- --ignored`.

mod args;
mod client;
mod cluster;
mod command;
mod console;
mod data_dir;
mod down;
mod install;
mod java;
mod log_tail;
mod maven;
mod node;
mod ports;
mod process;
mod properties;
mod status;
mod up;

pub use args::KafkaArgs;
pub use command::run;
pub use console::Console;
