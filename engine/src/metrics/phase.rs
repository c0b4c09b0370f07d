//! How far a run is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before its first record: it opens its commit log, recovers, learns from the input.
    #[default]
    Starting,
    /// Records are read, or waited for.
    Running,
    /// Somebody asked for a stop: what was read is committed.
    Stopping,
    /// The input has ended, and all of it is committed.
    Done,
    /// It was stopped; the next start goes on from here.
    Stopped,
    /// It failed.
    Failed,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Done => "done",
            Phase::Stopped => "stopped",
            Phase::Failed => "failed",
        }
    }

    /// All of them, in their order.
    pub const ALL: [Phase; 6] =
        [Phase::Starting, Phase::Running, Phase::Stopping, Phase::Done, Phase::Stopped, Phase::Failed];

    /// Whether the run is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::Stopped | Phase::Failed)
    }
}
