//! What is there when, and the longest gaps.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::budget::Budget;
use super::part::{names, picture, rest, table};
use super::text::{NONE, count, duration, name, station, time};
use crate::pictures::{Frame, Presence, Row, Span, availability};
use crate::report::cell::CellCounts;
use crate::report::civil::{Day, LocalTime};
use crate::report::gaps::Gap;
use crate::report::model::{DataReport, SeriesReport};

/// Rows of the picture.
const ROWS_MAX: usize = 40;
/// Gaps in the list.
const GAPS_MAX: usize = 25;

/// The section.
pub(super) fn gaps(budget: &mut Budget, data: &DataReport) -> Markup {
    let lines = lines(data);
    let spans: Vec<(&str, Vec<Span>)> =
        lines.iter().take(ROWS_MAX).map(|(name, days)| (name.as_str(), spans(days, data.period))).collect();
    let rows: Vec<Row<'_>> = spans.iter().map(|(name, spans)| Row { name, spans }).collect();
    let svg = availability(Frame::full("Availability"), &rows);
    html! {
        p { "Of each day the bar shows what most of it holds: valid values, fills, or neither." }
        (picture(budget, "Availability by day", &svg))
        (rest(ROWS_MAX, lines.len(), "rows"))
        (list(budget, data))
    }
}

/// A row for each series, or for each station with all its fields where that would be too many.
fn lines(data: &DataReport) -> Vec<(String, BTreeMap<Day, CellCounts>)> {
    let has_stations = data.stations.len() > 1;
    if !has_stations || data.series.len() <= ROWS_MAX {
        let label = |one: &SeriesReport| match has_stations {
            true => format!("{} {}", station(one.station.as_deref()), one.field),
            false => one.field.clone(),
        };
        return data.series.iter().map(|one| (label(one), one.days.clone())).collect();
    }
    let stations = data.series.chunk_by(|a, b| a.station == b.station);
    let pooled = stations.map(|of_station| {
        let mut days: BTreeMap<Day, CellCounts> = BTreeMap::new();
        for (day, counts) in of_station.iter().flat_map(|one| &one.days) {
            days.entry(*day).or_default().add_all(counts);
        }
        (station(of_station.first().and_then(|one| one.station.as_deref())), days)
    });
    pooled.collect()
}

/// Days as stretches of one kind.
fn spans(days: &BTreeMap<Day, CellCounts>, period: Option<(LocalTime, LocalTime)>) -> Vec<Span> {
    let Some((first, last)) = period else { return Vec::new() };
    let mut spans: Vec<Span> = Vec::new();
    // The days of the series, and those without any record between them.
    let mut next = first.day();
    let mut push = |from: Day, to: Day, presence: Presence| {
        let (from_ms, to_ms) = (millis(from.start()), millis(to.start()));
        match spans.last_mut() {
            Some(last) if last.presence == presence && last.to_ms == from_ms => last.to_ms = to_ms,
            _ if from < to => spans.push(Span { from_ms, to_ms, presence }),
            _ => {}
        }
    };
    for (day, counts) in days {
        push(next, *day, Presence::Missing);
        next = Day(day.0.saturating_add(1));
        push(*day, next, presence(counts));
    }
    push(next, Day(last.day().0.saturating_add(1)), Presence::Missing);
    spans
}

fn presence(counts: &CellCounts) -> Presence {
    let absent = counts.failed + counts.unreadable + counts.emptied + counts.missing;
    match () {
        () if counts.valid() >= counts.filled.max(absent) && counts.valid() > 0 => Presence::Present,
        () if counts.filled >= absent && counts.filled > 0 => Presence::Filled,
        () => Presence::Missing,
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
            p { "There are " (count(total)) " gaps in all series together. These are the longest." }
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
    name(&named.join(", "))
}
