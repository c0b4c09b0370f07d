//! The table of data capture: station × field × period.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};

use super::budget::Budget;
use super::part::{left_out, rest};
use super::text::{NONE, count, name, percent, station};
use crate::names::is_long;
use crate::report::capture::{Capture, Period};
use crate::report::model::{DataReport, SeriesReport};

/// Rows of a table.
const ROWS_MAX: usize = 60;
/// Stations and fields of the table of both.
const MATRIX_STATIONS_MAX: usize = 100;
const MATRIX_FIELDS_MAX: usize = 20;
/// Columns of each kind: the latest.
const YEARS_MAX: usize = 10;
const SEASONS_MAX: usize = 12;
const MONTHS_MAX: usize = 24;

/// The tables: the whole with its years and seasons, and the months.
pub(super) fn tables(budget: &mut Budget, data: &DataReport) -> Markup {
    let all: BTreeSet<Period> = data.series.iter().flat_map(|series| &series.capture).map(|one| one.period).collect();
    let latest = |kind: &str, max: usize| -> Vec<Period> {
        let of_kind: Vec<Period> = all.iter().copied().filter(|period| period.kind() == kind).collect();
        of_kind[of_kind.len().saturating_sub(max)..].to_vec()
    };
    let whole = [Period::Whole].into_iter().filter(|whole| all.contains(whole));
    let long: Vec<Period> = whole.chain(latest("year", YEARS_MAX)).chain(latest("season", SEASONS_MAX)).collect();
    let months = latest("month", MONTHS_MAX);
    let hidden = all.len().saturating_sub(long.len() + months.len());
    html! {
        p {
            "Valid readings for each hundred that the sampling step expects. A fill is not a reading, and a value that failed a test is not "
            "valid. " b { "*" } " marks periods of which only a part lies within the records: their share is that of this part."
        }
        (legend())
        (matrix(budget, data))
        (one(budget, "Data capture as a whole, by year and by season, in %", data, &long))
        (one(budget, "Data capture by month, in %", data, &months))
        (rest(ROWS_MAX, data.series.len(), "series"))
        (rest(0, hidden, "earlier period"))
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            li { span.k.a {} "90 % and more" }
            li { span.k.b {} "85 to 90 %" }
            li { span.k.c {} "75 to 85 %" }
            li { span.k.d {} "below 75 %" }
        }
    }
}

/// The whole of each station and field at a glance, where there are several stations.
fn matrix(budget: &mut Budget, data: &DataReport) -> Markup {
    if data.stations.len() < 2 {
        return html! {};
    }
    let fields: Vec<&str> = data.fields.iter().take(MATRIX_FIELDS_MAX).map(|field| field.field.as_str()).collect();
    // Series come station by station.
    let stations = data.series.chunk_by(|a, b| a.station == b.station);
    let caption = "Data capture of stations as a whole, in %";
    let table = html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.capture {
                caption { (caption) }
                thead { tr { th.row scope="col" { "Station" } @for field in &fields { th.n scope="col" { (name(field)) } } } }
                tbody {
                    @for series in stations.clone().take(MATRIX_STATIONS_MAX) {
                        tr {
                            (row_head(&station(series.first().and_then(|one| one.station.as_deref()))))
                            @for field in &fields {
                                (cell(series.iter().find(|one| one.field == *field).and_then(|one| one.capture.first())))
                            }
                        }
                    }
                }
            }
        }
    };
    let table = match budget.take(table.into_string()) {
        Some(table) => PreEscaped(table),
        None => left_out(caption),
    };
    html! {
        (table)
        (rest(MATRIX_STATIONS_MAX, stations.count(), "station"))
        (rest(MATRIX_FIELDS_MAX, data.fields.len(), "field"))
    }
}

fn one(budget: &mut Budget, caption: &str, data: &DataReport, periods: &[Period]) -> Markup {
    if periods.is_empty() {
        return html! { p { (caption) ": the sampling step is not known. " code { "--step 1h" } " gives it." } };
    }
    let has_stations = data.stations.len() > 1;
    let table = html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.capture {
                caption { (caption) }
                thead {
                    tr {
                        th.row scope="col" { "Field" }
                        @if has_stations { th scope="col" { "Station" } }
                        @for period in periods { th.n scope="col" { (period) } }
                    }
                }
                tbody { @for series in data.series.iter().take(ROWS_MAX) { (row(series, periods, has_stations)) } }
            }
        }
    };
    match budget.take(table.into_string()) {
        Some(table) => PreEscaped(table),
        None => left_out(caption),
    }
}

fn row(series: &SeriesReport, periods: &[Period], has_stations: bool) -> Markup {
    html! {
        tr {
            (row_head(&name(&series.field)))
            @if has_stations { @let key = station(series.station.as_deref()); td .w[is_long(&key)] { (key) } }
            @for period in periods { (cell(series.capture.iter().find(|one| one.period == *period))) }
        }
    }
}

fn row_head(text: &str) -> Markup {
    html! { th.row scope="row" .w[is_long(text)] { (text) } }
}

fn cell(capture: Option<&Capture>) -> Markup {
    let Some((capture, share)) = capture.and_then(|one| Some((one, one.capture?))) else {
        return html! { td.n { (NONE) } };
    };
    let class = match share {
        0.9.. => "n a",
        0.85.. => "n b",
        0.75.. => "n c",
        _ => "n d",
    };
    let about = format!("{} of {}", count(capture.cells.valid()), count(capture.expected));
    html! { td class=(class) title=(about) { (percent(share).trim_end_matches(" %")) @if capture.partial { "*" } } }
}
