//! What can be done to a running pipeline, and when.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

/// The pause after each of several cuts.
pub(crate) const CUT: Duration = Duration::from_millis(200);

/// From where to where records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Path {
    FileKafka,
    KafkaFile,
    KafkaKafka,
    FileFile,
}

impl Path {
    pub(crate) const ALL: [Path; 4] = [Path::FileFile, Path::FileKafka, Path::KafkaFile, Path::KafkaKafka];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Path::FileKafka => "file-kafka",
            Path::KafkaFile => "kafka-file",
            Path::KafkaKafka => "kafka-kafka",
            Path::FileFile => "file-file",
        }
    }

    pub(crate) fn reads_kafka(self) -> bool {
        matches!(self, Path::KafkaFile | Path::KafkaKafka)
    }

    pub(crate) fn writes_kafka(self) -> bool {
        matches!(self, Path::FileKafka | Path::KafkaKafka)
    }

    pub(crate) fn needs_kafka(self) -> bool {
        self != Path::FileFile
    }
}

/// The state directory and name that an instance runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Home {
    /// The first free slot of the shared state directory.
    Near,
    /// A state directory and an instance name of its own, as on another machine.
    Far,
}

/// How a process is told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// SIGKILL.
    Killed,
    /// SIGTERM.
    Asked,
}

/// How the path of the input file is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As the pipeline has it.
    Plain,
    /// With a point before it.
    Dotted,
    /// From the root on.
    Absolute,
    /// As a glob.
    Glob,
    /// By way of a link to its directory.
    Linked,
    /// The file has another name by now.
    Renamed,
}

impl Spelling {
    pub(crate) const OTHERS: [Spelling; 5] =
        [Spelling::Dotted, Spelling::Absolute, Spelling::Glob, Spelling::Linked, Spelling::Renamed];
}

/// What is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The instance leaves and is started again.
    Leave(Leave),
    /// The instance is killed, and its state directory is lost with it.
    Lost,
    /// The instance leaves, and the next one finds the input by another path.
    Respelt(Spelling, Leave),
    /// The instance is stopped for twice its session timeout, then goes on; meanwhile another one may have taken over.
    Freeze(Option<(Home, Leave)>),
    /// A broker, counted from 1, is killed and is away for a while; the instance may be killed at the end of it.
    Broker { node: u16, away: Duration, killed: bool },
    /// A second instance joins, and after a while one of the two leaves: the first one, or the second.
    Second { home: Home, stay: Duration, first_leaves: bool, how: Leave },
    /// A second start of a pipeline that runs already, which is to be refused.
    Refused,
    /// All connections are cut, so often.
    Cut(u32),
    /// Bytes are delayed by up to so long, for a while.
    Slow(Duration, Duration),
    /// Nothing passes for a while, and nothing is closed.
    Still(Duration),
    /// The far halves of all connections are closed; after a while the near ones too.
    Halve(Duration),
}

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long after the last round, whatever goes on.
    Soon(Duration),
    /// So long after records came out again.
    Working(Duration),
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Home::Near => "beside it",
            Home::Far => "as on another machine",
        })
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Leave::Killed => "SIGKILL",
            Leave::Asked => "SIGTERM",
        })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Leave(how) => write!(f, "{how}"),
            Act::Lost => write!(f, "SIGKILL, and the state directory is lost"),
            Act::Respelt(spelling, how) => write!(f, "{how}, and the path of the input is {spelling:?}"),
            Act::Freeze(None) => write!(f, "SIGSTOP and SIGCONT"),
            Act::Freeze(Some((home, how))) => {
                write!(f, "SIGSTOP, another one {home} takes over, SIGCONT, {how} to the other one")
            }
            Act::Broker { node, away, killed } => {
                let too = if *killed { " and SIGKILL" } else { "" };
                write!(f, "SIGKILL of broker {node}, after {away:?} it is back{too}")
            }
            Act::Second { home, stay, first_leaves, how } => {
                let which = if *first_leaves { "the first" } else { "the second" };
                write!(f, "a second one {home}, after {stay:?} {how} to {which}")
            }
            Act::Refused => write!(f, "a second start, to be refused"),
            Act::Cut(times) => write!(f, "connections cut {times} times"),
            Act::Slow(most, long) => write!(f, "bytes delayed by up to {most:?} for {long:?}"),
            Act::Still(long) => write!(f, "nothing passes for {long:?}"),
            Act::Halve(long) => write!(f, "half of each connection lost for {long:?}"),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Soon(after) => write!(f, "{after:?} after the last"),
            Moment::Working(after) => write!(f, "{after:?} into work"),
        }
    }
}
