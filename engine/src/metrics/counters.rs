//! What counts during a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::clients::BrokersAway;
use super::errors::Errors;
use super::notifications::Notifications;
use super::problems::CellProblems;
use super::splits::Splits;
use super::stages::Stages;
use super::stations::Stations;
use super::{
    BrokerOutage, CellProblem, ClientFigures, Counts, FieldTallies, Histogram, Measured, NotificationOutcome, Phase,
    RecentOutput, Snapshot, SplitMetrics, SplitSnapshot,
};
use crate::clock::Clock;
use crate::dead_letter_groups::DeadLetterGroups;
use crate::error::Error;
use crate::error_class::ErrorClass;
use crate::key_fields::KeyFields;
use crate::record::{QcTests, SplitId};
use crate::stage_metrics::{StageMetrics, StageRole};

/// The system's message for the limit of open files, which client libraries repeat.
pub const TOO_MANY_FILES: &str = "Too many open files";

/// Clients whose figures are kept: a pipeline has a handful.
const CLIENTS_MAX: usize = 100;

/// The metrics of one pipeline.
#[derive(Debug)]
pub struct Metrics {
    clock: Clock,
    started: Instant,
    /// Errors that were retried: a reconnect, a refused request that was repeated.
    pub retries: AtomicU64,
    /// How often a broker was not reached or did not answer. No record is the cause.
    pub unreached: AtomicU64,
    /// How often a consumer group gave this process partitions or took some.
    pub rebalances: AtomicU64,
    /// Output files made visible, without those of dead letters.
    pub files: AtomicU64,
    /// Files of dead letters made visible.
    pub dead_letter_files: AtomicU64,
    /// Connections that a client library could not open at the limit of open files ([`TOO_MANY_FILES`]).
    pub files_refused: AtomicU64,
    /// Bytes read from the source.
    pub bytes_in: AtomicU64,
    /// Bytes of output, dead letters included: of files once they are visible, of messages once they are handed to the client.
    pub bytes_out: AtomicU64,
    /// Lines of the input that are no records and were passed over: a header that comes again.
    pub passed_over: AtomicU64,
    /// The records that the source expects in all, for a progress bar; 0 where it cannot know.
    pub expected: AtomicU64,
    /// The records read so far, committed or not. [`Counts`] hold committed records only.
    pub progress: AtomicU64,
    /// Checkpoints that wait for their commit.
    pub checkpoints_waiting: AtomicU64,
    qc_tests: Arc<QcTests>,
    recent: OnceLock<RecentOutput>,
    totals: Mutex<Totals>,
}

#[derive(Debug)]
struct Totals {
    phase: Phase,
    /// When the run was over.
    ended: Option<Instant>,
    failure: Option<String>,
    errors: Errors,
    instance: Option<String>,
    counts: Counts,
    dead_letters: DeadLetterGroups,
    splits: Splits,
    checkpoints: u64,
    last_commit: Option<Instant>,
    commit_seconds: Histogram,
    checkpoint_seconds: Histogram,
    batch_seconds: Histogram,
    batch_rows: Histogram,
    processing_latency: Histogram,
    event_latency: Histogram,
    checkpoints_ahead: u64,
    scores: Histogram,
    fields: FieldTallies,
    stations: Stations,
    marks_ignored: u64,
    cell_problems: CellProblems,
    key_fields: KeyFields,
    waiting: BTreeMap<String, String>,
    notes: BTreeMap<&'static str, u64>,
    files_in: BTreeSet<String>,
    clients: BTreeMap<String, ClientFigures>,
    brokers_away: BrokersAway,
    stages: Stages,
    notifications: Notifications,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new(Clock::default())
    }
}

impl Metrics {
    /// Metrics that count from now on, by this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Metrics {
        Metrics {
            started: clock.now(),
            clock,
            retries: AtomicU64::new(0),
            unreached: AtomicU64::new(0),
            rebalances: AtomicU64::new(0),
            files: AtomicU64::new(0),
            dead_letter_files: AtomicU64::new(0),
            files_refused: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            checkpoints_waiting: AtomicU64::new(0),
            qc_tests: Arc::default(),
            recent: OnceLock::new(),
            totals: Mutex::new(Totals {
                phase: Phase::default(),
                ended: None,
                failure: None,
                errors: Errors::default(),
                instance: None,
                counts: Counts::default(),
                dead_letters: DeadLetterGroups::default(),
                splits: Splits::default(),
                checkpoints: 0,
                last_commit: None,
                commit_seconds: Histogram::of_seconds(),
                checkpoint_seconds: Histogram::of_seconds(),
                batch_seconds: Histogram::of_seconds(),
                batch_rows: Histogram::of_rows(),
                processing_latency: Histogram::of_seconds(),
                event_latency: Histogram::of_seconds(),
                checkpoints_ahead: 0,
                scores: Histogram::of_scores(),
                fields: FieldTallies::default(),
                stations: Stations::default(),
                marks_ignored: 0,
                cell_problems: CellProblems::default(),
                key_fields: KeyFields::default(),
                waiting: BTreeMap::new(),
                notes: BTreeMap::new(),
                files_in: BTreeSet::new(),
                clients: BTreeMap::new(),
                brokers_away: BrokersAway::default(),
                stages: Stages::default(),
                notifications: Notifications::default(),
            }),
        }
    }

    /// The names of the tests behind the bits of cells.
    pub fn qc_tests(&self) -> &Arc<QcTests> {
        &self.qc_tests
    }

    /// From now on the last output is kept, for people who look.
    pub fn keep_recent_output(&self) -> &RecentOutput {
        self.recent.get_or_init(RecentOutput::default)
    }

    /// The last output, where somebody asked for it.
    pub fn recent_output(&self) -> Option<&RecentOutput> {
        self.recent.get()
    }

    /// Says how far the run is. One that is over stays so.
    pub fn set_phase(&self, phase: Phase) {
        let mut totals = self.totals.lock();
        if !totals.phase.is_over() {
            totals.phase = phase;
            totals.ended = phase.is_over().then(|| self.clock.now());
        }
    }

    /// The run failed.
    pub fn failed(&self, why: String) {
        let mut totals = self.totals.lock();
        (totals.phase, totals.failure) = (Phase::Failed, Some(why));
        totals.ended.get_or_insert_with(|| self.clock.now());
    }

    /// Counts an error that ends the run, once however often it is handed in.
    pub fn record_error(&self, error: &mut Error) {
        if error.mark_counted() {
            let mut totals = self.totals.lock();
            totals.errors.add(error.stage(), error.class());
            totals.errors.fatal += 1;
        }
    }

    /// Counts an error of a stage after which it goes on, or tries again.
    pub fn record_passing_error(&self, stage: &str, class: ErrorClass) {
        self.totals.lock().errors.add(Some(stage), class);
    }

    /// Counts notifications of alerts, by the hook that was to take them.
    pub fn record_notifications(&self, hook: &str, outcome: NotificationOutcome, count: u64) {
        self.totals.lock().notifications.add(hook, outcome, count);
    }

    /// From now on stations are counted whose newest reading lies so far behind the newest of all.
    pub fn count_silent_after(&self, seconds: f64) {
        self.totals.lock().stations.silent_after_micros = Some((seconds * 1e6) as i64);
    }

    /// Sets the name of this process among those that run the pipeline.
    pub fn set_instance(&self, instance: &str) {
        self.totals.lock().instance = Some(instance.to_owned());
    }

    /// The live counts of a split that is opened.
    pub fn open_split(&self, split: &SplitId) -> Arc<SplitMetrics> {
        self.totals.lock().splits.open(split)
    }

    /// A split is no longer read here.
    pub fn close_split(&self, split: &SplitId) {
        self.totals.lock().splits.close(split);
    }

    /// Counts a committed checkpoint of a split.
    pub fn record_checkpoint(
        &self,
        split: &SplitId,
        counts: &Counts,
        dead_letters: &DeadLetterGroups,
        measured: &Measured,
    ) {
        let (now, unix) = (self.clock.now(), self.clock.since_epoch());
        let mut totals = self.totals.lock();
        totals.counts.add(counts);
        totals.dead_letters.extend(dead_letters);
        totals.splits.committed(split, counts, measured.to);
        totals.checkpoints += 1;
        totals.fields.add(&measured.fields);
        totals.scores.add(&measured.scores);
        if let Some(since) = measured.since {
            totals.processing_latency.observe(now.saturating_duration_since(since).as_secs_f64());
        }
        if let Some(closed) = measured.closed {
            totals.checkpoint_seconds.observe(now.saturating_duration_since(closed).as_secs_f64());
        }
        if let Some(newest) = measured.newest_micros {
            // A time that lies ahead has no latency.
            match unix.as_secs_f64() - newest as f64 / 1e6 {
                latency if latency >= 0.0 => totals.event_latency.observe(latency),
                _ => totals.checkpoints_ahead += 1,
            }
        }
    }

    /// Counts a commit and the time that it took.
    pub fn record_commit(&self, took: Duration) {
        let mut totals = self.totals.lock();
        totals.last_commit = Some(self.clock.now());
        totals.commit_seconds.observe(took.as_secs_f64());
    }

    /// The number of commits.
    pub fn commits(&self) -> u64 {
        self.totals.lock().commit_seconds.count()
    }

    /// Counts a batch of so many rows, and the time that transforms and writer took for it.
    pub fn record_batch(&self, rows: u64, took: Duration) {
        let mut totals = self.totals.lock();
        totals.batch_rows.observe(rows as f64);
        totals.batch_seconds.observe(took.as_secs_f64());
    }

    /// Takes note of the newest readings of stations: their keys, and microseconds since 1970.
    pub fn record_stations(&self, newest: Vec<(String, i64)>) {
        let mut totals = self.totals.lock();
        newest.into_iter().for_each(|(station, micros)| totals.stations.add(&station, micros));
    }

    /// Sets what a client library measured.
    pub fn record_client(&self, figures: ClientFigures) {
        let mut totals = self.totals.lock();
        if totals.clients.len() < CLIENTS_MAX || totals.clients.contains_key(&figures.client) {
            totals.clients.insert(figures.client.clone(), figures);
        }
    }

    /// Sets the brokers that do not answer a part of the pipeline (`who`). None where all do.
    pub fn brokers_away(&self, who: &str, away: impl IntoIterator<Item = BrokerOutage>) {
        self.totals.lock().brokers_away.set(who, away);
    }

    /// Counts an output file that was made visible in a directory, one of dead letters apart from the others.
    pub fn file_in(&self, dir: &str, of_dead_letters: bool) {
        let count = if of_dead_letters { &self.dead_letter_files } else { &self.files };
        count.fetch_add(1, Ordering::Relaxed);
        let mut totals = self.totals.lock();
        if !totals.files_in.contains(dir) {
            totals.files_in.insert(dir.to_owned());
        }
    }

    /// Counts records whose marks could not be read back.
    pub fn marks_ignored(&self, records: u64) {
        self.totals.lock().marks_ignored += records;
    }

    /// Counts cells of a field that a source has read and that have a problem.
    pub fn record_cell_problem(
        &self,
        problem: CellProblem,
        field: &str,
        cells: u64,
        first: impl FnOnce() -> (String, Option<String>),
    ) {
        self.totals.lock().cell_problems.add(problem, field, cells, first);
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
        self.totals.lock().waits()
    }

    /// The counts of a stage, by its role and its name in the pipeline.
    pub fn stage(&self, role: StageRole, id: &str) -> Arc<StageMetrics> {
        self.totals.lock().stages.stage(role, id)
    }

    /// A copy of the metrics.
    pub fn snapshot(&self) -> Snapshot {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let now = self.clock.now();
        let totals = self.totals.lock();
        let splits = totals.splits.list();
        // A sum without those that do not know would say that less waits than does.
        let open = || splits.iter().filter(|split| split.is_open);
        let lag_of = |of: fn(&SplitSnapshot) -> Option<u64>| {
            open().map(of).sum::<Option<u64>>().filter(|_| open().next().is_some())
        };
        Snapshot {
            phase: totals.phase,
            failure: totals.failure.clone(),
            instance: totals.instance.clone(),
            waits: totals.waits(),
            read: load(&self.progress),
            expected: Some(load(&self.expected)).filter(|expected| *expected > 0),
            counts: totals.counts.clone(),
            dead_letters: totals.dead_letters.clone(),
            held: splits.iter().map(|split| split.held).sum(),
            lag: lag_of(|split| split.lag),
            lag_committed: lag_of(|split| split.lag_committed),
            uncommitted: open().map(|split| split.uncommitted).sum(),
            checkpoints: totals.checkpoints,
            checkpoints_waiting: load(&self.checkpoints_waiting),
            commit_seconds: totals.commit_seconds.clone(),
            checkpoint_seconds: totals.checkpoint_seconds.clone(),
            since_commit: totals.last_commit.map(|last| now.saturating_duration_since(last)),
            batch_seconds: totals.batch_seconds.clone(),
            batch_rows: totals.batch_rows.clone(),
            processing_latency_seconds: totals.processing_latency.clone(),
            event_latency_seconds: totals.event_latency.clone(),
            checkpoints_ahead: totals.checkpoints_ahead,
            scores: totals.scores.clone(),
            fields: totals.fields.fields(&totals.counts.flags, &self.qc_tests.names()),
            stations: totals.stations.times(i64::try_from(self.clock.since_epoch().as_micros()).unwrap_or(i64::MAX)),
            splits,
            errors: totals.errors.count(),
            fatal_errors: totals.errors.fatal,
            errors_by: totals.errors.list(|stage| totals.stages.name_of(stage)),
            unreached: load(&self.unreached),
            retries: load(&self.retries),
            rebalances: load(&self.rebalances),
            files: load(&self.files),
            dead_letter_files: load(&self.dead_letter_files),
            files_in: totals.files_in.iter().cloned().collect(),
            bytes_in: load(&self.bytes_in),
            bytes_out: load(&self.bytes_out),
            passed_over: load(&self.passed_over),
            marks_ignored: totals.marks_ignored,
            cell_problems: totals.cell_problems.list(),
            lacking_fields: totals.key_fields.lines(),
            stages: totals.stages.list(),
            notes: totals.notes.iter().map(|(what, count)| (*what, *count)).collect(),
            clients: totals.clients.values().cloned().collect(),
            notifications: totals.notifications.list(),
            brokers_away: totals.brokers_away.list(now),
            uptime: totals.ended.unwrap_or(now).saturating_duration_since(self.started),
        }
    }
}

impl Totals {
    fn waits(&self) -> Vec<String> {
        self.waiting.iter().map(|(who, what)| format!("{who}: {what}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_that_lies_ahead_of_the_clock_has_no_latency_and_is_counted_apart() {
        let clock = Clock::manual(Duration::from_secs(1_000));
        let metrics = Metrics::new(clock);
        for second in [990, 1_000, 1_001] {
            let measured = Measured { newest_micros: Some(second * 1_000_000), ..Measured::default() };
            metrics.record_checkpoint(&"s".into(), &Counts::default(), &DeadLetterGroups::default(), &measured);
        }
        let now = metrics.snapshot();
        let latency = &now.event_latency_seconds;
        assert_eq!((latency.count(), latency.sum(), now.checkpoints_ahead, now.checkpoints), (2, 10.0, 1, 3));
    }

    #[test]
    fn files_of_dead_letters_are_counted_apart() {
        let metrics = Metrics::default();
        [false, false, true].into_iter().for_each(|dead| metrics.file_in("out", dead));
        let now = metrics.snapshot();
        assert_eq!((now.files, now.dead_letter_files), (2, 1));
    }

    #[test]
    fn a_lag_is_known_where_all_open_splits_know_theirs() {
        let metrics = Metrics::default();
        let (a, b): (SplitId, SplitId) = ("t/0".into(), "t/1".into());
        assert_eq!(metrics.snapshot().lag, None);
        metrics.open_split(&a).set_lag(Some(7), Some(9));
        assert_eq!((metrics.snapshot().lag, metrics.snapshot().lag_committed), (Some(7), Some(9)));
        let other = metrics.open_split(&b);
        assert_eq!(metrics.snapshot().lag, None, "7 would be less than what waits");
        other.set_lag(Some(0), None);
        assert_eq!((metrics.snapshot().lag, metrics.snapshot().lag_committed), (Some(7), None));
        metrics.close_split(&a);
        metrics.close_split(&b);
        assert_eq!(metrics.snapshot().lag, None);
    }
}
