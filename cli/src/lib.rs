//! The `aqpipe` command as a library, so that a build with stages of its own calls the same `main`.

mod kafka;
mod printer;

use clap::Parser;

/// Air-quality pipelines over Apache Kafka, as configuration.
#[derive(Debug, Parser)]
#[command(name = "aqpipe", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Kafka(kafka::KafkaArgs),
}

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let Command::Kafka(args) = Args::parse().command;
    match kafka::run(args) {
        Ok(code) => code,
        Err(error) => {
            printer::err(&format!("error: {error}"));
            if let Some(help) = error.downcast_ref::<aqpipe_engine::Error>().and_then(|error| error.help_text()) {
                printer::err(&format!("help: {help}"));
            }
            std::process::ExitCode::FAILURE
        }
    }
}
