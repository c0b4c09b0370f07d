//! What is made of the snapshots of a run, one after the other. It has no clock and no thread.

use std::collections::VecDeque;
use std::time::Duration;

use super::history::{History, HistoryPoint};
use super::settings::MonitorSettings;
use super::status::PipelineStatus;
use super::status_of::About;
use crate::metrics::Snapshot;

/// Rates are those of so long a time: a commit or two should lie in it.
const RATE_WINDOW: Duration = Duration::from_secs(10);

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

/// A run, as its snapshots show it.
#[derive(Debug)]
pub(super) struct Watch {
    monitored: Monitored,
    recent: VecDeque<Snapshot>,
    history: History,
}

impl Watch {
    pub(super) fn new(monitored: Monitored) -> Watch {
        Watch { monitored, recent: VecDeque::new(), history: History::default() }
    }

    /// Takes a snapshot, which is later than the one before it, and says how the pipeline is.
    pub(super) fn observe(&mut self, now: &Snapshot, unix_ms: u64) -> PipelineStatus {
        self.history.observe(now, unix_ms);
        let is_old = |before: &Snapshot| now.uptime.saturating_sub(before.uptime) >= RATE_WINDOW;
        while self.recent.len() > 1 && self.recent.get(1).is_some_and(is_old) {
            self.recent.pop_front();
        }
        let before = self.recent.front().cloned().unwrap_or_default();
        self.recent.push_back(now.clone());
        PipelineStatus::of(&self.monitored.about, &before, now, unix_ms)
    }

    pub(super) fn history(&self) -> Vec<HistoryPoint> {
        self.history.points()
    }
}
