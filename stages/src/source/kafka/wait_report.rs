//! Says that the group keeps a run waiting.

use std::time::{Duration, Instant};

use super::membership::Membership;

/// How long a wait may take before that is reported, and the pauses between reports: each is twice as long as the one before.
const DELAY: Duration = Duration::from_secs(1);
const INTERVAL_MIN: Duration = Duration::from_secs(5);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Reports one wait for the group.
pub(super) struct WaitReport {
    since: Instant,
    told: Option<Instant>,
    interval: Duration,
}

impl WaitReport {
    pub(super) fn new() -> WaitReport {
        WaitReport { since: Instant::now(), told: None, interval: INTERVAL_MIN }
    }

    /// Nothing is waited for; a later wait is another one.
    pub(super) fn ended(&mut self, membership: &Membership) {
        if self.told.take().is_some() {
            membership.monitor.metrics.waiting("group", None);
        }
        (self.since, self.interval) = (Instant::now(), INTERVAL_MIN);
    }

    /// It is still waited for something, with the seconds so far in its words.
    pub(super) fn report(&mut self, membership: &Membership, what: impl FnOnce(u64) -> String) {
        let waited = self.since.elapsed();
        if waited < DELAY || self.told.is_some_and(|told| told.elapsed() < self.interval) {
            return;
        }
        let what = what(waited.as_secs());
        let monitor = &membership.monitor;
        if !monitor.is_in_outage() {
            let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
            tracing::info!(pipeline, stage, "waiting for {what}");
        }
        monitor.metrics.waiting("group", Some(what));
        if self.told.replace(Instant::now()).is_some() {
            self.interval = (self.interval * 2).min(INTERVAL_MAX);
        }
    }
}
