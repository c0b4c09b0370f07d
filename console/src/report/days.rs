//! The days of a report: what they captured, and the worst of them with their reasons.

use std::collections::{BTreeMap, HashMap};

use super::cell::CellCounts;
use super::civil::Day;
use super::model::{DayReport, SeriesReport, WorstDay};
use super::scores::ScoreSummary;
use crate::numbers::counted;

/// Days in the list of the worst.
const WORST_MAX: usize = 10;
/// Reasons of a day.
const REASONS_MAX: usize = 4;
/// All days on which cells are there or readings are expected, these of all series together.
pub(super) fn days(series: &[SeriesReport], expected: &HashMap<Day, u64>) -> BTreeMap<Day, DayReport> {
    let mut days: BTreeMap<Day, DayReport> = BTreeMap::new();
    for (day, readings) in expected {
        days.entry(*day).or_default().expected = *readings;
    }
    for (day, counts) in series.iter().flat_map(|series| &series.days) {
        days.entry(*day).or_default().cells.add_all(counts);
    }
    for day in days.values_mut() {
        let share = || f64::from(day.cells.valid()) / day.expected as f64;
        day.capture = (day.expected > 0).then(share);
    }
    days
}

/// The worst days: by their scores, or by their capture where there are none.
pub(super) fn worst_days(
    days: &BTreeMap<Day, DayReport>,
    series: &[SeriesReport],
    score: Option<&ScoreSummary>,
) -> Vec<WorstDay> {
    let score_of = |day: Day| score.and_then(|score| score.days.get(&day)).map(|day| day.mean);
    let mut worst: Vec<(f64, Day, &DayReport)> = match score {
        Some(score) => {
            days.iter().filter_map(|(day, report)| Some((score.days.get(day)?.mean, *day, report))).collect()
        }
        None => days.iter().filter_map(|(day, report)| Some((report.capture?, *day, report))).collect(),
    };
    worst.retain(|(how, ..)| *how < 1.0);
    // Of days that are as bad the first: sums of the same scores in another order differ in their last digits.
    let rounded = |how: f64| (how * 1e9).round();
    worst.sort_by(|a, b| rounded(a.0).total_cmp(&rounded(b.0)).then(a.1.cmp(&b.1)));
    worst.truncate(WORST_MAX);
    let of_day = |(_, day, report): (f64, Day, &DayReport)| WorstDay {
        day,
        score: score_of(day),
        capture: report.capture,
        reasons: reasons(day, report, series),
    };
    worst.into_iter().map(of_day).collect()
}

/// What may be the matter with cells, and how many it is.
type Kind = (&'static str, fn(&CellCounts) -> u32);

fn reasons(day: Day, report: &DayReport, series: &[SeriesReport]) -> Vec<String> {
    let mut fields: Vec<(&str, CellCounts)> = Vec::new();
    for series in series {
        let Some(counts) = series.days.get(&day) else { continue };
        match fields.iter_mut().find(|(field, _)| *field == series.field) {
            Some((_, known)) => known.add_all(counts),
            None => fields.push((&series.field, *counts)),
        }
    }
    let kinds: [Kind; 6] = [
        ("failed a test", |counts| counts.failed),
        ("emptied by a test", |counts| counts.emptied),
        ("unreadable", |counts| counts.unreadable),
        ("missing", |counts| counts.missing),
        ("filled", |counts| counts.filled),
        ("suspect", |counts| counts.suspect),
    ];
    // Fields with the same trouble are one reason: a station that was down is not thirteen.
    let mut found: Vec<(u64, String)> = Vec::new();
    for (word, count) in kinds {
        let mut by_count: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        fields.iter().filter(|(_, counts)| count(counts) > 0).for_each(|(field, counts)| {
            by_count.entry(count(counts)).or_default().push(field);
        });
        for (count, names) in by_count {
            let text = match &*names {
                [one] => format!("{one}: {count} {word}"),
                [one, two] => format!("{one}, {two}: {count} {word} each"),
                [one, two, rest @ ..] => format!("{one}, {two} and {} more: {count} {word} each", rest.len()),
                [] => continue,
            };
            found.push((u64::from(count) * names.len() as u64, text));
        }
    }
    let absent = report.expected.saturating_sub(report.cells.cells());
    if absent > 0 {
        found.push((absent, format!("{} without a record", counted(absent, "reading"))));
    }
    found.sort_by_key(|(cells, _)| std::cmp::Reverse(*cells));
    found.truncate(REASONS_MAX);
    found.into_iter().map(|(_, text)| text).collect()
}
