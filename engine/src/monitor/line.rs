//! The periodic log line of a run.

use std::fmt::Write as _;

use crate::metrics::{Histogram, Snapshot};

/// The log line of the interval between two snapshots.
pub(super) fn line(before: &Snapshot, now: &Snapshot) -> String {
    let seconds = now.uptime.saturating_sub(before.uptime).as_secs_f64().max(1e-9);
    let rate = |now: u64, before: u64| (now - before) as f64 / seconds;
    let mean = |now: &Histogram, before: &Histogram| {
        now.since(before).mean().map_or_else(|| "-".to_owned(), |mean| format!("{:.1} ms", mean * 1e3))
    };
    let errors = now.errors + now.counts.dead;
    let mut line = format!(
        "{:.0} records/s in, {:.0} out; {} read, {} written, {} errors ({:.2} %), {} retries",
        rate(now.counts.read, before.counts.read),
        rate(now.counts.written, before.counts.written),
        now.counts.read,
        now.counts.written,
        errors,
        100.0 * errors as f64 / (now.counts.read + now.errors).max(1) as f64,
        now.retries,
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
    let ending = |count: u64, many| if count == 1 { "" } else { many };
    let (batches, files) = (now.batch_seconds.count(), now.files);
    let _ = write!(line, ", {batches} batch{}, {files} file{}", ending(batches, "es"), ending(files, "s"));
    if now.held > 0 {
        let _ = write!(line, ", {} held", now.held);
    }
    let _ = write!(line, ", up {} s", now.uptime.as_secs());
    line
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
        let at = |seconds: u64, read: u64| Snapshot {
            counts: Counts { read, written: read / 2, dead: 1, scored: 4, score_sum: 3.0, ..Counts::default() },
            commit_seconds: of(seconds, 0.02),
            batch_seconds: of(2 * seconds, 0.0005),
            errors: 1,
            retries: 3,
            files: 1,
            uptime: Duration::from_secs(seconds),
            ..Snapshot::default()
        };
        assert_eq!(
            line(&at(10, 1_000), &Snapshot { lag: Some(7), held: 5, ..at(20, 3_000) }),
            "200 records/s in, 100 out; 3000 read, 1500 written, 2 errors (0.07 %), 3 retries, mean score 0.750, \
             batch 0.5 ms, commit 20.0 ms, lag 7, 40 batches, 1 file, 5 held, up 20 s"
        );
        let quiet = line(&Snapshot::default(), &Snapshot { batch_seconds: of(1, 0.0), ..Snapshot::default() });
        assert!(quiet.ends_with("0 retries, batch 0.0 ms, commit -, 1 batch, 0 files, up 0 s"), "{quiet}");
    }
}
