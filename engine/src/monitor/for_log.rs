//! A status as fields of a log line, called as in `/api/status`.
//!
//! A line must not be as long as a status can be. Lists keep the rows that say most, in their order; the others are summed up in a
//! row `other`.

use serde_json::{Map, Value};

use super::status::{
    CellProblemStatus, Committed, DeadLetterStatus, FieldStatus, PipelineStatus, SplitStatus, TestStatus,
};
use super::worst_fields::heaviest;
use crate::metrics::OTHER;

/// Rows of a list.
const ROWS_MAX: usize = 50;
/// Stations of a line: those that were silent for longest.
const STATIONS_MAX: usize = 10;
/// What only the last line of a run has: lists by field and stage, and distributions. Every few seconds they would be too much.
const LAST_LINE_ONLY: [&str; 14] = [
    "alert_history",
    "batch_records",
    "batch_seconds",
    "cell_problems",
    "clients",
    "commits",
    "dead_letters",
    "event_latency_seconds",
    "fields",
    "lacking_fields",
    "processing_latency_seconds",
    "scores",
    "stages",
    "stations",
];

/// All numbers of a pipeline. Its name is that of the line.
pub(super) fn all_numbers(status: &PipelineStatus) -> Map<String, Value> {
    let Ok(Value::Object(mut numbers)) = serde_json::to_value(bounded(status.clone())) else { return Map::new() };
    numbers.remove("name");
    numbers
}

/// The numbers of a pipeline without those by field and stage.
pub(super) fn main_numbers(status: &PipelineStatus) -> Map<String, Value> {
    let mut numbers = all_numbers(status);
    LAST_LINE_ONLY.iter().for_each(|name| drop(numbers.remove(*name)));
    numbers
}

fn bounded(mut status: PipelineStatus) -> PipelineStatus {
    status.fields = summed_up(status.fields, FieldStatus::bad_cells, other_fields);
    // A split whose lag is unknown may have the largest.
    let weight = |split: &SplitStatus| if split.is_open { split.lag.unwrap_or(u64::MAX) } else { 0 };
    status.splits = summed_up(status.splits, weight, other_splits);
    status.dead_letters = summed_up(status.dead_letters, |row| row.count, other_dead_letters);
    status.cell_problems = summed_up(status.cell_problems, |row| row.cells, other_problems);
    status.stations.oldest.truncate(STATIONS_MAX);
    status.stations.others = status.stations.known.saturating_sub(status.stations.oldest.len() as u64);
    for list in [&mut status.alerts, &mut status.alert_history] {
        list.truncate(ROWS_MAX);
    }
    status.clients.truncate(ROWS_MAX);
    status
}

fn summed_up<T>(rows: Vec<T>, weight: impl Fn(&T) -> u64, sum: impl FnOnce(&[T]) -> T) -> Vec<T> {
    let (mut told, others) = heaviest(rows, ROWS_MAX, weight);
    if !others.is_empty() {
        told.push(sum(&others));
    }
    told
}

fn other_fields(rows: &[FieldStatus]) -> FieldStatus {
    let mut sum = FieldStatus { field: OTHER.to_owned(), ..FieldStatus::default() };
    for row in rows {
        sum.observed += row.observed;
        sum.censored += row.censored;
        sum.unreadable += row.unreadable;
        sum.missing += row.missing;
        sum.good += row.good;
        sum.suspect += row.suspect;
        sum.fail += row.fail;
        sum.not_checked += row.not_checked;
        row.filled.iter().for_each(|(method, cells)| *sum.filled.entry(method.clone()).or_default() += cells);
        for test in &row.tests {
            if !sum.tests.iter().any(|other| other.test == test.test) {
                sum.tests.push(TestStatus { test: test.test.clone(), ..TestStatus::default() });
            }
            let of_test = sum.tests.iter_mut().find(|other| other.test == test.test);
            of_test.into_iter().for_each(|other| {
                other.suspect += test.suspect;
                other.fail += test.fail;
            });
        }
    }
    sum
}

fn other_splits(rows: &[SplitStatus]) -> SplitStatus {
    let mut sum = SplitStatus { split: OTHER.to_owned(), ..SplitStatus::default() };
    for row in rows {
        sum.is_open |= row.is_open;
        sum.read += row.read;
        sum.held += row.held;
        add(&mut sum.committed, &row.committed);
    }
    let open: Vec<&SplitStatus> = rows.iter().filter(|row| row.is_open).collect();
    if !open.is_empty() {
        sum.lag = open.iter().map(|row| row.lag).sum();
        sum.lag_committed = open.iter().map(|row| row.lag_committed).sum();
    }
    sum
}

/// Without mean scores, for it is not known of how many.
fn add(sum: &mut Committed, row: &Committed) {
    sum.read += row.read;
    sum.written += row.written;
    sum.dead_letters += row.dead_letters;
    sum.filtered += row.filtered;
    sum.made += row.made;
    sum.merged += row.merged;
    sum.out_of_order += row.out_of_order;
    sum.repeated += row.repeated;
}

fn other_dead_letters(rows: &[DeadLetterStatus]) -> DeadLetterStatus {
    let count = rows.iter().map(|row| row.count).sum();
    DeadLetterStatus { stage: OTHER.to_owned(), reason: OTHER.to_owned(), count, ..DeadLetterStatus::default() }
}

fn other_problems(rows: &[CellProblemStatus]) -> CellProblemStatus {
    let cells = rows.iter().map(|row| row.cells).sum();
    CellProblemStatus { field: OTHER.to_owned(), problem: OTHER.to_owned(), cells, ..CellProblemStatus::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::monitor::{StationStatus, StationsStatus};

    fn status(rows: u64) -> PipelineStatus {
        let committed = |read| Committed { read, written: read / 2, ..Committed::default() };
        let field = |at: u64| FieldStatus {
            field: format!("f{at}"),
            observed: 3,
            missing: at,
            filled: BTreeMap::from([("median".to_owned(), 1)]),
            tests: vec![TestStatus { test: "gross_range".to_owned(), suspect: 1, fail: 2 }],
            ..FieldStatus::default()
        };
        let split = |at: u64| SplitStatus {
            split: format!("t/{at}"),
            is_open: true,
            read: at,
            lag: Some(at),
            lag_committed: Some(at + 1),
            committed: committed(at),
            held: 1,
        };
        PipelineStatus {
            name: "job".to_owned(),
            read: 9,
            committed: committed(8),
            fields: (0..rows).map(field).collect(),
            splits: (0..rows).map(split).collect(),
            dead_letters: (0..rows)
                .map(|count| DeadLetterStatus { stage: "s".to_owned(), count, ..DeadLetterStatus::default() })
                .collect(),
            cell_problems: (0..rows).map(|cells| CellProblemStatus { cells, ..CellProblemStatus::default() }).collect(),
            stations: StationsStatus {
                known: rows,
                oldest: (0..rows).map(|_| StationStatus::default()).collect(),
                others: 0,
            },
            ..PipelineStatus::default()
        }
    }

    #[test]
    fn what_fits_is_the_status_itself() {
        let status = status(10);
        let mut numbers = all_numbers(&status);
        numbers.insert("name".to_owned(), "job".into());
        assert_eq!(Value::Object(numbers), serde_json::to_value(&status).expect("JSON"));
        let main = main_numbers(&status);
        assert!(main["splits"][9]["lag"] == 9 && main["committed"]["read"] == 8 && main["read"] == 9, "{main:?}");
        assert!(!main.contains_key("fields") && !main.contains_key("commits"), "{main:?}");
        let named = serde_json::to_value(PipelineStatus::default()).expect("JSON");
        assert!(LAST_LINE_ONLY.iter().all(|name| named.get(name).is_some()), "they are keys of a status");
    }

    #[test]
    fn of_long_lists_the_rows_that_say_most_stay_and_no_count_is_lost() {
        let (all, short) = (status(1_000), bounded(status(1_000)));
        let lengths = [short.fields.len(), short.splits.len(), short.dead_letters.len(), short.cell_problems.len()];
        assert_eq!(lengths, [ROWS_MAX + 1; 4]);
        assert_eq!((short.stations.oldest.len(), short.stations.others), (STATIONS_MAX, 990));
        assert_eq!((&*short.fields[0].field, &*short.fields[50].field), ("f950", OTHER));
        assert_eq!((&*short.splits[49].split, &*short.splits[50].split), ("t/999", OTHER));
        let cells = |status: &PipelineStatus| status.fields.iter().map(FieldStatus::cells).sum::<u64>();
        let lag = |status: &PipelineStatus| status.splits.iter().map(|split| split.lag).sum::<Option<u64>>();
        let read = |status: &PipelineStatus| status.splits.iter().map(|split| split.committed.read).sum::<u64>();
        let dead = |status: &PipelineStatus| status.dead_letters.iter().map(|row| row.count).sum::<u64>();
        assert_eq!(
            (cells(&short), lag(&short), read(&short), dead(&short)),
            (cells(&all), lag(&all), read(&all), dead(&all))
        );
        assert_eq!(short.fields[50].tests, [TestStatus { test: "gross_range".to_owned(), suspect: 950, fail: 1_900 }]);
        let line = Value::Object(all_numbers(&all)).to_string();
        assert!(line.len() < 64 << 10, "{} bytes", line.len());
    }
}
