//! When a pipeline deserves a warning.

use std::collections::VecDeque;

use super::Snapshot;
use crate::config::AlertSettings;

/// Intervals whose mean throughput the latest one is compared with.
const TRAILING: usize = 30;
/// Intervals that a mean needs before it says anything.
const TRAILING_MIN: usize = 3;

/// Something that begins to deserve a warning, or no longer does.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Which one: `error_rate`, `quality` or `throughput`.
    pub name: &'static str,
    /// Whether it begins.
    pub begins: bool,
    /// What was seen.
    pub text: String,
}

/// The alerts of one pipeline, from one interval to the next.
#[derive(Debug)]
pub struct Alerts {
    settings: AlertSettings,
    active: Vec<&'static str>,
    rates: VecDeque<f64>,
}

impl Alerts {
    /// No alert yet.
    #[must_use]
    pub fn new(settings: AlertSettings) -> Alerts {
        Alerts { settings, active: Vec::new(), rates: VecDeque::new() }
    }

    /// What an interval changed: the alerts that begin and those that end. `idle` says that there was nothing to do,
    /// so that a low throughput says nothing.
    pub fn look(&mut self, before: &Snapshot, now: &Snapshot, idle: bool) -> Vec<Alert> {
        let seconds = now.uptime.saturating_sub(before.uptime).as_secs_f64();
        let read = now.counts.read - before.counts.read;
        let errors = now.errors - before.errors;
        let bad = now.counts.dead - before.counts.dead + errors;
        let scored = now.counts.scored - before.counts.scored;
        let mut changes = Vec::new();

        // A request that failed is an attempt beside the records: without any record it is all that happened.
        let attempts = read + errors;
        if attempts > 0 {
            let rate = bad as f64 / attempts as f64;
            let text = format!("{bad} errors in {attempts} attempts, {:.1} %", rate * 100.0);
            self.set("error_rate", rate > self.settings.error_rate, text, &mut changes);
        }
        if scored > 0 {
            let mean = (now.counts.score_sum - before.counts.score_sum) / scored as f64;
            self.set("quality", mean < self.settings.quality, format!("the mean score is {mean:.3}"), &mut changes);
        }
        if seconds > 0.0 {
            let rate = read as f64 / seconds;
            let mean = self.rates.iter().sum::<f64>() / self.rates.len().max(1) as f64;
            if self.rates.len() >= TRAILING_MIN && !idle {
                let text = format!("{rate:.0} records/s, after {mean:.0} records/s before");
                self.set("throughput", rate < self.settings.throughput * mean, text, &mut changes);
            }
            if !idle {
                self.rates.push_back(rate);
                if self.rates.len() > TRAILING {
                    self.rates.pop_front();
                }
            }
        }
        changes
    }

    /// The names of the alerts that hold.
    #[must_use]
    pub fn active(&self) -> &[&'static str] {
        &self.active
    }

    fn set(&mut self, name: &'static str, holds: bool, text: String, changes: &mut Vec<Alert>) {
        let held = self.active.contains(&name);
        if holds == held {
            return;
        }
        if holds {
            self.active.push(name);
        } else {
            self.active.retain(|active| *active != name);
        }
        changes.push(Alert { name, begins: holds, text });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::monitor::Counts;

    fn at(second: u64, read: u64, dead: u64, score: f64) -> Snapshot {
        let counts = Counts { read, dead, scored: read, score_sum: score, ..Counts::default() };
        Snapshot { counts, uptime: Duration::from_secs(second), ..Snapshot::default() }
    }

    fn names(alerts: &[Alert]) -> Vec<(&'static str, bool)> {
        alerts.iter().map(|alert| (alert.name, alert.begins)).collect()
    }

    #[test]
    fn an_alert_is_said_when_it_begins_and_when_it_ends_and_not_between() {
        let mut alerts = Alerts::new(AlertSettings::default());
        let (a, b, c, d) = (at(0, 0, 0, 0.0), at(10, 100, 20, 90.0), at(20, 200, 40, 180.0), at(30, 300, 40, 270.0));
        assert_eq!(names(&alerts.look(&a, &b, false)), [("error_rate", true)]);
        assert_eq!(names(&alerts.look(&b, &c, false)), []);
        assert_eq!(names(&alerts.look(&c, &d, false)), [("error_rate", false)]);
    }

    #[test]
    fn low_quality_is_an_alert() {
        let mut alerts = Alerts::new(AlertSettings::default());
        assert_eq!(names(&alerts.look(&at(0, 0, 0, 0.0), &at(10, 100, 0, 60.0), false)), [("quality", true)]);
    }

    #[test]
    fn throughput_is_compared_with_its_own_past_and_idleness_is_no_fall() {
        let mut alerts = Alerts::new(AlertSettings::default());
        let mut last = at(0, 0, 0, 0.0);
        for second in 1..=4 {
            let now = at(second * 10, second * 1_000, 0, second as f64 * 900.0);
            assert!(alerts.look(&last, &now, false).is_empty());
            last = now;
        }
        let idle = at(50, 4_000, 0, 3_600.0);
        assert!(alerts.look(&last, &idle, true).is_empty());
        let slow = at(60, 4_100, 0, 3_690.0);
        assert_eq!(names(&alerts.look(&idle, &slow, false)), [("throughput", true)]);
    }
}
