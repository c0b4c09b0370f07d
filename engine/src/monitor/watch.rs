//! What is made of the snapshots of a run, one after the other. It has no clock and no thread.

use std::collections::VecDeque;
use std::time::Duration;

use super::alerts::{AlertChange, Alerts, Measures};
use super::health::HealthWatch;
use super::history::{History, HistoryPoint};
use super::monitored::Monitored;
use super::status::PipelineStatus;
use crate::clock::rfc3339;
use crate::metrics::Snapshot;

/// Rates are those of so long a time: a commit or two should lie in it.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// A run, as its snapshots show it.
#[derive(Debug)]
pub(super) struct Watch {
    monitored: Monitored,
    /// The sums of the last seconds, of which rates are made.
    recent: VecDeque<RateSums>,
    history: History,
    health: HealthWatch,
    measures: Measures,
    alerts: Alerts,
    is_judged: bool,
}

/// What rates are made of.
#[derive(Clone, Copy, Debug, Default)]
struct RateSums {
    at: Duration,
    read: u64,
    written: u64,
}

impl Watch {
    pub(super) fn new(monitored: Monitored) -> Watch {
        let (alerts, is_bounded) = (&monitored.settings.alerts, monitored.is_bounded);
        Watch {
            recent: VecDeque::new(),
            history: History::default(),
            health: HealthWatch::default(),
            measures: Measures::new(alerts.clone(), is_bounded, monitored.is_paced),
            alerts: Alerts::new(Duration::from_secs(alerts.window_secs.max(1))),
            is_judged: false,
            monitored,
        }
    }

    /// Takes a snapshot, which is not older than the one before it. Returns how the pipeline is, and the alerts that begin or end.
    pub(super) fn observe(&mut self, now: &Snapshot, unix_ms: u64) -> (PipelineStatus, Vec<AlertChange>) {
        self.history.observe(now, unix_ms);
        let changes = if self.monitored.settings.enabled { self.judge(now, unix_ms) } else { Vec::new() };
        let before = self.before(now);
        let mut status = PipelineStatus::of(&self.monitored.about, &before, now, unix_ms);
        status.health = self.health.observe(&self.monitored, now);
        (status.alerts, status.alert_history) = (self.alerts.active(), self.alerts.history());
        (status, changes)
    }

    fn judge(&mut self, now: &Snapshot, unix_ms: u64) -> Vec<AlertChange> {
        let firing = self.alerts.firing();
        let is_final = now.phase.is_over();
        let measures = if !is_final {
            self.measures.of_window(now, &firing)
        } else if self.monitored.is_bounded && !self.is_judged {
            self.measures.of_run(now, &firing)
        } else {
            Vec::new()
        };
        self.is_judged |= is_final;
        let time = rfc3339(i64::try_from(unix_ms).unwrap_or(i64::MAX));
        let changes = self.alerts.judge(measures, now.stations.silent, now.uptime, &time, is_final);
        let change = |(kind, state, alert)| AlertChange {
            pipeline: self.monitored.about.name.clone(),
            instance: now.instance.clone(),
            time: time.clone(),
            kind,
            state,
            alert,
        };
        changes.into_iter().map(change).collect()
    }

    /// The sums at the beginning of the time that rates are made of.
    fn before(&mut self, now: &Snapshot) -> Snapshot {
        if now.phase.is_over() {
            // Nothing is read any more.
            self.recent.clear();
        }
        let is_old = |before: &RateSums| now.uptime.saturating_sub(before.at) >= RATE_WINDOW;
        while self.recent.get(1).is_some_and(is_old) {
            self.recent.pop_front();
        }
        let sums = RateSums { at: now.uptime, read: now.read, written: now.counts.written };
        let before =
            self.recent.front().copied().unwrap_or(if now.phase.is_over() { sums } else { RateSums::default() });
        // Whoever asks often gets no more of them.
        if self.recent.back().is_none_or(|last| sums.at.saturating_sub(last.at) >= RATE_WINDOW / 20) {
            self.recent.push_back(sums);
        }
        let mut snapshot = Snapshot { read: before.read, uptime: before.at, ..Snapshot::default() };
        snapshot.counts.written = before.written;
        snapshot
    }

    pub(super) fn history(&self) -> Vec<HistoryPoint> {
        self.history.points()
    }
}
