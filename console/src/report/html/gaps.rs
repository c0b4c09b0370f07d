//! What is there when, and the longest gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{names, picture, rest, table};
use super::text::{NONE, count, counted, duration, station, time};
use crate::pictures::{Frame, Held, Row, Span, availability};
use crate::report::cell::CellCounts;
use crate::report::civil::{Day, LocalTime};
use crate::report::gaps::Gap;
use crate::report::model::{DataReport, SeriesReport};

/// Rows of the picture.
const ROWS_MAX: usize = 40;
/// Gaps in the list.
const GAPS_MAX: usize = 25;

/// Days of a row: a century. A wrong time would make them endless.
const DAYS_MAX: i32 = 36_600;

/// The section.
pub(super) fn gaps(budget: &mut Budget, data: &DataReport) -> Markup {
    let lines = lines(data);
    let spans: Vec<(&str, Vec<Span>)> =
        lines.iter().take(ROWS_MAX).map(|line| (line.name.as_str(), line.spans(data.period))).collect();
    let rows: Vec<Row<'_>> = spans.iter().map(|(name, spans)| Row { name, spans }).collect();
    let svg = availability(Frame::full("Availability"), &rows);
    html! {
        p {
            "The higher a bar, the more of the readings that are expected of the day are valid. Below a bar that is not of the full height, a line "
            "says what most of the others are: filled (solid), failed (short dashes; emptied by a test too), unreadable (long dashes) or missing "
            "(thin)."
        }
        (picture(budget, "Availability by day", &svg))
        (rest(ROWS_MAX, lines.len(), "row"))
        (list(budget, data))
    }
}

/// A row of the picture.
struct Line {
    name: String,
    days: BTreeMap<Day, CellCounts>,
    /// The readings that are expected on each day, for each series of it.
    expected: Vec<Arc<BTreeMap<Day, u64>>>,
}

/// A row for each series, or for each station with all its fields where that would be too many.
fn lines(data: &DataReport) -> Vec<Line> {
    let has_stations = data.stations.len() > 1;
    if !has_stations || data.series.len() <= ROWS_MAX {
        let label = |one: &SeriesReport| match has_stations {
            true => format!("{} {}", station(one.station.as_deref()), one.field),
            false => one.field.clone(),
        };
        let line = |one: &SeriesReport| Line {
            name: label(one),
            days: one.days.clone(),
            expected: vec![Arc::clone(&one.expected)],
        };
        return data.series.iter().map(line).collect();
    }
    let stations = data.series.chunk_by(|a, b| a.station == b.station);
    let pooled = stations.map(|of_station| {
        let mut days: BTreeMap<Day, CellCounts> = BTreeMap::new();
        for (day, counts) in of_station.iter().flat_map(|one| &one.days) {
            days.entry(*day).or_default().add_all(counts);
        }
        let name = station(of_station.first().and_then(|one| one.station.as_deref()));
        Line { name, days, expected: of_station.iter().map(|one| Arc::clone(&one.expected)).collect() }
    });
    pooled.collect()
}

impl Line {
    /// Each day of the report with what it holds.
    fn spans(&self, period: Option<(LocalTime, LocalTime)>) -> Vec<Span> {
        let Some((first, last)) = period else { return Vec::new() };
        let from = self.expected.iter().filter_map(|days| days.keys().next()).min().copied().unwrap_or(first.day());
        let to = self.expected.iter().filter_map(|days| days.keys().next_back()).max().copied().unwrap_or(last.day());
        let span = |day: i32| {
            let (day, next) = (Day(day), Day(day.saturating_add(1)));
            Span { from_ms: millis(day.start()), to_ms: millis(next.start()), held: self.held(day) }
        };
        (from.0..=to.0.min(from.0.saturating_add(DAYS_MAX))).map(span).collect()
    }

    fn held(&self, day: Day) -> Held {
        let counts = self.days.get(&day).copied().unwrap_or_default();
        // Where the sampling step is not known, a day without a record is one without a reading.
        let of = |days: &BTreeMap<Day, u64>| if days.is_empty() { 1 } else { days.get(&day).copied().unwrap_or(0) };
        let expected = self.expected.iter().map(|days| of(days)).sum::<u64>();
        Held {
            valid: f64::from(counts.valid()),
            filled: f64::from(counts.filled),
            failed: f64::from(counts.failed) + f64::from(counts.emptied),
            unreadable: f64::from(counts.unreadable),
            missing: f64::from(counts.missing) + expected.saturating_sub(counts.cells()) as f64,
        }
    }
}

fn millis(time: LocalTime) -> i64 {
    time.0 / 1_000
}

/// The longest gaps; fields that a station lacks at the same time are one.
fn list(budget: &mut Budget, data: &DataReport) -> Markup {
    let mut all: Vec<(&SeriesReport, &Gap)> =
        data.series.iter().flat_map(|series| series.longest_gaps.iter().map(move |gap| (series, gap))).collect();
    all.sort_by(|(a, x), (b, y)| {
        (std::cmp::Reverse(x.seconds), x.from, &a.station, x.to).cmp(&(
            std::cmp::Reverse(y.seconds),
            y.from,
            &b.station,
            y.to,
        ))
    });
    let together =
        all.chunk_by(|(a, x), (b, y)| (&a.station, x.from, x.to, x.cells) == (&b.station, y.from, y.to, y.cells));
    let groups: Vec<&[(&SeriesReport, &Gap)]> = together.collect();
    let rows: Vec<Vec<String>> = groups
        .iter()
        .take(GAPS_MAX)
        .filter_map(|group| {
            let (series, gap) = group.first()?;
            let fields: Vec<&str> = group.iter().map(|(series, _)| series.field.as_str()).collect();
            Some(vec![
                station(series.station.as_deref()),
                names(&fields),
                gap.from.map_or_else(|| format!("{NONE}, the beginning"), time),
                gap.to.map_or_else(|| format!("{NONE}, the end"), time),
                duration(gap.seconds as f64),
                count(gap.readings),
                content(gap),
            ])
        })
        .collect();
    let total: u64 = data.series.iter().map(|series| series.gaps).sum();
    let head =
        ["Station", "Fields", "Last valid before", "First valid behind", "Length", "Readings", "What is there instead"];
    html! {
        @if rows.is_empty() {
            p { "There are no gaps." }
        } @else {
            p { "All series together have " (counted(total, "gap")) " of valid values. These are the longest." }
            (table(budget, "Longest gaps of valid values", &head, &[0, 1, 2, 3, 6], &rows))
        }
    }
}

fn content(gap: &Gap) -> String {
    let cells = &gap.cells;
    let absent = u32::try_from(gap.readings.saturating_sub(cells.cells())).unwrap_or(u32::MAX);
    let kinds = [
        (cells.filled, "filled"),
        (cells.missing, "missing"),
        (cells.failed, "failed a test"),
        (cells.unreadable, "unreadable"),
        (cells.emptied, "emptied by a test"),
        (absent, "without a record"),
    ];
    let named: Vec<String> = kinds
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(*number)))
        .collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::civil::HOUR_MICROS;

    /// Two days of hourly readings.
    fn line(days: &[(i32, CellCounts)]) -> Line {
        let expected = BTreeMap::from([(Day(0), 24), (Day(1), 24)]);
        Line {
            name: "NO2".to_owned(),
            days: days.iter().map(|(day, counts)| (Day(*day), *counts)).collect(),
            expected: vec![Arc::new(expected)],
        }
    }

    #[test]
    fn readings_that_have_no_record_are_missing_and_every_kind_is_counted_once() {
        let one = CellCounts { observed: 1, ..CellCounts::default() };
        let mixed = CellCounts { observed: 7, failed: 3, filled: 2, unreadable: 4, emptied: 1, missing: 5, ..one };
        let spans = line(&[(0, one), (1, mixed)]).spans(Some((LocalTime(0), LocalTime(47 * HOUR_MICROS))));
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].held, Held { valid: 1.0, missing: 23.0, ..Held::default() });
        let mixed = Held { valid: 4.0, filled: 2.0, failed: 4.0, unreadable: 4.0, missing: 10.0 };
        assert_eq!(spans[1].held, mixed);
        // A day without any record is there, and missing.
        let spans = line(&[(0, one)]).spans(Some((LocalTime(0), LocalTime(47 * HOUR_MICROS))));
        assert_eq!(spans[1].held, Held { missing: 24.0, ..Held::default() });
    }

    #[test]
    fn what_stands_in_a_gap_keeps_its_thin_spaces() {
        let cells = CellCounts { filled: 218_208, missing: 2, ..CellCounts::default() };
        let gap = Gap { from: None, to: Some(LocalTime(1)), seconds: 1, cells, readings: 218_210 };
        assert_eq!(content(&gap), "218\u{202f}208 filled, 2 missing");
    }
}
