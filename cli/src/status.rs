//! How a pipeline does, on one line: for a terminal and for a service manager.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::metrics::{Metrics, Phase, Snapshot};

use crate::logging::ActiveAlerts;

/// The time that rates and scores are of. A sink of files commits after each file, so that a shorter one would flicker.
const WINDOW: Duration = Duration::from_secs(10);
/// How many looks of that time are remembered: those of a terminal, each second, and some more.
const SAMPLES_MAX: usize = 20;

/// The state of one pipeline, from one look to the next.
pub(crate) struct Status {
    name: String,
    metrics: Arc<Metrics>,
    alerts: ActiveAlerts,
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    uptime: Duration,
    read: u64,
    written: u64,
    scored: u64,
    score_sum: f64,
}

impl Status {
    pub(crate) fn new(name: &str, metrics: Arc<Metrics>, alerts: ActiveAlerts) -> Status {
        Status { name: name.to_owned(), metrics, alerts, samples: VecDeque::new() }
    }

    /// `consumer: 120 records/s read, 118 written, lag 7, mean score 0.983, alerts: quality`, or what it waits for.
    pub(crate) fn line(&mut self) -> String {
        let now = self.metrics.snapshot();
        let what = match now.phase {
            Phase::Starting | Phase::Running if !now.waits.is_empty() => format!("waiting; {}", now.waits.join("; ")),
            Phase::Running => self.numbers(&now) + &self.alerts.of(&self.name),
            Phase::Stopping => format!("stopping; {}", self.numbers(&now)),
            phase => match &now.failure {
                Some(why) => format!("{}: {why}", phase.name()),
                None => phase.name().to_owned(),
            },
        };
        format!("{}: {what}", self.name)
    }

    /// How far the run is.
    pub(crate) fn phase(&self) -> Phase {
        self.metrics.snapshot().phase
    }

    fn numbers(&mut self, now: &Snapshot) -> String {
        let (read, counts) = (now.read, &now.counts);
        let (written, scored, score_sum) = (counts.written, counts.scored, counts.score_sum);
        let sample = Sample { uptime: now.uptime, read, written, scored, score_sum };
        let is_old = |first: &Sample| now.uptime.saturating_sub(first.uptime) > WINDOW;
        while self.samples.len() >= SAMPLES_MAX || self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
        let first = *self.samples.front().unwrap_or(&sample);
        self.samples.push_back(sample);
        let seconds = now.uptime.saturating_sub(first.uptime).as_secs_f64();
        let rate = |now: u64, before: u64| match now.saturating_sub(before) as f64 / seconds.max(1e-3) {
            // Hourly readings of a few stations.
            slow if slow > 0.0 && slow < 10.0 => format!("{slow:.1}"),
            rate => format!("{rate:.0}"),
        };
        let mut text = format!("{} records/s read, {} written", rate(read, first.read), rate(written, first.written));
        if let Some(lag) = now.lag {
            text += &format!(", lag {lag}");
        }
        let in_window = scored.saturating_sub(first.scored);
        let score = (in_window > 0).then(|| (score_sum - first.score_sum) / in_window as f64);
        if let Some(score) = score.or_else(|| counts.mean_score()) {
            text += &format!(", mean score {score:.3}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::metrics::Counts;

    use super::*;

    #[test]
    fn rates_and_scores_are_those_of_the_last_seconds() {
        let mut status = Status::new("job", Arc::default(), ActiveAlerts::default());
        let at = |seconds: u64, read: u64, written: u64, score_sum: f64| Snapshot {
            read,
            counts: Counts { written, scored: written, score_sum, ..Counts::default() },
            uptime: Duration::from_secs(seconds),
            lag: Some(7),
            ..Snapshot::default()
        };
        assert_eq!(status.numbers(&at(0, 0, 0, 0.0)), "0 records/s read, 0 written, lag 7");
        assert_eq!(status.numbers(&at(5, 500, 400, 400.0)), "100 records/s read, 80 written, lag 7, mean score 1.000");
        let numbers = (6..=100).map(|second| status.numbers(&at(second, 500, 400, 400.0))).last();
        assert_eq!(numbers.as_deref(), Some("0 records/s read, 0 written, lag 7, mean score 1.000"));
        assert_eq!(
            status.numbers(&at(101, 505, 402, 401.0)),
            "0.5 records/s read, 0.2 written, lag 7, mean score 0.500"
        );
        assert!(status.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn what_is_waited_for_and_why_it_failed_is_said_instead() {
        let metrics = Arc::new(Metrics::default());
        let mut status = Status::new("job", Arc::clone(&metrics), ActiveAlerts::default());
        metrics.waiting("kafka", Some("a broker that answers".to_owned()));
        assert_eq!(status.line(), "job: waiting; kafka: a broker that answers");
        metrics.waiting("kafka", None);
        assert_eq!(status.line(), "job: starting");
        metrics.set_phase(Phase::Running);
        assert_eq!(status.line(), "job: 0 records/s read, 0 written");
        metrics.failed("the disk is full".to_owned());
        assert_eq!((status.line().as_str(), status.phase()), ("job: failed: the disk is full", Phase::Failed));
    }
}
