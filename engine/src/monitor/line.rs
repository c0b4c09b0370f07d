//! The periodic log line of a run.

use std::fmt::Write as _;

use serde_json::Value;

use super::for_log::{all_numbers, main_numbers};
use super::status::PipelineStatus;
use super::summary::summary_line;
use crate::metrics::{Histogram, Snapshot};
use crate::plural::counted;

/// What events of the monitor are called. Their fields say in numbers what their message says in words.
pub(super) const LOG_TARGET: &str = "aqpipe::monitor";
/// What the last event of a run is called. A log of text has no use for it: the summary is printed.
const SUMMARY_TARGET: &str = "aqpipe::summary";

/// Logs the interval between two snapshots: in words, and as the numbers of a status, in an object of JSON.
pub(super) fn log_line(before: &Snapshot, now: &Snapshot, status: &PipelineStatus) {
    let interval = Interval { before, now };
    let mut numbers = main_numbers(status);
    // Those of the status are of another interval.
    for (name, value) in [
        ("read_per_second", Some(interval.rate(now.read, before.read))),
        ("written_per_second", Some(interval.rate(now.counts.written, before.counts.written))),
        ("mean_batch_seconds", now.batch_seconds.since(&before.batch_seconds).mean()),
        ("mean_commit_seconds", now.commit_seconds.since(&before.commit_seconds).mean()),
    ] {
        numbers.insert(name.to_owned(), value.into());
    }
    numbers.insert("batches".to_owned(), now.batch_seconds.count().into());
    let numbers = Value::Object(numbers).to_string();
    tracing::info!(target: LOG_TARGET, numbers, "{}", interval.line());
}

/// Logs what a run came to.
pub(super) fn log_summary(now: &Snapshot, status: &PipelineStatus) {
    let numbers = Value::Object(all_numbers(status)).to_string();
    tracing::info!(target: SUMMARY_TARGET, numbers, "{}", summary_line(now));
}

/// The time between two snapshots.
struct Interval<'a> {
    before: &'a Snapshot,
    now: &'a Snapshot,
}

impl Interval<'_> {
    fn rate(&self, now: u64, before: u64) -> f64 {
        let seconds = self.now.uptime.saturating_sub(self.before.uptime).as_secs_f64().max(1e-9);
        now.saturating_sub(before) as f64 / seconds
    }

    /// What was read counts at once, all else once it is committed.
    fn line(&self) -> String {
        let Interval { before, now } = self;
        let mean = |now: &Histogram, before: &Histogram| {
            now.since(before).mean().map_or_else(|| "-".to_owned(), |mean| format!("{:.1} ms", mean * 1e3))
        };
        let mut line = format!(
            "{:.0} records/s read, {:.0}/s written; {} read, {} committed, {} written, {}, {}, {}",
            self.rate(now.read, before.read),
            self.rate(now.counts.written, before.counts.written),
            now.read,
            now.counts.read,
            now.counts.written,
            counted(now.counts.dead, "dead letter"),
            counted(now.errors, "error"),
            counted(now.retries, "retry"),
        );
        if let Some(score) = now.counts.mean_score() {
            let _ = write!(line, ", mean score {score:.3}");
        }
        let _ = write!(
            line,
            ", batch {}, commit {}",
            mean(&now.batch_seconds, &before.batch_seconds),
            mean(&now.commit_seconds, &before.commit_seconds),
        );
        if let Some(lag) = now.lag {
            let _ = write!(line, ", lag {lag}");
        }
        let (batches, files) = (now.batch_seconds.count(), now.files);
        let _ = write!(line, ", {}, {}", counted(batches, "batch"), counted(files, "file"));
        if now.held > 0 {
            let _ = write!(line, ", {} held", now.held);
        }
        let _ = write!(line, ", up {} s", now.uptime.as_secs());
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Counts;

    #[test]
    fn the_log_line_has_rates_of_the_interval_and_sums_of_the_run() {
        let of = |count: u64, seconds: f64| {
            let mut histogram = Histogram::of_seconds();
            (0..count).for_each(|_| histogram.observe(seconds));
            histogram
        };
        let line = |before: &Snapshot, now: &Snapshot| Interval { before, now }.line();
        let at = |seconds: u64, read: u64| Snapshot {
            counts: Counts { read, written: read / 2, dead: 1, scored: 4, score_sum: 3.0, ..Counts::default() },
            commit_seconds: of(seconds, 0.02),
            batch_seconds: of(2 * seconds, 0.0005),
            read: read + 50,
            errors: 1,
            retries: 3,
            files: 1,
            uptime: Duration::from_secs(seconds),
            ..Snapshot::default()
        };
        assert_eq!(
            line(&at(10, 1_000), &Snapshot { lag: Some(7), held: 5, ..at(20, 3_000) }),
            "200 records/s read, 100/s written; 3050 read, 3000 committed, 1500 written, 1 dead letter, 1 error, 3 retries, \
             mean score 0.750, batch 0.5 ms, commit 20.0 ms, lag 7, 40 batches, 1 file, 5 held, up 20 s"
        );
        let quiet = line(&Snapshot::default(), &Snapshot { batch_seconds: of(1, 0.0), ..Snapshot::default() });
        assert!(quiet.ends_with("0 retries, batch 0.0 ms, commit -, 1 batch, 0 files, up 0 s"), "{quiet}");
    }
}
