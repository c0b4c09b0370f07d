//! The report on finished output: what was captured, what is missing, filled and flagged, and how values are distributed.
//!
//! The command opens files and topics and hands their batches to an [`Aggregator`], which gathers everything in one pass and in
//! bounded memory. Its [`Report`] is written as JSON, or as one HTML page that needs nothing beside it.
//!
//! Profiles, distributions and capture are those of observed values: a fill is none. Data capture counts *valid* ones, which failed no
//! test; profiles and distributions show those that failed too. Days and hours are by the clock that
//! wrote the times; steps, gaps and what is expected go by instants, so that neither a clock that is put forward nor the order of
//! records changes them.

mod aggregator;
mod build;
mod capture;
mod cell;
mod cell_code;
mod chunk;
mod civil;
mod days;
mod exceedances;
mod expected;
mod gaps;
mod html;
mod model;
mod notes;
mod origin;
mod quantiles;
mod rows;
mod scores;
mod series;
mod settings;
mod stations;
mod step;
mod timeline;
mod trend;
mod values;
mod walk;

pub use aggregator::{Aggregator, DataId};
pub use capture::{Capture, Period};
pub use cell::CellCounts;
pub use civil::{Day, LocalTime, Month};
pub use exceedances::{Exceedance, Exceedances};
pub use gaps::Gap;
pub use html::html;
pub use model::{
    Course, DataReport, DayReport, FORMAT, FieldReport, Profiles, Report, SeriesReport, StationReport, WorstDay,
};
pub use origin::{MadeBy, Origin, Tested, Threshold, WrittenBy};
pub use scores::{DayScore, ScoreSummary};
pub use settings::Settings;
pub use trend::TrendBin;
pub use values::{Bar, Distribution, ProfilePoint};
