//! The metrics of a pipeline at one instant.

use std::time::Duration;

use super::{
    BrokerAway, CellProblem, CellProblemCount, ClientFigures, Counts, ErrorCount, FieldCells, Histogram,
    NotificationCounts, Phase, SplitSnapshot, StationTimes,
};
use crate::dead_letter_groups::DeadLetterGroups;
use crate::stage_metrics::StageSnapshot;

/// The metrics at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// How far the run is.
    pub phase: Phase,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// The name of this process among those that run the pipeline, once it has one.
    pub instance: Option<String>,
    /// What parts of the pipeline wait for, as `who: what`.
    pub waits: Vec<String>,
    /// Records read so far, committed or not.
    pub read: u64,
    /// Records that the source expects in all, where it knows.
    pub expected: Option<u64>,
    /// Sums over all committed checkpoints.
    pub counts: Counts,
    /// The dead letters among them by stage and class of reason.
    pub dead_letters: DeadLetterGroups,
    /// Records held back at the last checkpoint, summed over the splits.
    pub held: u64,
    /// Records that wait in the source behind what was read, where it knows.
    pub lag: Option<u64>,
    /// Records that wait in the source behind the last commit, where it knows.
    pub lag_committed: Option<u64>,
    /// Records that were read of the splits that are open, and are not committed.
    pub uncommitted: u64,
    /// Committed checkpoints.
    pub checkpoints: u64,
    /// Checkpoints that wait for their commit.
    pub checkpoints_waiting: u64,
    /// Commits: the time that each took.
    pub commit_seconds: Histogram,
    /// Checkpoints: the time from the end of each to its commit.
    pub checkpoint_seconds: Histogram,
    /// Time since the last commit, where there was one.
    pub since_commit: Option<Duration>,
    /// Batches: the time that transforms and writer took for each.
    pub batch_seconds: Histogram,
    /// Batches: the rows of each.
    pub batch_rows: Histogram,
    /// For each checkpoint, the time from the moment when its first record was read to its commit.
    pub processing_latency_seconds: Histogram,
    /// For each checkpoint, the time from the newest timestamp among its records to its commit. One whose newest
    /// timestamp lies ahead of the clock has none.
    pub event_latency_seconds: Histogram,
    /// Checkpoints whose newest timestamp lay ahead of the clock when they were committed.
    pub checkpoints_ahead: u64,
    /// The scores of committed records.
    pub scores: Histogram,
    /// The measurements, in the order of the pipeline, and what became of their cells in committed records.
    pub fields: Vec<FieldCells>,
    /// The newest readings of stations, committed or not.
    pub stations: StationTimes,
    /// The splits that this process has had.
    pub splits: Vec<SplitSnapshot>,
    /// Errors that ended the run, or after which a stage tried again.
    pub errors: u64,
    /// Those among them that ended the run.
    pub fatal_errors: u64,
    /// All of them by stage and class.
    pub errors_by: Vec<ErrorCount>,
    /// How often a broker was not reached.
    pub unreached: u64,
    /// Retries.
    pub retries: u64,
    /// How often a consumer group gave or took partitions.
    pub rebalances: u64,
    /// Output files made visible, without those of dead letters.
    pub files: u64,
    /// Files of dead letters made visible.
    pub dead_letter_files: u64,
    /// The directories of those files.
    pub files_in: Vec<String>,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes of output, dead letters included: of files once they are visible, of messages once they are handed to the client.
    pub bytes_out: u64,
    /// Lines that are no records and were passed over.
    pub passed_over: u64,
    /// Records whose marks could not be read back.
    pub marks_ignored: u64,
    /// The cells that were read and had a problem, by field.
    pub cell_problems: Vec<(CellProblem, String, CellProblemCount)>,
    /// A line for each key whose records never had a field that a stage lists.
    pub lacking_fields: Vec<String>,
    /// The counts of each stage, in the order of the pipeline: of rows that were carried, committed or not. A name that two of
    /// them have says which one it is: `kafka (sink)`.
    pub stages: Vec<(String, StageSnapshot)>,
    /// What sources have noted of their input, and how often.
    pub notes: Vec<(&'static str, u64)>,
    /// What client libraries measured of their connections.
    pub clients: Vec<ClientFigures>,
    /// What became of notifications, by hook.
    pub notifications: Vec<NotificationCounts>,
    /// The brokers that do not answer.
    pub brokers_away: Vec<BrokerAway>,
    /// Time since the start; of a run that is over, to its end.
    pub uptime: Duration,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot {
            phase: Phase::default(),
            failure: None,
            instance: None,
            waits: Vec::new(),
            read: 0,
            expected: None,
            counts: Counts::default(),
            dead_letters: DeadLetterGroups::default(),
            held: 0,
            lag: None,
            lag_committed: None,
            uncommitted: 0,
            checkpoints: 0,
            checkpoints_waiting: 0,
            commit_seconds: Histogram::of_seconds(),
            checkpoint_seconds: Histogram::of_seconds(),
            since_commit: None,
            batch_seconds: Histogram::of_seconds(),
            batch_rows: Histogram::of_rows(),
            processing_latency_seconds: Histogram::of_seconds(),
            event_latency_seconds: Histogram::of_seconds(),
            checkpoints_ahead: 0,
            scores: Histogram::of_scores(),
            fields: Vec::new(),
            stations: StationTimes::default(),
            splits: Vec::new(),
            errors: 0,
            fatal_errors: 0,
            errors_by: Vec::new(),
            unreached: 0,
            retries: 0,
            rebalances: 0,
            files: 0,
            dead_letter_files: 0,
            files_in: Vec::new(),
            bytes_in: 0,
            bytes_out: 0,
            passed_over: 0,
            marks_ignored: 0,
            cell_problems: Vec::new(),
            lacking_fields: Vec::new(),
            stages: Vec::new(),
            notes: Vec::new(),
            clients: Vec::new(),
            notifications: Vec::new(),
            brokers_away: Vec::new(),
            uptime: Duration::ZERO,
        }
    }
}
