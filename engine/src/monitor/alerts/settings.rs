//! The settings of `[monitor.alerts]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seconds::Seconds;

/// When to warn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The length of the window in seconds.
    #[serde(default = "default_window_secs")]
    #[schemars(range(min = 1, max = 86_400))]
    pub window_secs: u64,
    /// Share of dead letters and failed requests in all records and failed requests, above which there is a warning.
    #[serde(default = "default_error_rate")]
    #[schemars(range(min = 0, max = 1))]
    pub error_rate: f64,
    /// Mean quality score below which there is a warning.
    #[serde(default = "default_quality")]
    #[schemars(range(min = 0, max = 1))]
    pub quality: f64,
    /// Share of its own earlier throughput below which there is a warning, while records wait in the source: one that
    /// has caught up reads no faster than records come. Ten windows before the current one make the comparison. Never for a source
    /// with a pace of its own (`replay`).
    #[serde(default = "default_throughput")]
    #[schemars(range(min = 0, max = 1))]
    pub throughput: f64,
    /// Windows in a row in which the lag grew, for a warning. By default there is none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000))]
    pub lag_windows: Option<u32>,
    /// Seconds without a record that is read, for a warning. Where that is because the sink takes nothing, the warning says so. By default
    /// there is none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub no_data_secs: Option<u64>,
    /// How far the newest reading of a station may lie behind the newest reading of all stations, or behind now where that lies
    /// ahead, such as `"3h"`. It is the time of the readings that counts, so a network that pauses, a replay of old data and a restart
    /// accuse nobody; `no_data_secs` is for all of them. Judged once the source has caught up. A station is known once this process has
    /// read it.
    #[serde(default)]
    pub silent_after: Option<Seconds>,
    /// Share of a field's cells without a measured value, missing or filled, above which there is a warning. By default there is
    /// none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub missing_share: Option<f64>,
    /// Share of a field's cells that hold neither a number nor a word for "no value", above which there is a warning. By default there
    /// is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub unreadable_share: Option<f64>,
    /// Share of a field's cells that are flagged `fail`, above which there is a warning. By default there is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub fail_share: Option<f64>,
    /// Cells of a field that the three shares need at least: below that, a single record would be an alert.
    #[serde(default = "default_min_cells")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_cells: u64,
    /// Share of dead letters in all records, above which there is a warning. By default there is none.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub dead_letters: Option<f64>,
}

/// The alerts, each called as the key of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Too many dead letters and failed requests.
    ErrorRate,
    /// The mean score is low.
    Quality,
    /// Records are read slower than before.
    Throughput,
    /// More and more records wait in the source.
    LagWindows,
    /// No record comes.
    NoDataSecs,
    /// A station sends nothing, and others do.
    SilentAfter,
    /// A field has too few measured values.
    MissingShare,
    /// A field has too many unreadable cells.
    UnreadableShare,
    /// A field has too many wrong values.
    FailShare,
    /// Too many dead letters.
    DeadLetters,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [AlertKind; 10] = [
        AlertKind::ErrorRate,
        AlertKind::Quality,
        AlertKind::Throughput,
        AlertKind::LagWindows,
        AlertKind::NoDataSecs,
        AlertKind::SilentAfter,
        AlertKind::MissingShare,
        AlertKind::UnreadableShare,
        AlertKind::FailShare,
        AlertKind::DeadLetters,
    ];

    /// The key of its limit in `[monitor.alerts]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            AlertKind::ErrorRate => "error_rate",
            AlertKind::Quality => "quality",
            AlertKind::Throughput => "throughput",
            AlertKind::LagWindows => "lag_windows",
            AlertKind::NoDataSecs => "no_data_secs",
            AlertKind::SilentAfter => "silent_after",
            AlertKind::MissingShare => "missing_share",
            AlertKind::UnreadableShare => "unreadable_share",
            AlertKind::FailShare => "fail_share",
            AlertKind::DeadLetters => "dead_letters",
        }
    }
}

impl Default for AlertSettings {
    fn default() -> Self {
        AlertSettings {
            window_secs: default_window_secs(),
            error_rate: default_error_rate(),
            quality: default_quality(),
            throughput: default_throughput(),
            lag_windows: None,
            no_data_secs: None,
            silent_after: None,
            missing_share: None,
            unreadable_share: None,
            fail_share: None,
            min_cells: default_min_cells(),
            dead_letters: None,
        }
    }
}

fn default_window_secs() -> u64 {
    60
}

fn default_error_rate() -> f64 {
    0.10
}

fn default_quality() -> f64 {
    0.70
}

fn default_throughput() -> f64 {
    0.5
}

fn default_min_cells() -> u64 {
    20
}
