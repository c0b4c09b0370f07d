//! What is said of a run: log lines, alerts and a summary.

mod alerts;
mod report;
mod settings;

pub use crate::metrics::{CellProblem, CellProblemCount, Counts, FlagCounts, Metrics, Snapshot, TOO_MANY_FILES};
pub use alerts::{Alert, Alerts};
pub use report::{Reporter, changed, summary};
pub use settings::{AlertSettings, MonitorSettings};
