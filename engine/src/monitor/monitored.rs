//! What a monitor knows of a pipeline before it runs.

use std::time::Duration;

use super::settings::MonitorSettings;
use super::status_of::About;

/// What a monitor knows of a pipeline before it runs.
#[derive(Clone, Debug, Default)]
pub struct Monitored {
    /// What a status says of it.
    pub about: About,
    /// Its settings.
    pub settings: MonitorSettings,
    /// Whether its input ends by itself.
    pub is_bounded: bool,
    /// Whether its source has a pace of its own.
    pub is_paced: bool,
    /// The time between two commits, as sink and settings ask for.
    pub commit_interval: Duration,
}
