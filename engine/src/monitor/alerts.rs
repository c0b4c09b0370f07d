//! Alerts: measured values compared with the limits of `[monitor.alerts]`.

use std::collections::VecDeque;

use super::alert_settings::AlertSettings;
use crate::metrics::Snapshot;

/// The throughput of an interval is compared with the mean of this many intervals before it: five minutes by default.
const TRAILING_INTERVALS_MAX: usize = 30;
/// Below this many intervals, the mean is noise.
const TRAILING_INTERVALS_MIN: usize = 3;

/// A change of an alert: a measured value crossed its limit, or came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    /// Which one: `error_rate`, `quality` or `throughput`.
    pub(super) name: &'static str,
    /// Whether it begins.
    pub(super) begins: bool,
    /// The measured value, the key that sets its limit, and what to do.
    pub(super) text: String,
}

/// The parts of an alert's text.
struct AlertText {
    measured: String,
    limit: String,
    advice: &'static str,
}

/// The alerts of one pipeline, from one interval to the next.
#[derive(Debug)]
pub(super) struct Alerts {
    settings: AlertSettings,
    active: Vec<&'static str>,
    rates: VecDeque<f64>,
}

impl Alerts {
    /// Alerts with these limits, none of them active.
    #[must_use]
    pub(super) fn new(settings: AlertSettings) -> Alerts {
        Alerts { settings, active: Vec::new(), rates: VecDeque::new() }
    }

    /// The alerts that begin or end with the interval between two snapshots. An `idle` source makes no throughput alert.
    pub(super) fn evaluate(&mut self, before: &Snapshot, now: &Snapshot, idle: bool) -> Vec<Alert> {
        let seconds = now.uptime.saturating_sub(before.uptime).as_secs_f64();
        let read = now.counts.read - before.counts.read;
        let errors = now.errors - before.errors;
        let bad = now.counts.dead - before.counts.dead + errors;
        let scored = now.counts.scored - before.counts.scored;
        let mut changes = Vec::new();

        let span = format!("in the last {seconds:.0} s");
        // A failed request counts as an attempt, so that an outage without a single record has an error rate too.
        let attempts = read + errors;
        if attempts > 0 {
            let (rate, limit) = (bad as f64 / attempts as f64, self.settings.error_rate);
            let measured = format!("{bad} of {attempts} records and requests failed {span} ({:.1} %)", rate * 100.0);
            let limit_text = format!("`error_rate` in [monitor.alerts] allows {:.1} %", limit * 100.0);
            let advice = "`aqpipe dead-letters list` names records, warnings above name trouble with brokers";
            self.set("error_rate", rate > limit, AlertText { measured, limit: limit_text, advice }, &mut changes);
        }
        if scored > 0 {
            let mean = (now.counts.score_sum - before.counts.score_sum) / scored as f64;
            let limit = self.settings.quality;
            let measured = format!("the mean score of {scored} records {span} is {mean:.3}");
            let limit_text = format!("`quality` in [monitor.alerts] asks for {limit:.3}");
            let advice = "`flags` and `fills` of the output say which values are bad or missing";
            self.set("quality", mean < limit, AlertText { measured, limit: limit_text, advice }, &mut changes);
        }
        if seconds > 0.0 {
            let rate = read as f64 / seconds;
            let mean = self.rates.iter().sum::<f64>() / self.rates.len().max(1) as f64;
            if self.rates.len() >= TRAILING_INTERVALS_MIN && !idle {
                let share = self.settings.throughput;
                let measured = format!("{rate:.0} records/s were read {span}, and {mean:.0} records/s before");
                let limit_text = format!("`throughput` in [monitor.alerts] asks for {:.0} % of that", share * 100.0);
                let advice = "look whether the source, the brokers or the disk have become slow";
                self.set(
                    "throughput",
                    rate < share * mean,
                    AlertText { measured, limit: limit_text, advice },
                    &mut changes,
                );
            }
            if !idle {
                self.rates.push_back(rate);
                if self.rates.len() > TRAILING_INTERVALS_MAX {
                    self.rates.pop_front();
                }
            }
        }
        changes
    }

    /// The names of the active alerts.
    #[must_use]
    pub(super) fn active(&self) -> &[&'static str] {
        &self.active
    }

    fn set(&mut self, name: &'static str, holds: bool, text: AlertText, changes: &mut Vec<Alert>) {
        let held = self.active.contains(&name);
        if holds == held {
            return;
        }
        if holds {
            self.active.push(name);
        } else {
            self.active.retain(|active| *active != name);
        }
        let AlertText { measured, limit, advice } = text;
        let text = if holds {
            format!("{measured}; {limit}: {advice}")
        } else {
            format!("{measured}, as it should be; {limit}")
        };
        changes.push(Alert { name, begins: holds, text });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Counts;

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
        assert_eq!(names(&alerts.evaluate(&a, &b, false)), [("error_rate", true)]);
        assert_eq!(names(&alerts.evaluate(&b, &c, false)), []);
        assert_eq!(names(&alerts.evaluate(&c, &d, false)), [("error_rate", false)]);
    }

    #[test]
    fn low_quality_is_an_alert() {
        let mut alerts = Alerts::new(AlertSettings::default());
        assert_eq!(names(&alerts.evaluate(&at(0, 0, 0, 0.0), &at(10, 100, 0, 60.0), false)), [("quality", true)]);
    }

    #[test]
    fn an_alert_says_what_was_measured_which_key_sets_the_limit_and_what_to_do() {
        let mut alerts = Alerts::new(AlertSettings::default());
        let (a, b, c) = (at(0, 0, 0, 0.0), at(10, 100, 0, 60.0), at(20, 200, 0, 160.0));
        let text = |changes: Vec<Alert>| changes.into_iter().map(|alert| alert.text).collect::<Vec<_>>().join("\n");
        assert_eq!(
            text(alerts.evaluate(&a, &b, false)),
            "the mean score of 100 records in the last 10 s is 0.600; `quality` in [monitor.alerts] asks for 0.700: \
             `flags` and `fills` of the output say which values are bad or missing"
        );
        assert_eq!(
            text(alerts.evaluate(&b, &c, false)),
            "the mean score of 100 records in the last 10 s is 1.000, as it should be; `quality` in [monitor.alerts] \
             asks for 0.700"
        );
    }

    #[test]
    fn throughput_is_compared_with_its_own_past_and_idleness_is_no_fall() {
        let mut alerts = Alerts::new(AlertSettings::default());
        let mut last = at(0, 0, 0, 0.0);
        for second in 1..=4 {
            let now = at(second * 10, second * 1_000, 0, second as f64 * 900.0);
            assert!(alerts.evaluate(&last, &now, false).is_empty());
            last = now;
        }
        let idle = at(50, 4_000, 0, 3_600.0);
        assert!(alerts.evaluate(&last, &idle, true).is_empty());
        let slow = at(60, 4_100, 0, 3_690.0);
        assert_eq!(names(&alerts.evaluate(&idle, &slow, false)), [("throughput", true)]);
    }
}
