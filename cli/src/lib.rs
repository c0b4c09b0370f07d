//! The `aqpipe` command as a library, so that a build with stages of its own calls the same [`main`].
//!
//! Exit codes: 0 done, 1 a pipeline failed, 2 the command line is wrong, 78 the configuration is wrong.

mod commands;
mod dependencies;
mod exit;
mod generated;
mod legacy_options;
mod listen;
mod logging;
mod open_files;
mod printer;
mod progress;
mod service;
mod shell;
mod signals;
mod status;
mod terminal;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Air-quality pipelines over Apache Kafka, as configuration.
///
/// Exit codes: 0 done, 1 a pipeline failed, 2 the command line is wrong, 78 the configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "aqpipe", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(commands::RunArgs),
    Validate(commands::ValidateArgs),
    State(commands::StateArgs),
    Top(commands::TopArgs),
    Report(commands::ReportArgs),
    Capture(commands::CaptureArgs),
    DeadLetters(commands::DeadLettersArgs),
    Stages(commands::StagesArgs),
    Schema(commands::SchemaArgs),
    Metrics(commands::MetricsArgs),
    NewStage(commands::NewStageArgs),
    Kafka(aqpipe_devkafka::KafkaArgs),
}

/// A batch of records and what is read ahead are smaller.
const FREED_MEMORY_KEPT_BYTES: usize = 8 << 20;

/// The allocator of glibc gives the end of its heap back to the system when 128 KiB of it are free, so that each batch may take its
/// memory anew, page by page, which costs a tenth of all time. Where a block as large as this was given back once, it keeps
/// twice as much (`mallopt(3)`, the dynamic threshold). Other allocators lose nothing by it: the block is never touched.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(FREED_MEMORY_KEPT_BYTES)));
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    open_files::raise_limit();
    keep_freed_memory();
    let cli: Cli = match usage::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let exit = match cli.command {
        Command::Run(args) => commands::run(&args).map(ExitCode::from),
        Command::Validate(args) => commands::validate(&args).map(ExitCode::from),
        Command::DeadLetters(args) => commands::dead_letters(&args).map(ExitCode::from),
        Command::Report(args) => commands::report(&args).map(ExitCode::from),
        Command::Capture(args) => commands::capture(&args).map(ExitCode::from),
        Command::State(args) => commands::state(&args).map(ExitCode::from),
        Command::Top(args) => commands::top(&args).map(ExitCode::from),
        Command::Stages(args) => commands::stages(&args).map(ExitCode::from),
        Command::Schema(args) => commands::schema(&args).map(ExitCode::from),
        Command::Metrics(args) => commands::metrics(&args).map(ExitCode::from),
        Command::NewStage(args) => commands::new_stage(&args).map(ExitCode::from),
        Command::Kafka(args) => commands::kafka(&args).map(ExitCode::from),
    };
    exit.unwrap_or_else(|error| {
        match error.downcast_ref::<aqpipe_engine::Error>() {
            Some(error) => printer::failure(None, error),
            None => printer::error(&format!("{error:#}"), None),
        }
        exit::Exit::Failed.into()
    })
}
