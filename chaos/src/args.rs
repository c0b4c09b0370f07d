//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::acts::Path;
use crate::plan::Card;

/// Kills, freezes and cuts off running pipelines, and looks whether every record comes out once, in its order and right.
///
/// The exit code is 0 where nothing was found, 1 where something was, and 2 where it could not be looked for; unless it is
/// 0 the working directory is kept.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// From where to where records go
    #[arg(long, value_enum)]
    pub(crate) path: Choice,
    /// How many times something is done to the pipeline
    #[arg(long, default_value_t = 20)]
    pub(crate) rounds: usize,
    /// Decides what is done, when and to whom; the same seed does the same again [default: a random one]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many readings are carried [default: 800 for each round]
    #[arg(long)]
    pub(crate) records: Option<u64>,
    /// One broker behind a proxy: connections are cut, delayed and held instead of processes killed
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Do nothing but this; repeatable
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Card>,
    /// Go on after something was found
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Keep the working directory although nothing was found
    #[arg(long)]
    pub(crate) keep: bool,
    /// The binary to test [default: that beside this one]
    #[arg(long, env = "AQPIPE_BIN", value_name = "FILE")]
    pub(crate) aqpipe: Option<PathBuf>,
    /// The directory of a running Kafka (see `aqpipe kafka up --dir`) instead of one of its own
    #[arg(long, value_name = "DIR")]
    pub(crate) kafka_dir: Option<PathBuf>,
}

/// What `--path` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    FileKafka,
    KafkaFile,
    KafkaKafka,
    FileFile,
    All,
}

impl Choice {
    pub(crate) fn paths(self) -> Vec<Path> {
        match self {
            Choice::FileKafka => vec![Path::FileKafka],
            Choice::KafkaFile => vec![Path::KafkaFile],
            Choice::KafkaKafka => vec![Path::KafkaKafka],
            Choice::FileFile => vec![Path::FileFile],
            Choice::All => Path::ALL.to_vec(),
        }
    }
}
