//! The faults that a trial injects into a running pipeline, and their timing.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

/// The session timeout of the consumer groups under test: how soon brokers miss a member.
pub(crate) const SESSION_TIMEOUT_SECS: u64 = 2;
/// The pause between two cuts of one fault.
pub(crate) const CUT_INTERVAL: Duration = Duration::from_millis(200);

/// The path of records under test: the types of source and sink.
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

/// Where an instance runs: its state directory and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Placement {
    /// In the first free slot of the shared state directory.
    SameHost,
    /// With a state directory and an instance name of its own, as on another machine.
    OtherHost,
}

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Termination {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
}

/// How the path of the input file is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathSpelling {
    /// As in the pipeline file.
    Plain,
    /// With `./` before it.
    Dotted,
    /// As an absolute path.
    Absolute,
    /// As a glob.
    Glob,
    /// Through a symbolic link to its directory.
    Linked,
    /// The file was renamed.
    Renamed,
}

impl PathSpelling {
    pub(crate) const OTHERS: [PathSpelling; 5] =
        [PathSpelling::Dotted, PathSpelling::Absolute, PathSpelling::Glob, PathSpelling::Linked, PathSpelling::Renamed];
}

/// The fault of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The instance is ended and started again.
    Restart(Termination),
    /// All instances are killed and their state directories removed.
    LoseState,
    /// The instance is ended, and the next one finds the input under another path.
    RespellInput(PathSpelling, Termination),
    /// The instance is suspended for twice its session timeout and resumed; another one may take over meanwhile.
    Freeze(Option<(Placement, Termination)>),
    /// A broker, counted from 1, is killed and restarted after `away`; the instance may be killed just before that.
    KillBroker { node: u16, away: Duration, killed: bool },
    /// A second instance joins; after `stay` the first or the second one is ended.
    SecondInstance { placement: Placement, stay: Duration, first_leaves: bool, how: Termination },
    /// A second start of a running pipeline, which has to be refused.
    RefusedStart,
    /// All connections are cut, as many times as given.
    CutConnections(u32),
    /// Bytes are delayed by up to the first duration, for the second one.
    Delay(Duration, Duration),
    /// No byte passes and no connection is closed, for this long.
    Stall(Duration),
    /// The broker's side of all connections is closed at once, the client's side after this long.
    HalfClose(Duration),
}

/// The kinds of faults, named as `--only` takes them. A plan shuffles all of them, so that each comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultKind {
    /// SIGKILL
    Kill,
    /// SIGTERM
    Term,
    /// SIGKILL, and the state directory is lost
    Lost,
    /// The input of a pipeline that reads a file has another path
    Respelt,
    /// SIGSTOP, then SIGCONT
    Freeze,
    /// SIGKILL of a broker
    Broker,
    /// A second instance of a pipeline that reads Kafka
    Second,
    /// A second instance of one that reads a file
    Refused,
    /// Behind the proxy: connections are cut
    Cut,
    /// Behind the proxy: bytes are delayed
    Slow,
    /// Behind the proxy: bytes are held
    Still,
    /// Behind the proxy: half a connection is lost
    Halve,
}

/// When the fault of a round is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// This long after the last round.
    AfterRound(Duration),
    /// This long after the first new record came out.
    AfterProgress(Duration),
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::SameHost => "beside it",
            Placement::OtherHost => "as on another machine",
        })
    }
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Termination::Kill => "SIGKILL",
            Termination::Terminate => "SIGTERM",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Restart(how) => write!(f, "{how}"),
            Fault::LoseState => write!(f, "SIGKILL, and the state directory is lost"),
            Fault::RespellInput(spelling, how) => write!(f, "{how}, and the path of the input is {spelling:?}"),
            Fault::Freeze(None) => write!(f, "SIGSTOP and SIGCONT"),
            Fault::Freeze(Some((placement, how))) => {
                write!(f, "SIGSTOP, another one {placement} takes over, SIGCONT, {how} to the other one")
            }
            Fault::KillBroker { node, away, killed } => {
                let too = if *killed { " and SIGKILL" } else { "" };
                write!(f, "SIGKILL of broker {node}, after {away:?} it is back{too}")
            }
            Fault::SecondInstance { placement, stay, first_leaves, how } => {
                let which = if *first_leaves { "the first" } else { "the second" };
                write!(f, "a second one {placement}, after {stay:?} {how} to {which}")
            }
            Fault::RefusedStart => write!(f, "a second start, to be refused"),
            Fault::CutConnections(times) => write!(f, "connections cut {times} times"),
            Fault::Delay(most, long) => write!(f, "bytes delayed by up to {most:?} for {long:?}"),
            Fault::Stall(long) => write!(f, "nothing passes for {long:?}"),
            Fault::HalfClose(long) => write!(f, "half of each connection lost for {long:?}"),
        }
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Timing::AfterRound(after) => write!(f, "{after:?} after the last"),
            Timing::AfterProgress(after) => write!(f, "{after:?} into work"),
        }
    }
}
