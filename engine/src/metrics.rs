//! The one set of metrics of a pipeline: counted per batch, handed in where something is counted, never global.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::record::SplitId;

/// How many cells of a field have which flag, in the order of [`Flag::ALL`](crate::record::Flag::ALL).
pub type FlagCounts = [u64; 5];

/// What systems call the end of the files that a process, or all of them, may open; client libraries repeat it.
pub const TOO_MANY_FILES: &str = "Too many open files";

/// What a checkpoint counted. All of it becomes true when the checkpoint is decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Records written.
    pub written: u64,
    /// Records that became dead letters.
    pub dead: u64,
    /// Records that the configuration left out.
    pub filtered: u64,
    /// Records held back before the checkpoint.
    pub held_before: u64,
    /// Records held back after it.
    pub held_after: u64,
    /// Records with a score, and the sum of their scores.
    pub scored: u64,
    /// See `scored`.
    pub score_sum: f64,
    /// Records whose time lies before that of the record before them with the same key.
    pub out_of_order: u64,
    /// Records whose time is that of the record before them with the same key.
    pub repeated: u64,
    /// Flags by field.
    pub flags: BTreeMap<Arc<str>, FlagCounts>,
}

impl Counts {
    /// Whether every record that was read or held is accounted for.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.held_before + self.read == self.written + self.dead + self.filtered + self.held_after
    }

    /// Adds a later checkpoint's counts.
    pub fn add(&mut self, later: &Counts) {
        self.read += later.read;
        self.written += later.written;
        self.dead += later.dead;
        self.filtered += later.filtered;
        self.scored += later.scored;
        self.score_sum += later.score_sum;
        self.out_of_order += later.out_of_order;
        self.repeated += later.repeated;
        for (field, flags) in &later.flags {
            let sums = self.flags.entry(Arc::clone(field)).or_default();
            sums.iter_mut().zip(flags).for_each(|(sum, more)| *sum += more);
        }
    }

    /// The mean score, where any record has one.
    #[must_use]
    pub fn mean_score(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.score_sum / self.scored as f64)
    }
}

/// The metrics of one pipeline.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    /// Errors that were survived: a reconnect, a refused request that was repeated.
    pub retries: AtomicU64,
    /// Errors of brokers and disks, survived or not.
    pub errors: AtomicU64,
    /// How often a broker was not reached, or did not answer: no record is the cause of that.
    pub unreached: AtomicU64,
    /// Output files made visible.
    pub files: AtomicU64,
    /// Connections that a client library could not open because the process may open no more ([`TOO_MANY_FILES`]).
    pub files_refused: AtomicU64,
    /// Bytes read from the source.
    pub bytes_in: AtomicU64,
    /// Records that the source expects in all, 0 where it cannot know: for a progress bar.
    pub expected: AtomicU64,
    /// Records read so far, decided or not: for a progress bar. [`Counts`] are what is true.
    pub progress: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    held: BTreeMap<SplitId, u64>,
    lag: BTreeMap<SplitId, u64>,
    checkpoints: u64,
    commits: u64,
    commit_time: Duration,
    batches: u64,
    batch_time: Duration,
    marks_ignored: u64,
    waiting: BTreeMap<String, String>,
    files_in: BTreeSet<String>,
}

/// The metrics at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sums over all decided checkpoints.
    pub counts: Counts,
    /// Records held back at the last checkpoint of each split, in all.
    pub held: u64,
    /// Records known to wait in the source, where that is known.
    pub lag: Option<u64>,
    /// Checkpoints decided.
    pub checkpoints: u64,
    /// Commits, and the time they took in all.
    pub commits: u64,
    /// See `commits`.
    pub commit_time: Duration,
    /// Batches carried through the transforms, and the time that took in all.
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
    /// The directories that they are in.
    pub files_in: Vec<String>,
    /// Bytes read.
    pub bytes_in: u64,
    /// Records whose marks could not be read back.
    pub marks_ignored: u64,
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
            expected: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            inner: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A checkpoint of a split was decided.
    pub fn decided(&self, split: &SplitId, counts: &Counts) {
        let mut inner = self.inner.lock();
        inner.counts.add(counts);
        inner.held.insert(Arc::clone(split), counts.held_after);
        inner.checkpoints += 1;
    }

    /// A commit took so long.
    pub fn committed(&self, took: Duration) {
        let mut inner = self.inner.lock();
        inner.commits += 1;
        inner.commit_time += took;
    }

    /// How many commits there were.
    pub fn commits(&self) -> u64 {
        self.inner.lock().commits
    }

    /// A batch went through the transforms and into the writer in so long.
    pub fn carried(&self, took: Duration) {
        let mut inner = self.inner.lock();
        inner.batches += 1;
        inner.batch_time += took;
    }

    /// A split's lag, or that it is gone.
    pub fn lag(&self, split: &SplitId, lag: Option<u64>) {
        let mut inner = self.inner.lock();
        match lag {
            Some(lag) => inner.lag.insert(Arc::clone(split), lag),
            None => inner.lag.remove(split),
        };
    }

    /// An output file was made visible in a directory.
    pub fn file_in(&self, dir: &str) {
        self.files.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        if !inner.files_in.contains(dir) {
            inner.files_in.insert(dir.to_owned());
        }
    }

    /// Marks of so many records could not be read back.
    pub fn marks_ignored(&self, records: u64) {
        self.inner.lock().marks_ignored += records;
    }

    /// What the pipeline is waiting for, by who waits; `None` when it is over.
    pub fn waiting(&self, who: &str, what: Option<String>) {
        let mut inner = self.inner.lock();
        match what {
            Some(what) => inner.waiting.insert(who.to_owned(), what),
            None => inner.waiting.remove(who),
        };
    }

    /// What the pipeline is waiting for.
    pub fn waits(&self) -> Vec<String> {
        self.inner.lock().waiting.iter().map(|(who, what)| format!("{who}: {what}")).collect()
    }

    /// The metrics now.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            counts: inner.counts.clone(),
            held: inner.held.values().sum(),
            lag: (!inner.lag.is_empty()).then(|| inner.lag.values().sum()),
            checkpoints: inner.checkpoints,
            commits: inner.commits,
            commit_time: inner.commit_time,
            batches: inner.batches,
            batch_time: inner.batch_time,
            errors: self.errors.load(Ordering::Relaxed),
            unreached: self.unreached.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            files_in: inner.files_in.iter().cloned().collect(),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            marks_ignored: inner.marks_ignored,
            uptime: self.started.elapsed(),
        }
    }
}
