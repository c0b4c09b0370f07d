//! What is said of a run: log lines, alerts and a summary.

mod alerts;
mod report;
mod settings;
mod status;
mod status_of;

pub use crate::metrics::{CellProblem, CellProblemCount, Counts, FlagCounts, Metrics, Snapshot, TOO_MANY_FILES};
pub use alerts::{Alert, Alerts};
pub use report::{Reporter, changed, summary};
pub use settings::{AlertSettings, MonitorSettings};
pub use status::{
    AlertStatus, Bucket, Bytes, ClientStatus, Commits, Committed, DeadLetterStatus, Distribution, FieldStatus, Health,
    PipelineStatus, SplitStatus, StageStatus, StationStatus, StationsStatus, Status, TestStatus,
};
pub use status_of::About;
