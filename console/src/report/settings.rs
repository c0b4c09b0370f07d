//! What a report is asked for.

use serde::Serialize;

use super::civil::Day;

/// What a report is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Settings {
    /// The seconds from one reading of a station to the next. Absent, the most frequent distance of each station.
    pub step_seconds: Option<f64>,
    /// The first day. Absent, that of the first record of each pipeline.
    pub from: Option<Day>,
    /// The last day. Absent, that of the last record of each pipeline.
    pub to: Option<Day>,
}
