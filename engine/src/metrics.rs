//! The metrics of a pipeline: counted per batch and passed to whoever counts. None are global, so several pipelines
//! share a process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use crate::counts::{Counts, FlagCounts};
use crate::dead_letter_groups::DeadLetterGroups;
use crate::key_fields::KeyFields;
use crate::record::SplitId;
use crate::stage_metrics::{StageMetrics, StageSnapshot};

/// The system's message for the limit of open files, which client libraries repeat.
pub const TOO_MANY_FILES: &str = "Too many open files";

/// Fields whose problems are told apart.
const PROBLEM_FIELDS_MAX: usize = 1_000;
/// Where the problems of all other fields are counted.
const OTHER_FIELDS: &str = "other fields";

/// The metrics of one pipeline.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    /// Errors that were retried: a reconnect, a refused request that was repeated.
    pub retries: AtomicU64,
    /// Errors of brokers and disks, retried or not.
    pub errors: AtomicU64,
    /// How often a broker was not reached or did not answer. No record is the cause.
    pub unreached: AtomicU64,
    /// Output files made visible.
    pub files: AtomicU64,
    /// Connections that a client library could not open at the limit of open files ([`TOO_MANY_FILES`]).
    pub files_refused: AtomicU64,
    /// Bytes read from the source.
    pub bytes_in: AtomicU64,
    /// Lines of the input that are no records and were passed over: a header that comes again.
    pub passed_over: AtomicU64,
    /// The records that the source expects in all, for a progress bar; 0 where it cannot know.
    pub expected: AtomicU64,
    /// The records read so far, committed or not, for a progress bar. [`Counts`] hold committed records only.
    pub progress: AtomicU64,
    totals: Mutex<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    counts: Counts,
    dead_letters: DeadLetterGroups,
    held: BTreeMap<SplitId, u64>,
    lag: BTreeMap<SplitId, u64>,
    checkpoints: u64,
    commits: u64,
    commit_time: Duration,
    batches: u64,
    batch_time: Duration,
    marks_ignored: u64,
    cell_problems: BTreeMap<(CellProblem, String), CellProblemCount>,
    key_fields: KeyFields,
    waiting: BTreeMap<String, String>,
    notes: BTreeMap<&'static str, u64>,
    files_in: BTreeSet<String>,
    /// In the order in which they were first asked for: that of the pipeline.
    stages: Vec<(String, Arc<StageMetrics>)>,
}

/// Why a source could not make full use of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellProblem {
    /// The cell of a measurement is neither a number nor a word for "no value".
    Unreadable,
    /// The publisher's code for the cell is not among those that the pipeline lists.
    UnlistedCode,
}

/// How many cells of a field have a problem, and which was the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellProblemCount {
    /// How many.
    pub cells: u64,
    /// The text of the first one.
    pub text: String,
    /// Where the first one is, if the source can tell.
    pub place: Option<String>,
}

/// The metrics at one instant.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sums over all committed checkpoints.
    pub counts: Counts,
    /// The dead letters among them by stage and class of reason.
    pub dead_letters: DeadLetterGroups,
    /// Records held back at the last checkpoint, summed over the splits.
    pub held: u64,
    /// Records that wait in the source, where it knows.
    pub lag: Option<u64>,
    /// Committed checkpoints.
    pub checkpoints: u64,
    /// Commits, and the time that they took together.
    pub commits: u64,
    /// See `commits`.
    pub commit_time: Duration,
    /// Batches processed by transforms and writer, and the time that it took together.
    pub batches: u64,
    /// See `batches`.
    pub batch_time: Duration,
    /// Errors.
    pub errors: u64,
    /// How often a broker was not reached.
    pub unreached: u64,
    /// Retries.
    pub retries: u64,
    /// Files made visible.
    pub files: u64,
    /// The directories of those files.
    pub files_in: Vec<String>,
    /// Bytes read.
    pub bytes_in: u64,
    /// Lines that are no records and were passed over.
    pub passed_over: u64,
    /// Records whose marks could not be read back.
    pub marks_ignored: u64,
    /// The cells that were read and had a problem, by field.
    pub cell_problems: Vec<(CellProblem, String, CellProblemCount)>,
    /// A line for each key whose records never had a field that a stage lists.
    pub lacking_fields: Vec<String>,
    /// The counts of each transform, in the order of the pipeline.
    pub stages: Vec<(String, StageSnapshot)>,
    /// What sources have noted of their input, and how often.
    pub notes: Vec<(&'static str, u64)>,
    /// Time since the start.
    pub uptime: Duration,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            started: Instant::now(),
            retries: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            unreached: AtomicU64::new(0),
            files: AtomicU64::new(0),
            files_refused: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            totals: Mutex::default(),
        }
    }
}

impl Metrics {
    /// Counts a committed checkpoint of a split.
    pub fn record_checkpoint(&self, split: &SplitId, counts: &Counts, dead_letters: &DeadLetterGroups) {
        let mut totals = self.totals.lock();
        totals.counts.add(counts);
        totals.dead_letters.extend(dead_letters);
        totals.held.insert(Arc::clone(split), counts.held_after);
        totals.checkpoints += 1;
    }

    /// Counts a commit and the time that it took.
    pub fn record_commit(&self, took: Duration) {
        let mut totals = self.totals.lock();
        totals.commits += 1;
        totals.commit_time += took;
    }

    /// The number of commits.
    pub fn commits(&self) -> u64 {
        self.totals.lock().commits
    }

    /// Counts a batch and the time that transforms and writer took for it.
    pub fn record_batch(&self, took: Duration) {
        let mut totals = self.totals.lock();
        totals.batches += 1;
        totals.batch_time += took;
    }

    /// Sets the lag of a split in records; `None` removes it.
    pub fn set_lag(&self, split: &SplitId, lag: Option<u64>) {
        let mut totals = self.totals.lock();
        match lag {
            Some(lag) => totals.lag.insert(Arc::clone(split), lag),
            None => totals.lag.remove(split),
        };
    }

    /// Counts an output file that was made visible in a directory.
    pub fn file_in(&self, dir: &str) {
        self.files.fetch_add(1, Ordering::Relaxed);
        let mut totals = self.totals.lock();
        if !totals.files_in.contains(dir) {
            totals.files_in.insert(dir.to_owned());
        }
    }

    /// Counts records whose marks could not be read back.
    pub fn marks_ignored(&self, records: u64) {
        self.totals.lock().marks_ignored += records;
    }

    /// Counts cells of a field that a source has read and that have a problem. Of a stream that brings field names without limit, only
    /// the first ones are told apart.
    pub fn record_cell_problem(
        &self,
        problem: CellProblem,
        field: &str,
        cells: u64,
        first: impl FnOnce() -> (String, Option<String>),
    ) {
        let mut totals = self.totals.lock();
        let is_full = totals.cell_problems.len() >= PROBLEM_FIELDS_MAX;
        let key = (problem, field.to_owned());
        let key =
            if is_full && !totals.cell_problems.contains_key(&key) { (problem, OTHER_FIELDS.to_owned()) } else { key };
        let count = totals.cell_problems.entry(key).or_insert_with(|| {
            let (text, place) = first();
            CellProblemCount { cells: 0, text, place }
        });
        count.cells += cells;
    }

    /// Counts something about the input that is no record and no error, for the summary: `messages without a value`.
    pub fn note(&self, what: &'static str, count: u64) {
        if count > 0 {
            *self.totals.lock().notes.entry(what).or_default() += count;
        }
    }

    /// Takes note of the fields that a stage lists for a key, and whether the records of the key ever had a value of theirs.
    pub fn record_key_fields<'f>(&self, key: &str, fields: impl Iterator<Item = (&'f Arc<str>, bool)>) {
        self.totals.lock().key_fields.add(key, fields);
    }

    /// Sets what a part of the pipeline (`who`) waits for; `None` ends the wait.
    pub fn waiting(&self, who: &str, what: Option<String>) {
        let mut totals = self.totals.lock();
        match what {
            Some(what) => totals.waiting.insert(who.to_owned(), what),
            None => totals.waiting.remove(who),
        };
    }

    /// The waits of the pipeline, as `who: what`.
    pub fn waits(&self) -> Vec<String> {
        self.totals.lock().waiting.iter().map(|(who, what)| format!("{who}: {what}")).collect()
    }

    /// The counts of a stage, by its name in the pipeline.
    pub fn stage(&self, id: &str) -> Arc<StageMetrics> {
        let mut totals = self.totals.lock();
        if let Some((_, known)) = totals.stages.iter().find(|(known, _)| known == id) {
            return Arc::clone(known);
        }
        let new = Arc::<StageMetrics>::default();
        totals.stages.push((id.to_owned(), Arc::clone(&new)));
        new
    }

    /// A copy of the metrics.
    pub fn snapshot(&self) -> Snapshot {
        let totals = self.totals.lock();
        Snapshot {
            counts: totals.counts.clone(),
            dead_letters: totals.dead_letters.clone(),
            held: totals.held.values().sum(),
            lag: (!totals.lag.is_empty()).then(|| totals.lag.values().sum()),
            checkpoints: totals.checkpoints,
            commits: totals.commits,
            commit_time: totals.commit_time,
            batches: totals.batches,
            batch_time: totals.batch_time,
            errors: self.errors.load(Ordering::Relaxed),
            unreached: self.unreached.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            files_in: totals.files_in.iter().cloned().collect(),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            passed_over: self.passed_over.load(Ordering::Relaxed),
            marks_ignored: totals.marks_ignored,
            cell_problems: totals
                .cell_problems
                .iter()
                .map(|((problem, field), count)| (*problem, field.clone(), count.clone()))
                .collect(),
            lacking_fields: totals.key_fields.lines(),
            stages: totals.stages.iter().map(|(id, stage)| (id.clone(), stage.snapshot())).collect(),
            notes: totals.notes.iter().map(|(what, count)| (*what, *count)).collect(),
            uptime: self.started.elapsed(),
        }
    }
}
