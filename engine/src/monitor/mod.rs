//! What is counted, and what is said of it.

mod alerts;
mod metrics;
mod report;
mod stage_metrics;

pub use alerts::{Alert, Alerts};
pub use metrics::{Counts, FlagCounts, Metrics, Snapshot, TOO_MANY_FILES};
pub use report::{Reporter, summary};
pub use stage_metrics::{StageMetrics, StageSnapshot};
