//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::dataset::SOURCES_MAX;
use crate::faults::{FaultKind, Path};

/// Kills, freezes and cuts off running pipelines, and verifies that every record comes out once, in order and right.
///
/// Exit codes: 0 no violation, 1 a violation was found, 2 the trial could not be run. The working directory is kept unless
/// the exit code is 0.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The types of source and sink
    #[arg(long, value_enum)]
    pub(crate) path: PathChoice,
    /// How many faults are injected
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,
    /// Decides the faults, their order and their timing; the same seed gives the same plan [default: a random one]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many readings go through the pipeline [default: 800 for each round]
    #[arg(long)]
    pub(crate) records: Option<u64>,
    /// How many stations the readings are of [default: 5 to 9, as the seed decides]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=SOURCES_MAX as i64))]
    pub(crate) stations: Option<u32>,
    /// One broker behind a proxy: connections are cut, delayed and stalled, and no process is killed
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Inject only faults of this kind; repeatable
    #[arg(long, value_enum)]
    pub(crate) only: Vec<FaultKind>,
    /// Go on after a violation
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Keep the working directory although no violation was found
    #[arg(long)]
    pub(crate) keep: bool,
    /// The binary under test [default: `aqpipe` beside this program]
    #[arg(long, env = "AQPIPE_BIN", value_name = "FILE")]
    pub(crate) aqpipe: Option<PathBuf>,
    /// Use the running Kafka of this directory (see `aqpipe kafka up --dir`) instead of starting one
    #[arg(long, value_name = "DIR")]
    pub(crate) kafka_dir: Option<PathBuf>,
}

/// The values of `--path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathChoice {
    FileKafka,
    KafkaFile,
    KafkaKafka,
    FileFile,
    All,
}

impl PathChoice {
    pub(crate) fn paths(self) -> Vec<Path> {
        match self {
            PathChoice::FileKafka => vec![Path::FileKafka],
            PathChoice::KafkaFile => vec![Path::KafkaFile],
            PathChoice::KafkaKafka => vec![Path::KafkaKafka],
            PathChoice::FileFile => vec![Path::FileFile],
            PathChoice::All => Path::ALL.to_vec(),
        }
    }
}
