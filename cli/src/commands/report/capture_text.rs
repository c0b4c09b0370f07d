//! The capture table as text.

use std::collections::BTreeSet;

use aqpipe_console::names::name;
use aqpipe_console::numbers::percent_down;
use aqpipe_console::report::{DataReport, Period, Report, SeriesReport};
use aqpipe_engine::plural::counted;

use super::args::By;

/// Periods in a line: more make a table of their own.
const PERIODS_MAX: usize = 12;
/// What stands for records without a station.
const NO_STATION: &str = "(no key)";

/// The lines of the table.
pub(super) fn table(report: &Report, by: By) -> Vec<String> {
    let mut lines = Vec::new();
    for data in report.data.iter().filter(|data| !data.series.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(head(data));
        let periods: BTreeSet<Period> =
            data.series.iter().flat_map(|series| &series.capture).map(|one| one.period).collect();
        let periods: Vec<Period> = periods.into_iter().filter(|period| period.kind() == by.kind()).collect();
        // The whole stands in the first table alone.
        let mut chunks = periods.chunks(PERIODS_MAX).collect::<Vec<_>>();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        for (at, chunk) in chunks.into_iter().enumerate() {
            let whole = (at == 0).then_some(Period::Whole);
            let shown: Vec<Period> = whole.into_iter().chain(chunk.iter().copied()).collect();
            lines.push(String::new());
            lines.extend(rows(data, &shown));
        }
    }
    let is_unknown = |data: &DataReport| data.series.iter().any(|series| series.capture.is_empty());
    if report.data.iter().any(is_unknown) {
        lines.push(String::new());
        lines.push("- the sampling step cannot be told from one reading: `--step 1h` gives it".to_owned());
    }
    let is_partial = |data: &DataReport| data.series.iter().flat_map(|series| &series.capture).any(|one| one.partial);
    if report.data.iter().any(is_partial) {
        lines.push(String::new());
        lines.push("* only a part of this period lies within the records: the share is that of this part".to_owned());
    }
    lines
}

fn head(data: &DataReport) -> String {
    let period = data.period.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
    let capture = data.capture().map_or(String::new(), |share| format!(", capture {}", percent_down(share)));
    format!("{}: {}{period}{capture}", name(data.origin.title()), counted(data.records, "record"))
}

fn rows(data: &DataReport, periods: &[Period]) -> Vec<String> {
    let mut table: Vec<Vec<String>> = Vec::new();
    let names = ["station".to_owned(), "field".to_owned()];
    table.push(names.into_iter().chain(periods.iter().map(ToString::to_string)).collect());
    for series in &data.series {
        let station = series.station.as_deref().map_or_else(|| NO_STATION.to_owned(), |key| name(key).into_owned());
        let cells = periods.iter().map(|period| cell(series, *period));
        table.push([station, name(&series.field).into_owned()].into_iter().chain(cells).collect());
    }
    let columns = periods.len() + 2;
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded =
            cells.map(|(at, (cell, width))| if at < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

fn cell(series: &SeriesReport, period: Period) -> String {
    let Some(one) = series.capture.iter().find(|one| one.period == period) else { return "-".to_owned() };
    let star = if one.partial { "*" } else { "" };
    one.capture.map_or_else(|| "-".to_owned(), |share| format!("{}{star}", percent_down(share)))
}
