//! The periodic log line of a run, and its summary.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::alerts::Alerts;
use super::settings::MonitorSettings;
use crate::metrics::{CellProblem, Histogram, Metrics, Snapshot};
use crate::record::Flag;

/// Logs a line about a pipeline at every interval until it is dropped.
pub struct Reporter {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Starts the thread that logs, within the tracing span of the caller.
    #[must_use]
    pub fn start(metrics: Arc<Metrics>, settings: &MonitorSettings) -> Reporter {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        if !settings.enabled {
            return Reporter { stopped, thread: None };
        }
        let every = Duration::from_secs(settings.every_secs.max(1));
        let mut alerts = Alerts::new(settings.alerts.clone());
        let (signal, span) = (Arc::clone(&stopped), tracing::Span::current());
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(move || {
            let _entered = span.enter();
            let mut before = metrics.snapshot();
            let mut stopped = signal.0.lock();
            while !*stopped {
                if !signal.1.wait_for(&mut stopped, every).timed_out() {
                    continue;
                }
                let now = metrics.snapshot();
                tracing::info!("{}", line(&before, &now));
                let idle = now.lag.is_none_or(|lag| lag == 0);
                for alert in alerts.evaluate(&before, &now, idle) {
                    if alert.begins {
                        tracing::warn!(alert = alert.name, "{}", alert.text);
                    } else {
                        tracing::info!(alert = alert.name, "{}", alert.text);
                    }
                }
                before = now;
            }
        });
        Reporter { stopped, thread: thread.ok() }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        *self.stopped.0.lock() = true;
        self.stopped.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The log line of the interval between two snapshots.
fn line(before: &Snapshot, now: &Snapshot) -> String {
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

/// The summary of a run, as lines.
#[must_use]
pub fn summary(name: &str, metrics: &Snapshot) -> Vec<String> {
    let counts = &metrics.counts;
    let seconds = metrics.uptime.as_secs_f64();
    let mut text = vec![format!(
        "{name}: read {}{}, written {}, dead letters {}, filtered {}, held {}; {}in {seconds:.1} s{}",
        counts.read,
        changed(counts.made, counts.merged),
        counts.written,
        counts.dead,
        counts.filtered,
        metrics.held,
        files(metrics),
        match counts.read {
            0 => String::new(),
            read => format!(", {:.0} records/s", read as f64 / seconds.max(1e-3)),
        },
    )];
    if let Some(score) = counts.mean_score() {
        text.push(format!("  mean score {score:.6}"));
    }
    if !metrics.dead_letters.is_empty() {
        text.push("  dead letters by stage and reason:".to_owned());
        text.extend(metrics.dead_letters.lines().into_iter().map(|line| format!("    {line}")));
    }
    if counts.out_of_order + counts.repeated > 0 {
        let (back, repeated) = (counts.out_of_order, counts.repeated);
        text.push(format!("  records older than the one before them: {back}; of the same time as it: {repeated}"));
    }
    if metrics.passed_over > 0 {
        text.push(format!("  lines that are no records, such as a header that comes again: {}", metrics.passed_over));
    }
    if metrics.marks_ignored > 0 {
        text.push(format!(
            "  records whose quality marks could not be read, and were ignored: {}",
            metrics.marks_ignored
        ));
    }
    for (problem, field, count) in &metrics.cell_problems {
        let what = match problem {
            CellProblem::Unreadable => "cells that could not be read",
            CellProblem::UnlistedCode => "cells with a code that `flags` does not list",
        };
        let place = count.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
        text.push(format!("  {field}: {} {what}, the first is `{}`{place}", count.cells, count.text));
    }
    text.extend(metrics.notes.iter().map(|(what, count)| format!("  {what}: {count}")));
    if !metrics.lacking_fields.is_empty() {
        let what =
            "keys that never had a listed field, which lowers their score (`fields_by_key` of `score` lists theirs)";
        text.push(format!("  {what}:"));
        text.extend(metrics.lacking_fields.iter().map(|line| format!("    {line}")));
    }
    if !counts.flags.is_empty() {
        let width = counts.flags.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        let heads: String = Flag::ALL.iter().map(|flag| format!(" {:>9}", flag.name())).collect();
        text.push(format!("  {:width$}{heads}", "flags"));
        for (field, flags) in &counts.flags {
            let counts: String = flags.iter().map(|count| format!(" {count:>9}")).collect();
            text.push(format!("  {field:width$}{counts}"));
        }
    }
    text
}

/// The rows that transforms made of others, and those that they merged, where there are any: `, made 23`.
#[must_use]
pub fn changed(made: u64, merged: u64) -> String {
    let part = |what: &str, count: u64| if count > 0 { format!(", {what} {count}") } else { String::new() };
    part("made", made) + &part("merged", merged)
}

/// The number of files written and their directories: the sink and the dead letters may have one each.
fn files(metrics: &Snapshot) -> String {
    let count = match metrics.files {
        0 => return String::new(),
        1 => "1 file ".to_owned(),
        several => format!("{several} files "),
    };
    let here = std::env::current_dir().unwrap_or_default();
    let place = |dir: &String| {
        let below = Path::new(dir).strip_prefix(&here).map_or(Path::new(dir), |below| below);
        format!("{}/", below.display())
    };
    let places: Vec<_> = metrics.files_in.iter().map(place).collect();
    if places.is_empty() { count } else { format!("{count}in {} ", places.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter_groups::DeadLetterGroups;
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

    #[test]
    fn the_summary_says_where_the_files_are() {
        let here = std::env::current_dir().expect("a directory");
        let of = |files: u64, places: &[&str]| {
            let files_in = places.iter().map(|place| (*place).to_owned()).collect();
            summary("p", &Snapshot { files, files_in, ..Snapshot::default() }).concat()
        };
        let below = here.join("out").display().to_string();
        assert!(of(1, &[&below]).contains("; 1 file in out/ in 0.0 s"), "{}", of(1, &[&below]));
        assert!(of(2, &[&below, "/dead"]).contains("; 2 files in out/ and /dead/ in 0.0 s"));
        assert!(of(0, &[]).contains("held 0; in 0.0 s"));
    }

    #[test]
    fn the_summary_names_cells_that_could_not_be_read_with_the_first_one() {
        let metrics = Metrics::default();
        for (text, cells) in [("<0.5", 2), ("ERR", 3)] {
            let first = || (text.to_owned(), Some("in.csv:7".to_owned()));
            metrics.record_cell_problem(CellProblem::Unreadable, "NO2", cells, first);
        }
        let text = summary("p", &metrics.snapshot()).join("\n");
        assert!(text.ends_with("  NO2: 5 cells that could not be read, the first is `<0.5` at in.csv:7"), "{text}");
        (0..2_000).for_each(|field| {
            metrics.record_cell_problem(CellProblem::Unreadable, &format!("f{field}"), 1, || (String::new(), None));
        });
        let problems = metrics.snapshot().cell_problems;
        assert_eq!(problems.len(), 1_001);
        assert_eq!(problems.iter().map(|(.., count)| count.cells).sum::<u64>(), 2_005, "all are counted");
    }

    #[test]
    fn the_summary_has_what_sources_note() {
        let metrics = Metrics::default();
        metrics.note("messages without a value", 2);
        metrics.note("messages without a value", 1);
        metrics.note("nothing", 0);
        let text = summary("p", &metrics.snapshot());
        assert_eq!(&text[1..], ["  messages without a value: 3"]);
    }

    #[test]
    fn the_summary_names_what_became_of_every_record() {
        let mut counts = Counts { read: 10, written: 7, dead: 2, filtered: 1, ..Counts::default() };
        (counts.scored, counts.score_sum) = (7, 6.3);
        counts.flags.insert("CO(GT)".into(), [1, 2, 3, 4, 5]);
        let mut dead_letters = DeadLetterGroups::default();
        dead_letters.add("csv", "the row has 3 cells", "a.csv:7");
        dead_letters.add("csv", "the row has 4 cells", "a.csv:9");
        let lacking_fields = vec!["b: T, RH".to_owned()];
        let text = summary("p", &Snapshot { counts, dead_letters, lacking_fields, ..Snapshot::default() }).join("\n");
        assert!(text.contains("lists theirs):\n    b: T, RH\n"), "{text}");
        assert!(text.starts_with("p: read 10, written 7, dead letters 2, filtered 1, held 0;"), "{text}");
        assert!(text.contains("mean score 0.900000"), "{text}");
        let dead = "dead letters by stage and reason:\n    2  csv  the row has … cells; first at a.csv:7\n";
        assert!(text.contains(dead), "{text}");
        assert!(text.ends_with("CO(GT)         1         2         3         4         5"), "{text}");
    }
}
