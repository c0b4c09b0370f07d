//! `aqpipe dead-letters`: lists, shows and replays the records that a pipeline could not process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use aqpipe_engine::ErrorKind;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::monitor::{Metrics, summary};
use aqpipe_engine::run::{InstanceState, Outcome, REPLAY, Replayed, RunOptions, replayed, run, state};
use aqpipe_engine::stage::{BuildContext, StoredDeadLetter};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{load, run::stop_on_signals};
use crate::exit::Exit;
use crate::logging::{self, LogOverrides, PIPELINE_SPAN};
use crate::printer;
use crate::progress::ProgressBars;

/// How long brokers may take to return the commit metadata, which says which dead letters were replayed.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where dead letters are in files, which are listed without that metadata too.
const OPTIONAL_METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// How many dead letters one replay takes: they are kept in memory.
const REPLAYED_DEAD_LETTERS_MAX: usize = 1_000_000;

/// List, show and replay the records that a pipeline could not process.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the dead letters that were not replayed, one a line.
    List(ListArgs),
    /// Show one dead letter with its bytes.
    Show(ShowArgs),
    /// Send dead letters through the pipeline as it is now. The commit of their output also marks them as replayed. A
    /// record that still cannot be processed becomes a new dead letter.
    Replay(ReplayArgs),
}

/// The selection of dead letters.
#[derive(Args, Debug)]
struct Filter {
    /// Only those of this stage.
    #[arg(long)]
    stage: Option<String>,
    /// Only those whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    file: PipelineFile,
    #[command(flatten)]
    filter: Filter,
    /// Include those that were replayed.
    #[arg(long)]
    all: bool,
    /// As JSON, an object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    file: PipelineFile,
    /// The id in the output of `list`.
    id: String,
}

#[derive(Args, Debug)]
struct ReplayArgs {
    #[command(flatten)]
    file: PipelineFile,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args, Debug)]
struct PipelineFile {
    /// The pipeline: a TOML file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Set an option instead of what the file says.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Where the dead letters cannot be read.
pub(crate) fn dead_letters(args: &DeadLettersArgs) -> Result<Exit> {
    let file = match &args.command {
        Command::List(args) => &args.file,
        Command::Show(args) => &args.file,
        Command::Replay(args) => &args.file,
    };
    let files = load::Files { files: vec![file.file.clone()], set: file.set.clone() };
    let Some(pipelines) = load::load(&files)? else { return Ok(Exit::Config) };
    let Some(pipeline) = pipelines.into_iter().next() else { return Ok(Exit::Config) };
    match &args.command {
        Command::List(args) => list(&pipeline, args),
        Command::Show(args) => show(&pipeline, &args.id),
        Command::Replay(args) => replay(&pipeline, &args.filter),
    }
}

impl Filter {
    fn matches(&self, dead_letter: &StoredDeadLetter) -> bool {
        self.stage.as_ref().is_none_or(|stage| *stage == dead_letter.stage)
            && self.reason.as_ref().is_none_or(|reason| dead_letter.reason.contains(reason))
    }
}

/// Calls `take` with each dead letter of the pipeline. Other pipelines may write to the same destination.
fn for_each_dead_letter(pipeline: &Pipeline, mut take: impl FnMut(StoredDeadLetter)) -> Result<()> {
    let Some(stage) = &pipeline.dead_letter else {
        bail!("the pipeline `{}` has no [dead_letter]", pipeline.name);
    };
    let cx = BuildContext::bare(&pipeline.name);
    let Some(mut dead_letters) = stage.config.dead_letter_reader(&cx)? else {
        bail!("dead letters of type `{}` cannot be read back", stage.kind);
    };
    dead_letters.each(&mut |dead_letter| {
        if dead_letter.pipeline == pipeline.name {
            take(dead_letter);
        }
        Ok(())
    })?;
    Ok(())
}

/// The dead letters that were replayed. Dead letters in files are listed without that knowledge, where the brokers that
/// keep it do not answer.
fn replays_if_known(pipeline: &Pipeline) -> Result<Replayed> {
    let in_files = pipeline.dead_letter.as_ref().is_some_and(|stage| stage.config.writes().is_empty());
    match replayed(pipeline, if in_files { OPTIONAL_METADATA_TIMEOUT } else { METADATA_TIMEOUT }) {
        Err(error) if in_files => {
            printer::err(&format!("warning: it is unknown which of them were replayed: {}", error.headline()));
            Ok(Replayed::default())
        }
        known => Ok(known?),
    }
}

fn list(pipeline: &Pipeline, args: &ListArgs) -> Result<Exit> {
    let mut replays = replays_if_known(pipeline)?;
    let (mut listed, mut hidden) = (0_u64, 0_u64);
    for_each_dead_letter(pipeline, |dead_letter| {
        replays.compare_container(&dead_letter);
        let is_replayed = replays.contains(&dead_letter.id);
        if !args.filter.matches(&dead_letter) {
            return;
        }
        if is_replayed && !args.all {
            hidden += 1;
            return;
        }
        listed += 1;
        if args.json {
            printer::json(&json_line(&dead_letter, is_replayed).to_string());
        } else {
            printer::out(&text_line(&dead_letter, is_replayed));
        }
    })?;
    if !args.json {
        let rest = if hidden > 0 { format!(", {hidden} were replayed (`--all` lists them)") } else { String::new() };
        let noun = if listed == 1 { "dead letter" } else { "dead letters" };
        printer::err(&format!("{listed} {noun}{rest}"));
    }
    Ok(Exit::Done)
}

fn text_line(dead_letter: &StoredDeadLetter, is_replayed: bool) -> String {
    let place = if dead_letter.place.is_empty() { &dead_letter.position } else { &dead_letter.place };
    let replayed = if is_replayed { "  (replayed)" } else { "" };
    format!("{}  {}  {place}  {}{replayed}", dead_letter.id, dead_letter.stage, dead_letter.reason)
}

fn json_line(dead_letter: &StoredDeadLetter, is_replayed: bool) -> serde_json::Value {
    let raw = dead_letter.raw.as_deref().map(String::from_utf8_lossy);
    json!({
        "id": dead_letter.id.to_string(),
        "pipeline": dead_letter.pipeline,
        "split": dead_letter.split,
        "position": dead_letter.position,
        "place": dead_letter.place,
        "stage": dead_letter.stage,
        "reason": dead_letter.reason,
        "time": dead_letter.time,
        "bytes": dead_letter.raw.as_ref().map(Vec::len),
        "truncated": !dead_letter.whole,
        "raw": raw,
        "replayed": is_replayed,
    })
}

fn show(pipeline: &Pipeline, id: &str) -> Result<Exit> {
    let mut replays = replays_if_known(pipeline)?;
    let mut found = None;
    for_each_dead_letter(pipeline, |dead_letter| {
        replays.compare_container(&dead_letter);
        if dead_letter.id.to_string() == id {
            found = Some(dead_letter);
        }
    })?;
    let Some(dead_letter) = found else {
        printer::error(&format!("there is no dead letter `{id}`"), Some("`aqpipe dead-letters list` names them"));
        return Ok(Exit::Failed);
    };
    let length = dead_letter.raw.as_ref().map_or_else(|| "none".to_owned(), |raw| raw.len().to_string());
    let truncation = if dead_letter.whole { "" } else { ", truncated" };
    for (what, text) in [
        ("id", &*dead_letter.id.to_string()),
        ("pipeline", &dead_letter.pipeline),
        ("split", &dead_letter.split),
        ("position", &dead_letter.position),
        ("place", &dead_letter.place),
        ("stage", &dead_letter.stage),
        ("reason", &dead_letter.reason),
        ("time", dead_letter.time.as_deref().unwrap_or("unknown")),
        ("replayed", if replays.contains(&dead_letter.id) { "yes" } else { "no" }),
        ("bytes", &format!("{length}{truncation}")),
    ] {
        printer::out(&format!("{what:<9} {text}"));
    }
    if let Some(raw) = &dead_letter.raw {
        printer::out("");
        // From the second line on the record is indented, so that none of its lines looks like one of those above.
        let text = String::from_utf8_lossy(raw);
        for (number, line) in text.lines().enumerate() {
            printer::out(&format!("{}{line}", if number == 0 { "" } else { "    " }));
        }
    }
    Ok(Exit::Done)
}

/// Why a dead letter cannot be replayed.
fn replay_obstacle(pipeline: &Pipeline, dead_letter: &StoredDeadLetter) -> Option<&'static str> {
    match (&dead_letter.raw, dead_letter.whole) {
        (None, _) => Some("their bytes are unknown"),
        (_, false) => Some("they are truncated"),
        // The sink's dead letters hold records in the format of the sink. The source reads that format only where both
        // are of one type.
        _ if dead_letter.stage == pipeline.sink.label && pipeline.sink.kind != pipeline.source.kind => {
            Some("they come from the sink, in a format that the source does not read")
        }
        _ => None,
    }
}

fn replay(pipeline: &Pipeline, filter: &Filter) -> Result<Exit> {
    let mut replays = replayed(pipeline, METADATA_TIMEOUT)?;
    let mut dead_letters = Vec::new();
    let mut skipped: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
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
    logging::start(std::slice::from_ref(pipeline), &LogOverrides { file: None, json: false, level: None }, &bars)?;
    let span = tracing::info_span!(PIPELINE_SPAN, name = %pipeline.name);
    let _entered = span.enter();
    tracing::info!("dead letters to be replayed: {}", dead_letters.len());
    let (metrics, cancellation) = (Arc::new(Metrics::default()), CancellationToken::default());
    stop_on_signals(vec![cancellation.clone()])?;
    let options = RunOptions {
        replay: Some(Arc::new(dead_letters)),
        metrics: Arc::clone(&metrics),
        cancellation,
        ..RunOptions::default()
    };
    let ended = run(pipeline, &options);
    summary(&pipeline.name, &metrics.snapshot()).iter().for_each(|line| printer::err(line));
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
