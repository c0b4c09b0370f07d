//! The settings of `[monitor]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is said of a pipeline while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorSettings {
    /// Whether anything is said at all.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Seconds between two log lines with rates, errors and the mean score.
    #[serde(default = "default_every_secs")]
    #[schemars(range(min = 1, max = 86_400))]
    pub every_secs: u64,
    /// When to warn.
    #[serde(default)]
    pub alerts: AlertSettings,
}

impl Default for MonitorSettings {
    fn default() -> Self {
        MonitorSettings {
            enabled: default_enabled(),
            every_secs: default_every_secs(),
            alerts: AlertSettings::default(),
        }
    }
}

/// When to warn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// Errors per record above which there is a warning, from 0 to 1.
    #[serde(default = "default_error_rate")]
    #[schemars(range(min = 0, max = 1))]
    pub error_rate: f64,
    /// Mean quality score below which there is a warning, from 0 to 1.
    #[serde(default = "default_quality")]
    #[schemars(range(min = 0, max = 1))]
    pub quality: f64,
    /// Share of its own trailing mean throughput below which there is a warning, from 0 to 1.
    #[serde(default = "default_throughput")]
    #[schemars(range(min = 0, max = 1))]
    pub throughput: f64,
}

impl Default for AlertSettings {
    fn default() -> Self {
        AlertSettings { error_rate: default_error_rate(), quality: default_quality(), throughput: default_throughput() }
    }
}

fn default_enabled() -> bool {
    true
}

fn default_every_secs() -> u64 {
    10
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
