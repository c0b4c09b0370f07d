//! What is said of a run while it goes on, and at its end.
//!
//! [`Monitor`] looks every second and keeps what it saw as a [`PipelineStatus`]: how the pipeline is, its alerts, its health. The
//! server, the page and the log read from it.

mod alerts;
mod field_table;
mod for_log;
mod handle;
mod health;
mod history;
mod http_address;
mod line;
mod monitored;
mod notify_settings;
mod settings;
mod status;
mod status_of;
mod summary;
#[cfg(test)]
mod tests;
mod watch;
mod worst_fields;

pub use crate::metrics::{CellProblem, CellProblemCount, Counts, FlagCounts, Metrics, Phase, Snapshot, TOO_MANY_FILES};
pub use alerts::{AlertChange, AlertKind, AlertListener, AlertSettings};
pub use handle::{Monitor, MonitorThread};
pub use history::HistoryPoint;
pub use http_address::{HttpAddressProblem, http_address};
pub use monitored::Monitored;
pub use notify_settings::{AlertState, NotifySettings, SecretText};
pub use settings::MonitorSettings;
pub use status::{
    AlertStatus, Bucket, Bytes, CellProblemStatus, Commits, Committed, DeadLetterStatus, Distribution, ErrorStatus,
    FieldStatus, Health, PipelineStatus, SplitStatus, StageStatus, StationStatus, StationsStatus, Status, TestStatus,
};
pub use status_of::About;
pub use summary::{changed, summary};
