//! From a snapshot to a status.

use super::status::{
    Bucket, Bytes, CellProblemStatus, Commits, Committed, DeadLetterStatus, Distribution, ErrorStatus, FieldStatus,
    PipelineStatus, SplitStatus, StageStatus, StationStatus, StationsStatus, TestStatus,
};
use super::worst_fields::worst_problems;
use crate::clock::rfc3339;
use crate::metrics::{CellProblem, Counts, FieldCells, Histogram, OTHER, Snapshot, StationTimes};
use crate::record::{FieldTest, Provenance};

/// Fields whose cells with a problem are told apart.
const CELL_PROBLEMS_MAX: usize = 100;

/// What a status says of a pipeline that no run measures.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its name.
    pub name: String,
    /// The types of its stages in order.
    pub topology: String,
    /// What readers of the output get.
    pub delivery: String,
    /// The tests that it makes.
    pub tests: Vec<FieldTest>,
}

impl PipelineStatus {
    /// The status by a snapshot, with rates since an earlier one. Health and alerts are left empty.
    #[must_use]
    pub fn of(about: &About, before: &Snapshot, now: &Snapshot, unix_ms: u64) -> PipelineStatus {
        let seconds = now.uptime.saturating_sub(before.uptime).as_secs_f64();
        let rate = |now: u64, before: u64| match seconds > 0.0 {
            true => now.saturating_sub(before) as f64 / seconds,
            false => 0.0,
        };
        PipelineStatus {
            name: about.name.clone(),
            instance: now.instance.clone(),
            topology: about.topology.clone(),
            delivery: about.delivery.clone(),
            phase: now.phase,
            failure: now.failure.clone(),
            waits: now.waits.clone(),
            brokers_away: now.brokers_away.clone(),
            uptime_seconds: now.uptime.as_secs_f64(),
            read: now.read,
            expected: now.expected,
            lag: now.lag,
            lag_committed: now.lag_committed,
            committed: (&now.counts).into(),
            held: now.held,
            read_per_second: rate(now.read, before.read),
            written_per_second: rate(now.counts.written, before.counts.written),
            bytes: Bytes { read: now.bytes_in, written: now.bytes_out },
            errors: now.errors,
            errors_by: now.errors_by.iter().map(error).collect(),
            retries: now.retries,
            connection_failures: now.unreached,
            rebalances: now.rebalances,
            files_written: now.files,
            dead_letter_files_written: now.dead_letter_files,
            files_in: now.files_in.clone(),
            passed_over: now.passed_over,
            marks_ignored: now.marks_ignored,
            commits: Commits {
                seconds: (&now.commit_seconds).into(),
                checkpoint_seconds: (&now.checkpoint_seconds).into(),
                checkpoints: now.checkpoints,
                checkpoints_waiting: now.checkpoints_waiting,
                since_last_seconds: now.since_commit.map(|since| since.as_secs_f64()),
            },
            batch_seconds: (&now.batch_seconds).into(),
            batch_records: (&now.batch_rows).into(),
            processing_latency_seconds: (&now.processing_latency_seconds).into(),
            event_latency_seconds: (&now.event_latency_seconds).into(),
            checkpoints_ahead: now.checkpoints_ahead,
            scores: (now.scores.count() > 0).then(|| (&now.scores).into()),
            stages: now.stages.iter().map(stage).collect(),
            splits: now.splits.iter().map(split).collect(),
            fields: now.fields.iter().map(|cells| field(cells, &about.tests)).collect(),
            cell_problems: cell_problems(now),
            lacking_fields: now.lacking_fields.clone(),
            stations: stations(&now.stations, unix_ms),
            dead_letters: dead_letters(now),
            clients: now.clients.clone(),
            notifications: now.notifications.clone(),
            notes: now.notes.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
            ..PipelineStatus::default()
        }
    }
}

impl From<&Counts> for Committed {
    fn from(counts: &Counts) -> Committed {
        Committed {
            read: counts.read,
            written: counts.written,
            dead_letters: counts.dead,
            filtered: counts.filtered,
            made: counts.made,
            merged: counts.merged,
            out_of_order: counts.out_of_order,
            repeated: counts.repeated,
            mean_score: counts.mean_score(),
        }
    }
}

impl From<&Histogram> for Distribution {
    fn from(histogram: &Histogram) -> Distribution {
        let bucket = |(bound, count): (f64, u64)| Bucket { le: bound.is_finite().then_some(bound), count };
        Distribution {
            count: histogram.count(),
            sum: histogram.sum(),
            buckets: histogram.buckets().map(bucket).collect(),
        }
    }
}

/// The cells of a field, with the tests that look at it and have not objected.
fn field(cells: &FieldCells, tests: &[FieldTest]) -> FieldStatus {
    let mut status = FieldStatus::from(cells);
    for test in tests.iter().filter(|test| *test.field == *status.field) {
        if !status.tests.iter().any(|known| known.test == test.test) {
            status.tests.push(TestStatus { test: test.test.clone(), ..TestStatus::default() });
        }
    }
    status
}

impl From<&FieldCells> for FieldStatus {
    fn from(cells: &FieldCells) -> FieldStatus {
        let [good, not_checked, suspect, fail, _] = cells.flags;
        let of = |provenance: &Provenance| cells.tally.provenance[*provenance as usize];
        let fills = Provenance::ALL.iter().filter(|one| one.is_fill() && of(one) > 0);
        let test = |test: &crate::metrics::TestCount| TestStatus {
            test: test.test.to_string(),
            suspect: test.suspect,
            fail: test.fail,
        };
        FieldStatus {
            field: cells.field.to_string(),
            observed: cells.tally.observed() + of(&Provenance::Derived),
            censored: of(&Provenance::Censored),
            filled: fills.map(|one| (one.name().to_owned(), of(one))).collect(),
            unreadable: cells.tally.unreadable,
            missing: cells.tally.missing,
            good,
            suspect,
            fail,
            not_checked,
            tests: cells.tests.iter().map(test).collect(),
        }
    }
}

fn cell_problems(snapshot: &Snapshot) -> Vec<CellProblemStatus> {
    let mut rows = Vec::new();
    for problem in [CellProblem::Unreadable, CellProblem::UnlistedCode] {
        let (worst, others) = worst_problems(&snapshot.cell_problems, problem, CELL_PROBLEMS_MAX);
        let row = |field: &str, cells: u64, first: &str, first_place: Option<String>| CellProblemStatus {
            field: field.to_owned(),
            problem: problem.name().to_owned(),
            cells,
            first: first.to_owned(),
            first_place,
        };
        rows.extend(worst.into_iter().map(|(field, count)| row(field, count.cells, &count.text, count.place.clone())));
        rows.extend((others.fields > 0).then(|| row(OTHER, others.cells, "", None)));
    }
    rows
}

fn stage((id, stage): &(String, crate::metrics::StageSnapshot)) -> StageStatus {
    StageStatus {
        stage: id.clone(),
        rows_in: stage.rows_in,
        rows_out: stage.rows_out,
        dead_letters: stage.dead,
        filtered: stage.filtered,
        made: stage.made,
        merged: stage.merged,
        seconds: stage.time.as_secs_f64(),
    }
}

fn split(split: &crate::metrics::SplitSnapshot) -> SplitStatus {
    SplitStatus {
        split: split.split.to_string(),
        is_open: split.is_open,
        read: split.read,
        lag: split.lag,
        lag_committed: split.lag_committed,
        committed: (&split.committed).into(),
        held: split.held,
    }
}

fn error(error: &crate::metrics::ErrorCount) -> ErrorStatus {
    ErrorStatus { stage: error.stage.clone(), class: error.class, count: error.count }
}

fn stations(times: &StationTimes, unix_ms: u64) -> StationsStatus {
    let station = |time: &crate::metrics::StationTime| StationStatus {
        station: time.station.to_string(),
        newest_reading: rfc3339(time.newest_micros.div_euclid(1_000)),
        age_seconds: unix_ms as f64 / 1e3 - time.newest_micros as f64 / 1e6,
    };
    let oldest: Vec<StationStatus> = times.oldest.iter().map(station).collect();
    StationsStatus { known: times.known, others: times.known - oldest.len() as u64, oldest }
}

fn dead_letters(snapshot: &Snapshot) -> Vec<DeadLetterStatus> {
    let others = snapshot.dead_letters.others();
    let groups = snapshot.dead_letters.groups().map(|group| DeadLetterStatus {
        stage: group.stage.clone(),
        reason: group.class.clone(),
        first_reason: group.first_reason.clone(),
        count: group.count,
        first_place: group.first_place.clone(),
    });
    let others = (others > 0).then(|| DeadLetterStatus {
        stage: OTHER.to_owned(),
        reason: OTHER.to_owned(),
        first_reason: String::new(),
        count: others,
        first_place: String::new(),
    });
    groups.chain(others).collect()
}
