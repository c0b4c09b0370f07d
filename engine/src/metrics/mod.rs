//! The metrics of a pipeline: counted per batch and passed to whoever counts. None are global, so several pipelines
//! share a process.
//!
//! [`Metrics`] is what counts, [`Snapshot`] a copy of it. What was *read* counts at once; what was *committed* counts when its
//! checkpoint is decided. Every table is bounded: what finds no room is counted under [`OTHER`].

mod cells;
mod clients;
mod counters;
mod errors;
mod histogram;
mod measured;
mod notifications;
mod phase;
mod problems;
mod recent;
mod snapshot;
mod splits;
mod stages;
mod stations;

pub use crate::counts::{Counts, FlagCounts};
pub use crate::stage_metrics::{StageMetrics, StageRole, StageSnapshot};
pub use cells::{CellTally, FieldCells, FieldTallies, TestCount};
pub use clients::{BrokerAway, BrokerOutage, ClientFigures};
pub use counters::{Metrics, TOO_MANY_FILES};
pub use errors::{ENGINE, ErrorCount};
pub use histogram::{Histogram, SCORE_BOUNDS};
pub use measured::Measured;
pub use notifications::{NotificationCounts, NotificationOutcome};
pub use phase::Phase;
pub use problems::{CellProblem, CellProblemCount};
pub use recent::{Reading, RecentCell, RecentDeadLetter, RecentOutput, StationReadings};
pub use snapshot::Snapshot;
pub use splits::{LagMeter, OTHER, SplitMetrics, SplitSnapshot};
pub use stations::{StationTime, StationTimes};
