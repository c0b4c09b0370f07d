//! The status of a process as data: what `/api/status`, the page and `aqpipe top` show.
//!
//! Durations are in seconds, sizes in bytes, times RFC 3339 in UTC. What was *read* counts at once; everything under `committed`
//! counts once its commit is decided.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error_class::ErrorClass;
use crate::metrics::{BrokerAway, ClientFigures, NotificationCounts, Phase};

/// The status of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The version of aqpipe.
    pub version: String,
    /// When this status was taken.
    pub time: String,
    /// Seconds since the process began to serve.
    pub uptime_seconds: f64,
    /// Memory that the process occupies, where the system tells.
    pub memory_bytes: Option<u64>,
    /// The pipelines of the process.
    pub pipelines: Vec<PipelineStatus>,
}

/// The status of one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// The name of this process among those that run the pipeline, once it has one.
    pub instance: Option<String>,
    /// The types of its stages in order: `csv -> impute -> kafka`.
    pub topology: String,
    /// What readers of the output get: `exactly_once` or `at_least_once`.
    pub delivery: String,
    /// How far the run is.
    pub phase: Phase,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// What it waits for, as `part: what`.
    pub waits: Vec<String>,
    /// Brokers that it asks and that do not answer.
    #[serde(default)]
    pub brokers_away: Vec<BrokerAway>,
    /// Whether it is alive, and ready.
    pub health: Health,
    /// Seconds since its start.
    pub uptime_seconds: f64,
    /// Records read so far, committed or not.
    pub read: u64,
    /// Records that the source expects in all, where it knows.
    pub expected: Option<u64>,
    /// Records that wait in the source behind what was read, where it knows.
    pub lag: Option<u64>,
    /// Records that wait in the source behind the last commit, where it knows: what was read and is not committed is among them.
    pub lag_committed: Option<u64>,
    /// What was committed.
    pub committed: Committed,
    /// Records held back at the last checkpoint.
    pub held: u64,
    /// Records a second over the last interval: read, committed or not.
    pub read_per_second: f64,
    /// Records a second over the last interval: written and committed.
    pub written_per_second: f64,
    /// Bytes read, committed or not, and bytes of output.
    pub bytes: Bytes,
    /// Errors that ended the run, or after which a stage tried again.
    pub errors: u64,
    /// The same by stage and class.
    pub errors_by: Vec<ErrorStatus>,
    /// Requests that were repeated.
    pub retries: u64,
    /// Attempts to connect that failed.
    pub connection_failures: u64,
    /// How often a consumer group gave or took partitions.
    pub rebalances: u64,
    /// Output files made visible, without those of dead letters.
    pub files_written: u64,
    /// Files of dead letters made visible.
    pub dead_letter_files_written: u64,
    /// The directories of those files.
    #[serde(default)]
    pub files_in: Vec<String>,
    /// Lines that are no records and were passed over: a header that comes again.
    #[serde(default)]
    pub passed_over: u64,
    /// Records whose quality marks could not be read, and were ignored.
    #[serde(default)]
    pub marks_ignored: u64,
    /// Commits.
    pub commits: Commits,
    /// Batches: the time that transforms and writer took for each.
    pub batch_seconds: Distribution,
    /// Batches: the records of each.
    pub batch_records: Distribution,
    /// For each checkpoint, from the moment when its first record was read to its commit.
    pub processing_latency_seconds: Distribution,
    /// For each checkpoint, from the newest timestamp among its records to its commit. One whose newest timestamp lies ahead of the
    /// clock has none.
    pub event_latency_seconds: Distribution,
    /// Checkpoints whose newest timestamp lay ahead of the clock when they were committed.
    pub checkpoints_ahead: u64,
    /// The quality scores of committed records, where a stage gives any.
    pub scores: Option<Distribution>,
    /// The stages in order.
    pub stages: Vec<StageStatus>,
    /// The splits that this process has had.
    pub splits: Vec<SplitStatus>,
    /// The measurements in the order of the pipeline.
    pub fields: Vec<FieldStatus>,
    /// Cells that were read and had a problem, by field: the 100 with the most, and the sum of the others as `other`.
    #[serde(default)]
    pub cell_problems: Vec<CellProblemStatus>,
    /// Keys whose records never had a field that a stage lists, as `key: fields`: 20 at most, and how many more there are.
    #[serde(default)]
    pub lacking_fields: Vec<String>,
    /// The newest readings of stations.
    pub stations: StationsStatus,
    /// Committed dead letters by stage and reason.
    pub dead_letters: Vec<DeadLetterStatus>,
    /// What client libraries measured of their connections.
    pub clients: Vec<ClientFigures>,
    /// What became of the notifications of alerts, by hook.
    pub notifications: Vec<NotificationCounts>,
    /// What the input had that is no record and no error, and how often.
    pub notes: BTreeMap<String, u64>,
    /// The alerts that fire now.
    pub alerts: Vec<AlertStatus>,
    /// The last alerts that began or ended, the newest first.
    pub alert_history: Vec<AlertStatus>,
}

/// Whether a pipeline is alive, and ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Whether it is alive: it has not failed and is not stuck. Bad data does not matter.
    pub alive: bool,
    /// Why it is not alive.
    pub reasons: Vec<String>,
    /// Whether it is connected, has its splits, and has caught up as far as its configuration asks.
    pub ready: bool,
    /// Why it is not ready.
    pub ready_reasons: Vec<String>,
}

/// Sums over all committed checkpoints of this run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Committed {
    /// Records read.
    pub read: u64,
    /// Records written.
    pub written: u64,
    /// Records that became dead letters.
    pub dead_letters: u64,
    /// Records that the configuration left out.
    pub filtered: u64,
    /// Rows that transforms made beside those that were read.
    pub made: u64,
    /// Rows that transforms merged into others.
    pub merged: u64,
    /// Records whose time lies before that of the record before them with the same key.
    pub out_of_order: u64,
    /// Records whose time is that of the record before them with the same key.
    pub repeated: u64,
    /// The mean score of the records that have one.
    pub mean_score: Option<f64>,
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    /// Read from the source.
    pub read: u64,
    /// Of output, dead letters included: of files once they are visible, of messages once they are handed to the client.
    pub written: u64,
}

/// Commits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Commits {
    /// The time that each took.
    pub seconds: Distribution,
    /// The time from the end of each checkpoint to its commit.
    pub checkpoint_seconds: Distribution,
    /// Committed checkpoints.
    pub checkpoints: u64,
    /// Checkpoints that wait for their commit.
    pub checkpoints_waiting: u64,
    /// Seconds since the last commit, where there was one.
    pub since_last_seconds: Option<f64>,
}

/// A distribution of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// How many lie in each bucket, which has an upper bound, without those of the buckets before it.
    pub buckets: Vec<Bucket>,
}

impl Distribution {
    /// The mean, where there are values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// One bucket of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The upper bound, which belongs to it; null for the last one, which has none.
    pub le: Option<f64>,
    /// The values in it.
    pub count: u64,
}

/// One stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageStatus {
    /// Its name in the pipeline.
    pub stage: String,
    /// Rows that went in, committed or not.
    pub rows_in: u64,
    /// Rows that came out.
    pub rows_out: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Rows that the configuration asked to leave out.
    pub filtered: u64,
    /// Rows that it made beside those that went in.
    pub made: u64,
    /// Rows that went into others.
    pub merged: u64,
    /// Seconds that its calls took, in all splits together; of a source those of the processor, for it waits for records.
    pub seconds: f64,
}

/// One split: a partition, a file, a glob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SplitStatus {
    /// Its name: `air-quality-data/2`, a path.
    pub split: String,
    /// Whether this process reads it now.
    pub is_open: bool,
    /// Records read, committed or not.
    pub read: u64,
    /// Records that wait in the source behind what was read, where it knows.
    pub lag: Option<u64>,
    /// Records that wait in the source behind the last commit, where it knows.
    pub lag_committed: Option<u64>,
    /// What was committed.
    pub committed: Committed,
    /// Records held back at the last checkpoint.
    pub held: u64,
}

/// What became of the cells of one measurement in committed records. A cell counts once: observed, censored, filled, unreadable
/// or missing; and once more by its flag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldStatus {
    /// The name of the field; `other` stands for those that found no room.
    pub field: String,
    /// Cells with a value of the source; a check may have emptied it.
    pub observed: u64,
    /// Cells whose value is only known to lie beyond a limit of detection.
    pub censored: u64,
    /// Cells that stages filled, by method.
    pub filled: BTreeMap<String, u64>,
    /// Cells that hold neither a number nor a word for "no value", and are not filled.
    pub unreadable: u64,
    /// Cells without a value.
    pub missing: u64,
    /// Cells that passed all checks.
    pub good: u64,
    /// Cells that are out of the usual.
    pub suspect: u64,
    /// Cells that are wrong.
    pub fail: u64,
    /// Cells with a value that no check looked at.
    pub not_checked: u64,
    /// The tests that objected, and those that look at the field and did not.
    pub tests: Vec<TestStatus>,
}

impl FieldStatus {
    /// All cells.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.observed + self.censored + self.filled.values().sum::<u64>() + self.unreadable + self.missing
    }

    /// Cells without a value, and those with one that a check objected to. What cannot be read fails as well.
    #[must_use]
    pub fn bad_cells(&self) -> u64 {
        self.missing + self.suspect + self.fail.max(self.unreadable)
    }
}

/// The cells of a field to which a test objected, by the flag that they ended with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestStatus {
    /// The name of the test.
    pub test: String,
    /// Cells that are suspect.
    pub suspect: u64,
    /// Cells that fail.
    pub fail: u64,
}

/// Cells of one field that a source has read and that have a problem of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellProblemStatus {
    /// The name of the field; `other` stands for those that found no room.
    pub field: String,
    /// `unreadable`: neither a number nor a word for "no value". `unlisted_code`: a code of the publisher that the pipeline does not
    /// list.
    pub problem: String,
    /// How many there are, committed or not.
    pub cells: u64,
    /// The text of the first one.
    pub first: String,
    /// Where the first one is, if the source can tell.
    pub first_place: Option<String>,
}

/// The stations: the keys of records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StationsStatus {
    /// How many are known.
    pub known: u64,
    /// Those whose newest reading is oldest, the oldest first: 1,000 at most.
    pub oldest: Vec<StationStatus>,
    /// How many are not among those.
    pub others: u64,
}

/// One station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StationStatus {
    /// Its key.
    pub station: String,
    /// The time of its newest reading.
    pub newest_reading: String,
    /// Seconds from that time to now.
    pub age_seconds: f64,
}

/// Errors of one stage and one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorStatus {
    /// The stage; `engine` where it was none: the state directory, the commit log, a thread.
    pub stage: String,
    /// What kind of thing failed.
    pub class: ErrorClass,
    /// How many.
    pub count: u64,
}

/// Dead letters of one stage and one class of reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterStatus {
    /// The stage that gave them up; `other` stands for those that found no room.
    pub stage: String,
    /// The reason without its data.
    pub reason: String,
    /// The reason of the first one, whole.
    pub first_reason: String,
    /// How many.
    pub count: u64,
    /// The place of the first one.
    pub first_place: String,
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertStatus {
    /// Which one, as its key in `[monitor.alerts]`: `error_rate`, `quality`, `silent_after`.
    pub alert: String,
    /// The station or the field that it is about, where it is about one.
    pub subject: Option<String>,
    /// How many stations or fields it stands for: one alert without a name may stand for many.
    pub subjects: u64,
    /// Whether it fires; otherwise it is resolved.
    pub firing: bool,
    /// When that began.
    pub since: String,
    /// What was measured.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// The measured value, the limit and the key that sets it, and what to do.
    pub text: String,
}
