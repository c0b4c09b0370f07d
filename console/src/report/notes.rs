//! What readers of a report have to know of it.

use super::aggregator::{Aggregator, DETAILED_MAX, SERIES_DAYS_MAX, SERIES_MAX};
use super::model::{DataReport, StationReport};
use super::stations::STATIONS_MAX;
use crate::numbers::{counted, duration};

/// Jitter that is told: a twentieth of the step.
const JITTER_SHARE: f64 = 0.05;

impl Aggregator {
    /// What had no room.
    pub(super) fn bounds_that_were_met(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.outside > 0 {
            notes.push(format!("{} records are of other days and left out.", self.outside));
        }
        if self.other_records > 0 {
            let records = self.other_records;
            notes.push(format!("{records} records of more than {STATIONS_MAX} stations are counted and nothing else."));
        }
        let others = self.other_cells.cells();
        if others > 0 {
            notes.push(format!("{others} cells of more than {SERIES_MAX} series (station and field) are left out."));
        }
        let beyond: u64 = self.stations.list.iter().map(|station| station.beyond).sum();
        let cells = self.series.iter().any(|series| series.beyond.cells() > 0);
        if beyond > 0 || cells {
            notes.push(format!(
                "The times of {beyond} records have no room beside the others ({} MB): these records are in totals, profiles and \
                 distributions, but not in data capture, days and gaps, and are not looked at for readings that came twice. Make \
                 reports of shorter periods (`--from`, `--to`) or of fewer stations.",
                self.room.megabytes()
            ));
        }
        if self.series.len() > DETAILED_MAX {
            notes.push(format!("Profiles and courses are those of the first {DETAILED_MAX} series."));
        }
        notes
    }
}

/// Says that days have no room.
pub(super) fn no_room_for_days() -> String {
    format!(
        "More than {SERIES_DAYS_MAX} days of series came: days beyond are in months and totals, not in calendars and worst days."
    )
}

/// What has to be known of what a pipeline wrote.
pub(super) fn notes_of(data: &DataReport) -> Vec<String> {
    let title = data.origin.title();
    let mut notes = Vec::new();
    if !data.origin.has_marks && data.records > 0 {
        notes.push(format!(
            "{title}: the records do not say of what quality their values are. A value that was filled counts as observed here."
        ));
    }
    notes.extend(data.origin.doubt());
    let wrote = &data.origin.written_by;
    if wrote.iter().any(|one| one.generated) {
        let part = if wrote.iter().all(|one| one.generated) { "readings" } else { "a part of the readings" };
        notes.push(format!("{title}: aqpipe generated {part}, as the data package says. Nobody measured them."));
    }
    match data.series.iter().map(|series| series.doubled).sum::<u64>() {
        0 => {}
        1 => notes.push(format!(
            "{title}: 1 reading stands at a time that another one of the same station and field has. The two are counted once."
        )),
        doubled => notes.push(format!(
            "{title}: {doubled} readings stand at a time that another one of the same station and field has. Each time is counted once."
        )),
    }
    notes.extend(jitter(title, &data.stations));
    notes
}

/// Says that times vary, and where most.
fn jitter(title: &str, stations: &[StationReport]) -> Option<String> {
    let share = |station: &StationReport| Some(station.jitter_seconds? / station.step_seconds?);
    let varying: Vec<(f64, &StationReport)> = stations
        .iter()
        .filter_map(|station| Some((share(station)?, station)))
        .filter(|(share, _)| *share >= JITTER_SHARE)
        .collect();
    let (_, most) = varying.iter().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let stations = counted(varying.len() as u64, "station");
    let name = most.station.as_deref().map_or_else(|| "the one without a key".to_owned(), |name| format!("`{name}`"));
    Some(format!(
        "{title}: the times of the readings vary at {stations}, most at {name}: by up to {} about a step of {}. A reading counts as \
         missing where one and a half steps have none.",
        duration(most.jitter_seconds?),
        duration(most.step_seconds?)
    ))
}
