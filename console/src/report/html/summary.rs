//! The beginning of the page: what the report is of.

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{rest, table};
use super::text::{NONE, count, counted, duration, name, percent_or_none, station, time};
use crate::report::model::{DataReport, Report};
use crate::report::origin::Origin;

/// Notes on the page: there may be one for each file.
const NOTES_MAX: usize = 30;
/// Stations in the table.
const STATIONS_MAX: usize = 40;

/// What readers have to know before anything else.
pub(super) fn notes(report: &Report) -> Markup {
    html! {
        @if !report.notes.is_empty() {
            aside {
                h2 { "To know" }
                ul { @for note in report.notes.iter().take(NOTES_MAX) { li { (name_of_note(note)) } } }
                (rest(NOTES_MAX, report.notes.len(), "note"))
            }
        }
    }
}

fn name_of_note(note: &str) -> String {
    const NOTE_CHARS_MAX: usize = 400;
    aqpipe_engine::printable::line(note).chars().take(NOTE_CHARS_MAX).collect()
}

/// The figures at a glance.
pub(super) fn glance(data: &DataReport) -> Markup {
    let valid: u64 = data.series.iter().map(|series| u64::from(series.cells.valid())).sum();
    let filled: u64 = data.series.iter().map(|series| u64::from(series.cells.filled)).sum();
    let failed: u64 = data.series.iter().map(|series| u64::from(series.cells.failed)).sum();
    let cells: u64 = data.series.iter().map(|series| series.cells.cells()).sum();
    let share = |part: u64| percent_or_none((cells > 0).then(|| part as f64 / cells as f64));
    let score = data.score.as_ref().map_or_else(|| NONE.to_owned(), |score| format!("{:.3}", score.mean));
    let figures = [
        (percent_or_none(data.capture()), "data capture", "valid readings of those that are expected"),
        (count(data.records), "records", "read"),
        (count(data.stations.len() as u64), "stations", "by the key of the records"),
        (count(data.fields.len() as u64), "measured fields", "computed fields are not counted"),
        (share(valid), "valid", "of all cells: observed, and no test failed"),
        (share(filled), "filled", "of all cells: not observed"),
        (share(failed), "failed", "of all cells: observed, and a test failed"),
        (score, "mean score", "of the records, 0 to 1"),
    ];
    html! {
        dl.glance { @for (value, what, about) in figures { div { dt { (what) } dd { (value) small { (about) } } } } }
    }
}

/// Where the records come from.
pub(super) fn origin(budget: &mut Budget, data: &DataReport) -> Markup {
    let origin = &data.origin;
    let period =
        data.period.map_or_else(|| NONE.to_owned(), |(first, last)| format!("{} to {}", time(first), time(last)));
    let made = origin.made_by.as_ref();
    html! {
        dl.facts {
            dt { "Pipeline" } dd { (origin.pipeline.as_deref().map_or_else(|| "not known".to_owned(), name)) }
            dt { "Read from" } dd { (name(&origin.place)) " (" (counted(data.inputs, "input")) ")" }
            dt { "First and last record" } dd { (period) }
            @if let Some(made) = made { dt { "Made by" } dd { code { (name(&made.topology)) } } }
            @if made.is_some() || !origin.written_by.is_empty() { dt { "Digest of the pipeline" } dd { (digests(origin)) } }
            @if let Some(version) = &origin.version { dt { "Described by" } dd { "aqpipe " (name(version)) } }
            dt { "Records that could not be read" }
            dd {
                (count(data.unreadable_records))
                @for example in &data.unreadable_examples { br; small { (name_of_note(example)) } }
            }
        }
        (stations(budget, data))
    }
}

/// Digests that are named.
const DIGESTS_MAX: usize = 5;

/// The digests of those who wrote the records and of the pipeline's file, and what they say of the limits.
fn digests(origin: &Origin) -> Markup {
    let wrote = &origin.written_by;
    let left = wrote.len().saturating_sub(DIGESTS_MAX);
    html! {
        @for (at, one) in wrote.iter().rev().take(DIGESTS_MAX).enumerate() {
            @if at > 0 { "; before " }
            code { (name(&one.digest)) } " from " (name(&one.since)) " on"
        }
        @if left > 0 { "; and " (counted(left as u64, "digest")) " before" }
        @if !wrote.is_empty() { ", as the data package says. " }
        @if let Some(made) = &origin.made_by {
            @if wrote.is_empty() {
                code { (made.digest) } " as " (name(&made.file)) " says it now. The records do not say which digest made them: the limits shown "
                "are those of the file now."
            } @else if wrote.iter().all(|one| one.digest == made.digest) {
                "The limits shown are those of " (name(&made.file)) ", which has this digest."
            } @else {
                (name(&made.file)) " has the digest " code { (made.digest) } " now: the limits shown are those of the file, and may not be those "
                "of the run."
            }
        } @else if wrote.len() > 1 {
            "The limits shown are those of the first of these."
        } @else {
            "The limits shown are its own."
        }
    }
}

fn stations(budget: &mut Budget, data: &DataReport) -> Markup {
    let rows: Vec<Vec<String>> = data
        .stations
        .iter()
        .take(STATIONS_MAX)
        .map(|one| {
            vec![
                station(one.station.as_deref()),
                time(one.first),
                time(one.last),
                one.step_seconds.map_or_else(|| NONE.to_owned(), duration),
                count(one.records),
                count(one.repeated),
                count(one.late),
            ]
        })
        .collect();
    let head =
        ["Station", "First record", "Last record", "Sampling step", "Records", "Same time as another", "Out of order"];
    html! {
        (table(budget, "Stations", &head, &[0, 1, 2], &rows))
        (rest(STATIONS_MAX, data.stations.len(), "station"))
    }
}
