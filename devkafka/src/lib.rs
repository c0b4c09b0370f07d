//! `aqpipe kafka up|down|status`: a local Apache Kafka for trying and testing pipelines.
//!
//! It is Apache Kafka itself, run by the Java of this machine: [`install`] finds it (or has [`maven`] fetch its jars),
//! [`cluster`] and [`node`] lay out its directory and configure it, [`process`] knows which brokers this command
//! started, and [`client`] asks them. [`up`], [`down`] and [`status`] are the three commands.
//!
//! Tests that need a broker take its address from the environment variable `AQPIPE_TEST_BROKERS`
//! (`127.0.0.1:9092`), and are `#[ignore = "needs Apache Kafka"]`: `aqpipe kafka up`, set it, `cargo test -- --ignored`.

mod args;
mod client;
mod cluster;
mod down;
mod home;
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

use std::process::ExitCode;

pub(crate) use args::KafkaArgs;
use args::KafkaCommand;

/// Runs one of the three commands.
pub(crate) fn run(args: KafkaArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KafkaCommand::Up(args) => up::up(&args)?,
        KafkaCommand::Down(args) => down::down(&args)?,
        KafkaCommand::Status(args) => return Ok(status::status(&args)?),
    }
    Ok(ExitCode::SUCCESS)
}
