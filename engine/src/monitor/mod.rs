//! What is said of a run while it goes on, and at its end.
//!
//! [`Monitor`] looks every second and keeps what it saw as a [`PipelineStatus`]: how the pipeline is, its alerts, its health. The
//! server, the page and the log read from it.

mod alert_settings;
mod alerts;
mod field_table;
mod health;
mod history;
mod http_address;
mod line;
mod measures;
mod monitor;
mod monitored;
mod notify_settings;
mod settings;
mod status;
mod status_of;
mod summary;
#[cfg(test)]
mod tests;
mod throughput;
mod trend;
mod watch;
mod window;
mod wording;

pub use crate::metrics::{CellProblem, CellProblemCount, Counts, FlagCounts, Metrics, Phase, Snapshot, TOO_MANY_FILES};
pub use alert_settings::{AlertKind, AlertSettings};
pub use alerts::{AlertChange, AlertListener};
pub use history::HistoryPoint;
pub use http_address::{HttpAddressProblem, http_address};
pub use monitor::{Monitor, MonitorThread};
pub use monitored::Monitored;
pub use notify_settings::{AlertState, NotifySettings, SecretText};
pub use settings::MonitorSettings;
pub use status::{
    AlertStatus, Bucket, Bytes, ClientStatus, Commits, Committed, DeadLetterStatus, Distribution, FieldStatus, Health,
    PipelineStatus, SplitStatus, StageStatus, StationStatus, StationsStatus, Status, TestStatus,
};
pub use status_of::About;
pub use summary::{changed, summary};
