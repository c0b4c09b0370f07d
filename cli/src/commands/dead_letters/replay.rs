//! `replay`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use aqpipe_engine::ErrorKind;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::monitor::{Metrics, summary};
use aqpipe_engine::run::{InstanceState, Outcome, REPLAY, RunOptions, replayed, run, state};
use aqpipe_engine::stage::StoredDeadLetter;

use super::args::Filter;
use super::read::{METADATA_TIMEOUT, for_each_dead_letter};
use crate::exit::Exit;
use crate::logging::{self, LogOverrides, pipeline_span};
use crate::printer;
use crate::progress::ProgressBars;
use crate::signals::handle_signals;
use crate::terminal;

/// How many dead letters one replay takes: they are kept in memory.
const REPLAYED_DEAD_LETTERS_MAX: usize = 1_000_000;

/// Why a dead letter cannot be replayed.
fn replay_obstacle(pipeline: &Pipeline, dead_letter: &StoredDeadLetter) -> Option<&'static str> {
    match (&dead_letter.raw, dead_letter.whole) {
        (None, _) if dead_letter.records.is_empty() => Some("their bytes are unknown"),
        (_, false) => Some("they are truncated"),
        // The sink's dead letters hold records in the format of the sink. The source reads that format only where both
        // are of one type.
        _ if dead_letter.stage == pipeline.sink.label && pipeline.sink.kind != pipeline.source.kind => {
            Some("they come from the sink, in a format that the source does not read")
        }
        _ => None,
    }
}

pub(super) fn replay(pipeline: &Pipeline, filter: &Filter) -> Result<Exit> {
    let mut replays = replayed(pipeline, METADATA_TIMEOUT)?;
    let mut dead_letters = Vec::new();
    let mut skipped: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut postponed = 0_u64;
    for_each_dead_letter(pipeline, |dead_letter| {
        replays.compare_container(&dead_letter);
        if replays.contains(&dead_letter.id) || !filter.matches(&dead_letter) {
            return;
        }
        match replay_obstacle(pipeline, &dead_letter) {
            Some(obstacle) => *skipped.entry(obstacle).or_default() += 1,
            None if dead_letters.len() >= REPLAYED_DEAD_LETTERS_MAX => postponed += 1,
            None => dead_letters.push(dead_letter),
        }
    })?;
    for (obstacle, count) in &skipped {
        printer::err(&format!("dead letters that are not replayed: {count}, because {obstacle}"));
    }
    if postponed > 0 {
        printer::err(&format!("dead letters that are left for the next replay: {postponed}"));
    }
    // A replay that died may have left output that is committed and not visible, or held rows.
    let has_pending_commit = |one: &InstanceState| one.instance == REPLAY && one.pending_commit;
    if dead_letters.is_empty()
        && !replays.is_interrupted()
        && !state(pipeline, METADATA_TIMEOUT)?.instances.iter().any(has_pending_commit)
    {
        printer::err("nothing to replay");
        return Ok(Exit::Done);
    }
    let bars = ProgressBars::new();
    let logging = logging::start(std::slice::from_ref(pipeline), &LogOverrides::default(), &bars)?;
    let span = pipeline_span(&pipeline.name);
    let _entered = span.enter();
    tracing::info!("dead letters to be replayed: {}", dead_letters.len());
    let (metrics, cancellation) = (Arc::new(Metrics::default()), CancellationToken::default());
    handle_signals(vec![cancellation.clone()], logging.files())?;
    let options = RunOptions {
        replay: Some(Arc::new(dead_letters)),
        metrics: Arc::clone(&metrics),
        cancellation,
        ..RunOptions::default()
    };
    let ended = run(pipeline, &options);
    drop(logging);
    summary(&pipeline.name, &metrics.snapshot(), terminal::columns().unwrap_or(80))
        .iter()
        .for_each(|line| printer::err(line));
    match ended {
        Ok(summary) => {
            let stopped = summary.outcome == Outcome::Stopped;
            printer::err(if stopped { "stopped; another replay goes on from here" } else { "replayed" });
            Ok(Exit::Done)
        }
        Err(error) => {
            printer::failure(Some(&pipeline.name), &error);
            Ok(if error.kind() == ErrorKind::Config { Exit::Config } else { Exit::Failed })
        }
    }
}
