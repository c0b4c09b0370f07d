//! The command line of `aqpipe kafka`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use crate::properties;

/// The topic of the pipelines that ship.
const DEFAULT_TOPIC: &str = "air-quality-data";
/// Kafka's own limit on the length of a topic's name.
const TOPIC_NAME_LENGTH_MAX: usize = 249;

/// Runs a local Apache Kafka for trying and testing pipelines.
#[derive(Debug, Args)]
pub struct KafkaArgs {
    #[command(subcommand)]
    pub(crate) command: KafkaCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KafkaCommand {
    /// Starts Apache Kafka in the background, waits until it answers and creates the topic.
    ///
    /// A second `up` says that it is running and creates a missing topic. The broker listens on 127.0.0.1 only, without
    /// passwords or encryption: it is for trials and tests.
    Up(UpArgs),
    /// Stops the brokers that `up` started; their data stays.
    Down(DownArgs),
    /// Shows what is running: exit code 0 when every broker answers, 1 when not.
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    /// The first broker's port; the others take the next ones [default: that of the last start, or 9092]
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// How many brokers to run; 3 keep every record three times [default: that of the last start, or 1]
    #[arg(long, value_parser = value_parser!(u16).range(1..=9))]
    pub(crate) brokers: Option<u16>,
    /// The topic to create if it is missing
    #[arg(long, default_value = DEFAULT_TOPIC, value_parser = topic)]
    pub(crate) topic: String,
    /// Partitions of a topic that is created [default: 3]
    #[arg(long, value_parser = value_parser!(i32).range(1..=10_000))]
    pub(crate) partitions: Option<i32>,
    /// A broker property, `key=value`; repeatable. Kept for later starts until others are given
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = properties::parse_property)]
    pub(crate) properties: Vec<(String, String)>,
    /// A directory with an unpacked Apache Kafka 4 [default: $KAFKA_HOME, else Maven fetches the jars]
    #[arg(long, value_name = "DIR")]
    pub(crate) kafka_home: Option<PathBuf>,
    /// Where fetched jars are kept [default: $AQPIPE_CACHE_DIR, or `aqpipe` in $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Each broker's heap in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = value_parser!(u32).range(64..))]
    pub(crate) heap: u32,
    /// Seconds to wait until the brokers answer
    #[arg(long, value_name = "SECS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
    /// Seconds to wait for a clean end before the brokers are killed
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = value_parser!(u64).range(0..=3600))]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) directory: DirectoryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DirectoryArgs {
    /// The directory of this Kafka: data, configuration, logs, process ids
    #[arg(long, default_value = ".aqpipe/kafka")]
    pub(crate) dir: PathBuf,
}

/// Checks a topic's name by Kafka's rules before anything is started.
fn topic(name: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > TOPIC_NAME_LENGTH_MAX || matches!(name, "." | "..") || !name.chars().all(legal) {
        return Err(format!(
            "a topic's name is 1 to {TOPIC_NAME_LENGTH_MAX} of the characters a-z, A-Z, 0-9, `.`, `_`, `-`"
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct TestCli {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    fn up(args: &[&str]) -> Result<UpArgs, clap::Error> {
        match TestCli::try_parse_from(["kafka", "up"].iter().chain(args))?.kafka.command {
            KafkaCommand::Up(args) => Ok(args),
            other => panic!("not up: {other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        TestCli::command().debug_assert();
    }

    #[test]
    fn up_without_arguments_has_the_documented_defaults() {
        let args = up(&[]).unwrap();
        assert_eq!(args.directory.dir, PathBuf::from(".aqpipe/kafka"));
        assert_eq!((args.topic.as_str(), args.port, args.brokers, args.partitions), (DEFAULT_TOPIC, None, None, None));
        assert_eq!((args.heap, args.timeout), (256, 60));
    }

    #[test]
    fn properties_repeat_and_keep_what_follows_the_first_equals_sign() {
        let args = up(&["--property", "a.b=1", "--property", "c=x=y"]).unwrap();
        assert_eq!(args.properties, [("a.b".to_owned(), "1".to_owned()), ("c".to_owned(), "x=y".to_owned())]);
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for args in [
            ["--port", "0"],
            ["--port", "65536"],
            ["--brokers", "0"],
            ["--brokers", "10"],
            ["--partitions", "0"],
            ["--heap", "1"],
            ["--property", "novalue"],
            ["--topic", "a b"],
            ["--topic", ".."],
        ] {
            assert!(up(&args).is_err(), "{args:?} was taken");
        }
    }
}
