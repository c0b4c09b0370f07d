//! The options, with their defaults.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a pivot does.
pub(super) struct Settings {
    pub(super) names: String,
    pub(super) values: String,
    pub(super) expect: Option<Vec<String>>,
    pub(super) keep: Option<Vec<String>>,
    pub(super) max_wait: Option<Duration>,
    /// In microseconds.
    pub(super) allowed_lateness: u64,
    pub(super) late: Late,
    pub(super) max_rows: u64,
}

/// What becomes of a value that comes late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Late {
    /// Its record becomes a dead letter.
    #[default]
    DeadLetter,
    /// It becomes a row of its own, with the same key and time.
    Row,
}
