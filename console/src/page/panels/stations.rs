//! Stations, the most silent first.

use aqpipe_engine::monitor::{PipelineStatus, StationStatus};
use maud::{Markup, html};

use crate::numbers::{count, counted, duration};
use crate::page::model::View;
use crate::page::parts::{fold, head, row_head, scroll, time};

/// Stations that are seen at once, and those that can be opened.
const ROWS: usize = 10;
const ROWS_MAX: usize = 200;

/// The stations whose newest reading is oldest.
pub(super) fn stations(pipeline: &PipelineStatus, _: &View) -> Markup {
    let oldest = &pipeline.stations.oldest;
    if oldest.is_empty() {
        return html! { p.note { "No record has a key, or none came out yet." } };
    }
    let (first, rest) = oldest.split_at(oldest.len().min(ROWS));
    let rest = &rest[..rest.len().min(ROWS_MAX)];
    let left = pipeline.stations.known.saturating_sub((first.len() + rest.len()) as u64);
    html! {
        p.caption { (counted(pipeline.stations.known, "station")) ", the one that is silent for longest first." }
        (scroll("s-stations", "Newest reading by station", &table(first)))
        @if !rest.is_empty() {
            @let title = format!("{} more", count(rest.len() as u64));
            (fold("d-stations", &title, &scroll("s-more-stations", "More stations", &table(rest))))
        }
        @if left > 0 { p.note { "Not listed: " (counted(left, "station")) " with newer readings." } }
    }
}

fn table(stations: &[StationStatus]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Station" } th scope="col" { "Newest reading (UTC)" } (head("Age")) } }
            tbody {
                @for station in stations {
                    tr {
                        (row_head(&station.station))
                        td { (time(&station.newest_reading)) }
                        td.n { @if station.age_seconds < 0.0 { span.warn { "in the future" } } @else { (duration(station.age_seconds)) } }
                    }
                }
            }
        }
    }
}
