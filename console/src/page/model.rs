//! What the page is drawn from.

use aqpipe_engine::metrics::{RecentDeadLetter, RecentOutput};
use aqpipe_engine::monitor::{PipelineStatus, Status};

use super::choice::Choice;
use crate::pictures::{Mark, Reading};

/// The status of the process, and a closer view of the pipeline that is chosen.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// All pipelines of the process.
    pub status: Status,
    /// The chosen one more closely.
    pub view: View,
}

/// One point of the history of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// Records read a second, committed or not.
    pub read_per_second: f64,
    /// Records written and committed a second.
    pub written_per_second: f64,
    /// The mean score of the records that were committed in this interval and have one.
    pub mean_score: Option<f64>,
}

/// What a status does not hold, for it is of one pipeline and long.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last fifteen minutes, the oldest first.
    pub history: Vec<Moment>,
    /// The stations whose readings are known.
    pub stations: Vec<String>,
    /// The fields of the chosen station.
    pub fields: Vec<String>,
    /// The station that is chosen, or the first one.
    pub station: Option<String>,
    /// The field that is chosen, or the first one.
    pub field: Option<String>,
    /// The last readings of this field at this station.
    pub readings: Vec<Reading>,
    /// The last dead letters, the newest first.
    pub dead_letters: Vec<RecentDeadLetter>,
}

impl Model {
    /// The pipeline that is shown.
    pub(super) fn pipeline(&self, choice: &Choice) -> Option<&PipelineStatus> {
        choice.pipeline_of(&self.status)
    }
}

impl View {
    /// The view of a pipeline by its last output and its history.
    #[must_use]
    pub fn of(choice: &Choice, recent: &RecentOutput, history: Vec<Moment>) -> View {
        let stations: Vec<String> = recent.stations().iter().map(|station| station.to_string()).collect();
        let station = Choice::among(choice.station.as_deref(), &stations).map(str::to_owned);
        let kept = station.as_ref().and_then(|station| recent.readings(station)).unwrap_or_default();
        let fields: Vec<String> = kept.fields.iter().map(|field| field.to_string()).collect();
        let field = Choice::among(choice.field.as_deref(), &fields).map(str::to_owned);
        let place = field.as_ref().and_then(|field| fields.iter().position(|name| name == field));
        let mut readings = Vec::new();
        for reading in &kept.readings {
            let time_ms = reading.micros.div_euclid(1_000);
            if reading.follows_a_gap {
                readings.push(Reading { time_ms, value: None, mark: Mark::PassedOver });
            }
            if let Some(cell) = place.and_then(|place| reading.cell(place)) {
                let mark = Mark::of(cell.quality.flag(), cell.quality.provenance());
                readings.push(Reading { time_ms, value: cell.value, mark });
            }
        }
        View { history, stations, fields, station, field, readings, dead_letters: recent.dead_letters() }
    }
}
