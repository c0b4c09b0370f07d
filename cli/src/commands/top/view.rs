//! A status as lines.

use aqpipe_console::names::{name, shortened};
use aqpipe_console::numbers::{bytes, count, counted, duration, number};
use aqpipe_engine::metrics::BrokerAway;
use aqpipe_engine::monitor::{PipelineStatus, Status};
use aqpipe_engine::printable;

use crate::printer::Tone;

type Lines = Vec<(Tone, String)>;

/// Splits that are listed: those with the largest lag. A screen has no room for more.
const SPLITS_MAX: usize = 12;

/// The lines of a status, which fit into so many columns; with an earlier one, rates of stages are told.
pub(super) fn view(now: &Status, before: Option<&Status>, url: &str, columns: usize) -> Lines {
    let memory = now.memory_bytes.map_or_else(String::new, |memory| format!(" · {}", bytes(memory)));
    let head = format!("aqpipe {} at {url} · {} · up {}{memory}", now.version, now.time, duration(now.uptime_seconds));
    let mut lines = vec![(Tone::Quiet, head)];
    for pipeline in &now.pipelines {
        let earlier = before.and_then(|before| before.pipelines.iter().find(|one| one.name == pipeline.name));
        lines.push((Tone::Plain, String::new()));
        one(pipeline, earlier, columns, &mut lines);
    }
    lines.into_iter().map(|(tone, line)| (tone, fitted(&plain(&line), columns))).collect()
}

fn one(now: &PipelineStatus, before: Option<&PipelineStatus>, columns: usize, lines: &mut Lines) {
    let health = &now.health;
    let (tone, state) = match (health.alive, health.ready) {
        (false, _) => (Tone::Bad, ", not alive"),
        (true, true) => (Tone::Good, ", ready"),
        (true, false) if now.phase.is_over() => (Tone::Plain, ""),
        (true, false) => (Tone::Warn, ", not ready"),
    };
    let instance = now.instance.as_ref().map_or_else(String::new, |instance| format!(" · instance {instance}"));
    lines.push((tone, format!("{}  {}{state}{instance}", name(&now.name), now.phase.name())));
    lines.push((Tone::Quiet, format!("  {} · {}", now.topology, now.delivery.replace('_', " "))));
    let told = now.failure.iter().map(|why| (Tone::Bad, "failed", why));
    let told = told.chain(health.reasons.iter().map(|why| (Tone::Bad, "not alive", why)));
    let ready_reasons = health.ready_reasons.iter().filter(|_| !now.phase.is_over());
    let told = told.chain(ready_reasons.map(|why| (Tone::Warn, "not ready", why)));
    let told = told.chain(now.waits.iter().map(|what| (Tone::Warn, "waits", what)));
    let away: Vec<String> = now.brokers_away.iter().filter(|away| !away.is_asked).map(BrokerAway::sentence).collect();
    let told = told.chain(away.iter().map(|what| (Tone::Warn, "cluster", what)));
    lines.extend(told.map(|(tone, what, why)| (tone, format!("  {what}: {why}"))));
    flow(&records(now), columns, lines);
    flow(&measures(now), columns, lines);
    for alert in now.alerts.iter().filter(|alert| alert.firing) {
        let subject = alert.subject.as_ref().map_or_else(String::new, |subject| format!(" of {}", name(subject)));
        lines.push((Tone::Bad, format!("  alert {}{subject} since {}: {}", alert.alert, alert.since, alert.text)));
    }
    stages(now, before, lines);
    splits(now, lines);
}

fn records(now: &PipelineStatus) -> Vec<String> {
    let committed = &now.committed;
    let expected = now.expected.map_or_else(String::new, |expected| format!(" of {}", count(expected)));
    vec![
        format!("read {}{expected} ({}/s)", count(now.read), number(now.read_per_second)),
        format!("committed {}", count(committed.read)),
        format!("written {} ({}/s)", count(committed.written), number(now.written_per_second)),
        format!("lag {}", now.lag.map_or_else(|| "unknown".to_owned(), count)),
        format!("dead letters {}", count(committed.dead_letters)),
        format!("filtered {}", count(committed.filtered)),
        format!("held {}", count(now.held)),
    ]
}

fn measures(now: &PipelineStatus) -> Vec<String> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        format!("mean score {}", or_none(now.committed.mean_score.map(|score| format!("{score:.3}")))),
        format!("read to commit {}", or_none(now.processing_latency_seconds.mean().map(duration))),
        format!("commit {}", or_none(now.commits.seconds.mean().map(duration))),
        format!("errors {}", count(now.errors)),
        format!("retries {}", count(now.retries)),
        format!("failed connections {}", count(now.connection_failures)),
        format!("rebalances {}", count(now.rebalances)),
    ]
}

/// Parts beside each other, on as many lines as they need.
fn flow(parts: &[String], columns: usize, lines: &mut Lines) {
    let mut line = String::from(" ");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 && line.chars().count() + 3 + part.chars().count() > columns {
            lines.push((Tone::Plain, std::mem::replace(&mut line, String::from(" "))));
        }
        line.push_str(if line.len() > 1 { "   " } else { " " });
        line.push_str(part);
    }
    lines.push((Tone::Plain, line));
}

fn stages(now: &PipelineStatus, before: Option<&PipelineStatus>, lines: &mut Lines) {
    if now.stages.is_empty() {
        return;
    }
    let seconds = before.map_or(0.0, |before| now.uptime_seconds - before.uptime_seconds);
    let mut rows = vec![["stage", "in", "out", "out/s", "dead letters", "filtered", "busy"].map(str::to_owned)];
    for stage in &now.stages {
        let earlier = before.and_then(|before| before.stages.iter().find(|one| one.stage == stage.stage));
        let rate = earlier
            .filter(|_| seconds > 0.0)
            .map(|earlier| number((stage.rows_out.saturating_sub(earlier.rows_out) as f64 / seconds).round()));
        rows.push([
            in_table(&stage.stage),
            count(stage.rows_in),
            count(stage.rows_out),
            rate.unwrap_or_else(|| "-".to_owned()),
            count(stage.dead_letters),
            count(stage.filtered),
            duration(stage.seconds),
        ]);
    }
    table(&rows, lines);
}

fn splits(now: &PipelineStatus, lines: &mut Lines) {
    let mut open: Vec<_> = now.splits.iter().filter(|split| split.is_open).collect();
    if open.is_empty() {
        return;
    }
    open.sort_by_key(|split| std::cmp::Reverse(split.lag));
    let mut rows = vec![["split", "read", "committed", "held", "lag"].map(str::to_owned)];
    for split in open.iter().take(SPLITS_MAX) {
        let lag = split.lag.map_or_else(|| "unknown".to_owned(), count);
        rows.push([in_table(&split.split), count(split.read), count(split.committed.read), count(split.held), lag]);
    }
    table(&rows, lines);
    if open.len() > SPLITS_MAX {
        lines.push((
            Tone::Quiet,
            format!("    and {} with less lag", counted((open.len() - SPLITS_MAX) as u64, "split")),
        ));
    }
}

/// Columns below their headings: the first one to the left, numbers to the right.
fn table<const N: usize>(rows: &[[String; N]], lines: &mut Lines) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    for (at, row) in rows.iter().enumerate() {
        let mut line = format!("    {:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        lines.push((if at == 0 { Tone::Quiet } else { Tone::Plain }, line));
    }
}

/// Characters of a name in a table: the numbers behind it are to stay on the screen.
const TABLE_NAME_CHARS_MAX: usize = 40;

/// A name in a table, cut in its middle where it is long.
fn in_table(name: &str) -> String {
    shortened(printable::line(name), TABLE_NAME_CHARS_MAX).into_owned()
}

/// With the spaces of a terminal in the place of those of a page.
fn plain(line: &str) -> String {
    line.replace(['\u{a0}', '\u{202f}'], " ")
}

/// The beginning of a line that is too long.
pub(super) fn fitted(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::metrics::Phase;
    use aqpipe_engine::monitor::{AlertStatus, Committed, Health, SplitStatus, StageStatus};

    use super::*;

    fn status(rows_out: u64, uptime_seconds: f64) -> Status {
        let stage = StageStatus { stage: "impute".to_owned(), rows_in: 20, rows_out, ..StageStatus::default() };
        let split = |i: u64| SplitStatus {
            split: format!("readings/{i}"),
            is_open: true,
            lag: Some(i),
            ..SplitStatus::default()
        };
        let alert = AlertStatus {
            alert: "quality".to_owned(),
            firing: true,
            text: "the mean score is 0.6".to_owned(),
            ..AlertStatus::default()
        };
        let pipeline = PipelineStatus {
            name: "consumer".to_owned(),
            phase: Phase::Running,
            health: Health {
                alive: true,
                reasons: Vec::new(),
                ready: false,
                ready_reasons: vec!["lag 88 is above `ready_lag` 10".to_owned()],
            },
            read: 20,
            committed: Committed { read: 12, written: 10, mean_score: Some(0.6), ..Committed::default() },
            lag: Some(88),
            stages: vec![stage],
            splits: (0..30).map(split).collect(),
            alerts: vec![alert],
            uptime_seconds,
            ..PipelineStatus::default()
        };
        Status { version: "1.0".to_owned(), pipelines: vec![pipeline], ..Status::default() }
    }

    #[test]
    fn a_long_name_is_cut_in_its_middle_and_leaves_room_for_its_numbers() {
        let mut status = status(40, 12.0);
        status.pipelines[0].splits.truncate(1);
        status.pipelines[0].splits[0].split = format!("{}/the-end-17", "directory/".repeat(30));
        let lines = view(&status, None, "http://h", 80);
        let line = lines.iter().find(|(_, line)| line.contains("the-end-17")).map(|(_, line)| line.as_str());
        assert!(line.is_some_and(|line| line.contains('…') && line.ends_with(" 0")), "{lines:?}");
    }

    #[test]
    fn what_matters_is_told() {
        let lines = view(&status(40, 12.0), Some(&status(20, 10.0)), "http://h", 200);
        let text = lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n");
        for part in [
            "consumer  running, not ready",
            "not ready: lag 88 is above `ready_lag` 10",
            "  read 20 (0/s)   committed 12   written 10 (0/s)   lag 88   dead letters 0",
            "mean score 0.600",
            "alert quality since : the mean score is 0.6",
            "    impute  20   40     10 ",
            "    readings/29     0          0     0   29",
            "and 18 splits with less lag",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("readings/3 "), "those with the largest lag come first");
    }

    #[test]
    fn lines_fit_the_terminal() {
        for columns in [0, 1, 20, 80] {
            let lines = view(&status(40, 12.0), None, "http://h", columns);
            assert!(lines.iter().all(|(_, line)| line.chars().count() <= columns.max(1)), "{columns}");
            let has_lag = lines.iter().any(|(_, line)| line.contains("lag 88"));
            assert!(has_lag || columns < 20, "parts go to the next line");
        }
    }
}
