//! A stretch of time in which no broker answers, and when it is reported.

use std::time::{Duration, Instant};

/// How long a broker may be unreachable before that is reported: brokers close connections that were idle, and clients
/// open them again.
const OUTAGE_REPORT_DELAY: Duration = Duration::from_secs(1);
/// The pause before the second report, and the longest: each is twice as long as the one before.
pub(super) const REPORT_INTERVAL_MIN: Duration = Duration::from_secs(10);
const REPORT_INTERVAL_MAX: Duration = Duration::from_secs(600);
/// An outage that nothing was heard of for so long is over, though nothing said so. The library tries to connect every
/// ten seconds, and gives a try thirty.
pub(super) const OUTAGE_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// A stretch of time in which no broker answered.
pub(super) struct Outage {
    pub(super) since: Instant,
    last_failure: Instant,
    reported: Option<Instant>,
    interval: Duration,
}

impl Outage {
    pub(super) fn new(now: Instant) -> Outage {
        Outage { since: now, last_failure: now, reported: None, interval: REPORT_INTERVAL_MIN }
    }

    pub(super) fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// Counts another failure; returns whether it is to be reported now.
    pub(super) fn is_report_due(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.last_failure) > OUTAGE_FORGOTTEN_AFTER {
            *self = Outage::new(now);
        }
        self.last_failure = now;
        match self.reported {
            None => {
                let is_due = now.saturating_duration_since(self.since) >= OUTAGE_REPORT_DELAY;
                self.reported = is_due.then_some(now);
                is_due
            }
            Some(reported) if now.saturating_duration_since(reported) >= self.interval => {
                self.reported = Some(now);
                self.interval = (self.interval * 2).min(REPORT_INTERVAL_MAX);
                true
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_does_not_answer_is_told_at_growing_intervals_and_what_was_long_ago_is_over() {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        let told: Vec<u64> = (0..2_000).filter(|s| outage.is_report_due(start + Duration::from_secs(*s))).collect();
        assert_eq!(told, [1, 11, 31, 71, 151, 311, 631, 1_231, 1_831]);
        assert!(!outage.is_report_due(start + Duration::from_secs(4_000)), "a connection that was idle and closed");
    }
}
