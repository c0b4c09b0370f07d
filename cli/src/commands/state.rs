//! `aqpipe state`: the committed state of pipelines.

use std::time::Duration;

use anyhow::Result;
use aqpipe_engine::monitor::changed;
use aqpipe_engine::run::{InstanceState, PipelineState, SplitStatus, state as state_of};
use clap::Args;
use jiff::Timestamp;

use super::load;
use crate::exit::Exit;
use crate::printer;

/// Show the committed state of pipelines: offsets, the last commit, held rows, the lag behind it. Changes nothing; they may be
/// running.
#[derive(Args, Debug)]
pub(crate) struct StateArgs {
    #[command(flatten)]
    files: load::Files,
    /// As JSON, an object for each pipeline. Numbers are called as in `/api/status` of a run.
    #[arg(long)]
    json: bool,
    /// Seconds that brokers may take to answer.
    #[arg(long, value_name = "SECS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Runs the command.
///
/// # Errors
/// Where a ledger cannot be read.
pub(crate) fn state(args: &StateArgs) -> Result<Exit> {
    let Some(pipelines) = load::load(&args.files)? else { return Ok(Exit::Config) };
    let mut exit = Exit::Done;
    for pipeline in &pipelines {
        let view = state_of(pipeline, Duration::from_secs(args.timeout))?;
        if let Some(reason) = &view.unreachable {
            printer::error(
                &format!("{}: {reason}", view.pipeline),
                Some("the following is from the state directory alone"),
            );
            exit = Exit::Failed;
        }
        if args.json {
            printer::json(&serde_json::to_string(&view)?);
        } else {
            report(&view).iter().for_each(|line| printer::out(line));
        }
    }
    Ok(exit)
}

fn report(view: &PipelineState) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", view.pipeline, view.topology)];
    if view.instances.is_empty() && view.splits.is_empty() {
        lines.push("  has not run yet".to_owned());
        return lines;
    }
    lines.push(match &view.transaction_cluster {
        Some(cluster) => format!("  commits    by transactions of cluster {cluster}"),
        None => "  commits    by ledger files".to_owned(),
    });
    lines.extend(view.instances.iter().map(instance));
    lines.extend(view.splits.iter().map(split));
    lines
}

fn instance(one: &InstanceState) -> String {
    let what = match (one.running, one.done, one.pending_commit) {
        (true, ..) => "running",
        (.., true) => "stopped; the next start finishes its last commit",
        (_, true, _) => "completed",
        _ => "stopped",
    };
    format!(
        "  instance   {}: run {}, {what}; read {}{}, written {}, dead letters {}, filtered {}; last commit {}",
        one.instance,
        one.run,
        one.read,
        changed(one.made, one.merged),
        one.written,
        one.dead_letters,
        one.filtered,
        one.last_commit_ms.map_or_else(|| "none".to_owned(), utc_time)
    )
}

fn split(one: &SplitStatus) -> String {
    format!(
        "  split       {}: at {}, {} records, {} held, {}{} bytes of state, committed {}",
        one.split,
        one.place.clone().unwrap_or_else(|| one.position.to_string()),
        one.records,
        one.held,
        one.lag_committed.map_or_else(String::new, |lag| format!("lag {lag}, ")),
        one.state_bytes,
        utc_time(one.committed_ms)
    )
}

fn utc_time(ms: u64) -> String {
    let timestamp = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(
        || "at an unknown time".to_owned(),
        |timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
