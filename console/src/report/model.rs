//! What a report says: its JSON is this, field by field.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::capture::Capture;
use super::cell::CellCounts;
use super::civil::{Day, LocalTime};
use super::exceedances::Exceedances;
use super::gaps::Gap;
use super::origin::Origin;
use super::scores::ScoreSummary;
use super::settings::Settings;
use super::trend::TrendBin;
use super::values::{Distribution, ProfilePoint};

/// The version of the shape of the JSON. A property that is added does not change it.
pub const FORMAT: u32 = 1;

/// A data-quality report. All times are by the clock that wrote them.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of its shape.
    pub format: u32,
    /// The version of aqpipe that made it.
    pub aqpipe: &'static str,
    /// When it was made: RFC 3339, in UTC.
    pub made_at: String,
    /// What was asked for.
    pub settings: Settings,
    /// What readers have to know of it.
    pub notes: Vec<String>,
    /// What each pipeline wrote.
    pub data: Vec<DataReport>,
}

/// What one pipeline wrote.
#[derive(Clone, Debug, Serialize)]
pub struct DataReport {
    /// What is known of it.
    pub origin: Origin,
    /// The files or topics that were read.
    pub inputs: u64,
    /// The records.
    pub records: u64,
    /// Records that could not be read.
    pub unreadable_records: u64,
    /// Reasons of some of them.
    pub unreadable_examples: Vec<String>,
    /// The first record, and the last one, each by the clock of its station.
    pub period: Option<(LocalTime, LocalTime)>,
    /// The stations.
    pub stations: Vec<StationReport>,
    /// The fields, all stations together.
    pub fields: Vec<FieldReport>,
    /// Each field at each station.
    pub series: Vec<SeriesReport>,
    /// The scores of the records, where they have any.
    pub score: Option<ScoreSummary>,
    /// All days, with the cells of all stations and fields together.
    pub days: BTreeMap<Day, DayReport>,
    /// The worst days, the worst first.
    pub worst_days: Vec<WorstDay>,
}

/// A station.
#[derive(Clone, Debug, Serialize)]
pub struct StationReport {
    /// Its key; null for records without one.
    pub station: Option<String>,
    /// Its records.
    pub records: u64,
    /// The first of them.
    pub first: LocalTime,
    /// The last of them.
    pub last: LocalTime,
    /// The seconds from one to the next, as given or as most of them have it; null where there is one record.
    pub step_seconds: Option<f64>,
    /// How many seconds nineteen of twenty are off this step at most.
    pub jitter_seconds: Option<f64>,
    /// Records with the time of another one of the station.
    pub repeated: u64,
    /// Records with an earlier time than the record before.
    pub late: u64,
}

/// A field, all stations together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FieldReport {
    /// Its name.
    pub field: String,
    /// Its cells.
    pub cells: CellCounts,
    /// Its cells by QARTOD flag.
    pub flags: BTreeMap<&'static str, u64>,
    /// Values by how they were filled; `censored` counts observed ones below or above a limit of detection.
    pub fills: BTreeMap<&'static str, u64>,
    /// Cells by the test that objected.
    pub tests: BTreeMap<String, u64>,
}

/// A field at a station.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesReport {
    /// The station's key; null for records without one.
    pub station: Option<String>,
    /// The field.
    pub field: String,
    /// Its cells. Of several at one time one is counted.
    pub cells: CellCounts,
    /// Readings at a time that another one of the series has.
    pub doubled: u64,
    /// Its cells by QARTOD flag.
    pub flags: BTreeMap<&'static str, u64>,
    /// Values by how they were filled.
    pub fills: BTreeMap<&'static str, u64>,
    /// Cells by the test that objected.
    pub tests: BTreeMap<String, u64>,
    /// Its data capture: as a whole, by year, by season and by month.
    pub capture: Vec<Capture>,
    /// How many gaps of valid values there are.
    pub gaps: u64,
    /// The longest of them.
    pub longest_gaps: Vec<Gap>,
    /// The observed values.
    pub distribution: Option<Distribution>,
    /// The observed values outside of the ranges, where the pipeline's file says these.
    pub exceedances: Option<Exceedances>,
    /// Profiles, for the first series alone.
    pub profiles: Option<Profiles>,
    /// Its course, for the first series alone.
    pub course: Option<Course>,
    /// Its days, for pictures.
    #[serde(skip)]
    pub days: BTreeMap<Day, CellCounts>,
    /// The readings that are expected of it on each day; no days where the sampling step is not known.
    #[serde(skip)]
    pub expected: Arc<BTreeMap<Day, u64>>,
}

/// The profiles of a series, of its observed values.
#[derive(Clone, Debug, Serialize)]
pub struct Profiles {
    /// By hour of the day, 0 to 23.
    pub diurnal: Vec<ProfilePoint>,
    /// By day of the week, Monday to Sunday.
    pub weekly: Vec<ProfilePoint>,
    /// By month, January to December.
    pub monthly: Vec<ProfilePoint>,
}

/// The course of a series, of its observed values.
#[derive(Clone, Debug, Serialize)]
pub struct Course {
    /// The width of a bin in seconds; 0.000001 where each time is one of its own.
    pub bin_seconds: f64,
    /// The bins that have values.
    pub bins: Vec<TrendBin>,
}

/// A day.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct DayReport {
    /// The cells of all stations and fields.
    pub cells: CellCounts,
    /// The readings that are expected of them all.
    pub expected: u64,
    /// The share of these that is there and valid.
    pub capture: Option<f64>,
}

/// A day on which much went wrong.
#[derive(Clone, Debug, Serialize)]
pub struct WorstDay {
    /// The day.
    pub day: Day,
    /// The mean of its records' scores.
    pub score: Option<f64>,
    /// The share of the expected readings that is there and valid.
    pub capture: Option<f64>,
    /// What was the matter, the most frequent first: `NMHC(GT): 24 filled`.
    pub reasons: Vec<String>,
}

impl DataReport {
    /// The capture of all series as a whole.
    #[must_use]
    pub fn capture(&self) -> Option<f64> {
        let whole = self.series.iter().filter_map(|series| series.capture.first());
        let (valid, expected) = whole
            .fold((0, 0), |(valid, expected), one| (valid + u64::from(one.cells.valid()), expected + one.expected));
        (expected > 0).then(|| valid as f64 / expected as f64)
    }
}
