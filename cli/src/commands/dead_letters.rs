//! `aqpipe dead-letters`: the records that could not be carried, and sending them through once more.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use aqpipe_engine::ErrorKind;
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::monitor::{Metrics, summary};
use aqpipe_engine::run::{InstanceState, Outcome, REPLAY, Replayed, RunOptions, Stop, replayed, run, state};
use aqpipe_engine::stage::{BuildContext, StoredDeadLetter};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{load, run::stop_on_signals};
use crate::exit::Exit;
use crate::logging::{self, Choice, SPAN};
use crate::printer;
use crate::progress::Bars;

/// How long brokers may take to say which letters were replayed.
const ANSWER: Duration = Duration::from_secs(30);
/// The same where the letters are in files, which can be read without brokers.
const GLANCE: Duration = Duration::from_secs(3);
/// How many letters one replay takes: they are kept in memory.
const REPLAY_MOST: usize = 1_000_000;

/// List, show and replay the records that a pipeline could not carry.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A line for each that was not replayed.
    List(ListArgs),
    /// One of them, whole.
    Show(ShowArgs),
    /// Send them through the pipeline as it is now, and mark them done in the same commit as what they became. Those
    /// that still cannot be carried become dead letters again, as new ones.
    Replay(ReplayArgs),
}

/// Which letters.
#[derive(Args, Debug)]
struct Filter {
    /// Only those that this stage gave up.
    #[arg(long)]
    stage: Option<String>,
    /// Only those whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    filter: Filter,
    /// Those that were replayed too.
    #[arg(long)]
    all: bool,
    /// As JSON, an object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    file: File,
    /// What `list` calls it.
    id: String,
}

#[derive(Args, Debug)]
struct ReplayArgs {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args, Debug)]
struct File {
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
/// Where the letters cannot be read.
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
    fn takes(&self, letter: &StoredDeadLetter) -> bool {
        self.stage.as_ref().is_none_or(|stage| *stage == letter.stage)
            && self.reason.as_ref().is_none_or(|reason| letter.reason.contains(reason))
    }
}

/// Hands out each letter of a pipeline; others may write to the same place.
fn each(pipeline: &Pipeline, mut take: impl FnMut(StoredDeadLetter)) -> Result<()> {
    let Some(stage) = &pipeline.dead_letter else {
        bail!("the pipeline `{}` has no [dead_letter]", pipeline.name);
    };
    let cx = BuildContext::bare(&pipeline.name);
    let Some(mut letters) = stage.config.dead_letter_reader(&cx)? else {
        bail!("dead letters of type `{}` cannot be read back", stage.kind);
    };
    letters.each(&mut |letter| {
        if letter.pipeline == pipeline.name {
            take(letter);
        }
        Ok(())
    })?;
    Ok(())
}

/// Which letters were replayed, as far as that can be known: brokers that decide commits know it, and letters in files
/// are to be read without them too.
fn known_replays(pipeline: &Pipeline) -> Result<Replayed> {
    let in_files = pipeline.dead_letter.as_ref().is_some_and(|stage| stage.config.writes().is_empty());
    match replayed(pipeline, if in_files { GLANCE } else { ANSWER }) {
        Err(error) if in_files => {
            printer::err(&format!("warning: which of them were replayed is not known: {}", error.headline()));
            Ok(Replayed::default())
        }
        known => Ok(known?),
    }
}

fn list(pipeline: &Pipeline, args: &ListArgs) -> Result<Exit> {
    let mut done = known_replays(pipeline)?;
    let (mut listed, mut left_out) = (0_u64, 0_u64);
    each(pipeline, |letter| {
        done.look_at(&letter);
        let is_done = done.contains(&letter.id);
        if !args.filter.takes(&letter) {
            return;
        }
        if is_done && !args.all {
            left_out += 1;
            return;
        }
        listed += 1;
        if args.json {
            printer::json(&to_json(&letter, is_done).to_string());
        } else {
            printer::out(&line(&letter, is_done));
        }
    })?;
    if !args.json {
        let rest =
            if left_out > 0 { format!(", {left_out} were replayed (`--all` lists them)") } else { String::new() };
        let letters = if listed == 1 { "dead letter" } else { "dead letters" };
        printer::err(&format!("{listed} {letters}{rest}"));
    }
    Ok(Exit::Done)
}

fn line(letter: &StoredDeadLetter, done: bool) -> String {
    let place = if letter.place.is_empty() { &letter.position } else { &letter.place };
    let done = if done { "  (replayed)" } else { "" };
    format!("{}  {}  {place}  {}{done}", letter.id, letter.stage, letter.reason)
}

fn to_json(letter: &StoredDeadLetter, done: bool) -> serde_json::Value {
    let raw = letter.raw.as_deref().map(String::from_utf8_lossy);
    json!({
        "id": letter.id.to_string(),
        "pipeline": letter.pipeline,
        "split": letter.split,
        "position": letter.position,
        "place": letter.place,
        "stage": letter.stage,
        "reason": letter.reason,
        "time": letter.time,
        "bytes": letter.raw.as_ref().map(Vec::len),
        "whole": letter.whole,
        "raw": raw,
        "replayed": done,
    })
}

fn show(pipeline: &Pipeline, id: &str) -> Result<Exit> {
    let mut done = known_replays(pipeline)?;
    let mut found = None;
    each(pipeline, |letter| {
        done.look_at(&letter);
        if letter.id.to_string() == id {
            found = Some(letter);
        }
    })?;
    let Some(letter) = found else {
        printer::error(&format!("there is no dead letter `{id}`"), Some("`aqpipe dead-letters list` names them"));
        return Ok(Exit::Failed);
    };
    let length = letter.raw.as_ref().map_or_else(|| "none".to_owned(), |raw| raw.len().to_string());
    let cut = if letter.whole { "" } else { ", the beginning of more" };
    for (what, text) in [
        ("id", &*letter.id.to_string()),
        ("pipeline", &letter.pipeline),
        ("split", &letter.split),
        ("position", &letter.position),
        ("place", &letter.place),
        ("stage", &letter.stage),
        ("reason", &letter.reason),
        ("time", letter.time.as_deref().unwrap_or("unknown")),
        ("replayed", if done.contains(&letter.id) { "yes" } else { "no" }),
        ("bytes", &format!("{length}{cut}")),
    ] {
        printer::out(&format!("{what:<9} {text}"));
    }
    if let Some(raw) = &letter.raw {
        printer::out("");
        // A line of the record is not to look like one of these: from the second one on it is indented.
        let text = String::from_utf8_lossy(raw);
        for (number, line) in text.lines().enumerate() {
            printer::out(&format!("{}{line}", if number == 0 { "" } else { "    " }));
        }
    }
    Ok(Exit::Done)
}

/// Why a letter cannot be sent through once more.
fn hindrance(pipeline: &Pipeline, letter: &StoredDeadLetter) -> Option<&'static str> {
    match (&letter.raw, letter.whole) {
        (None, _) => Some("their bytes are not known"),
        (_, false) => Some("they are only the beginning of a record"),
        // What the sink gave up is as it would have been written, and not as it was read. Where source and sink are of
        // one type, both are the same.
        _ if letter.stage == pipeline.sink.label && pipeline.sink.kind != pipeline.source.kind => {
            Some("the sink gave them up, and their bytes are its own")
        }
        _ => None,
    }
}

fn replay(pipeline: &Pipeline, filter: &Filter) -> Result<Exit> {
    let mut done = replayed(pipeline, ANSWER)?;
    let mut letters = Vec::new();
    let mut left: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
    let mut too_many = 0_u64;
    each(pipeline, |letter| {
        done.look_at(&letter);
        if done.contains(&letter.id) || !filter.takes(&letter) {
            return;
        }
        match hindrance(pipeline, &letter) {
            Some(why) => *left.entry(why).or_default() += 1,
            None if letters.len() >= REPLAY_MOST => too_many += 1,
            None => letters.push(letter),
        }
    })?;
    for (why, count) in &left {
        printer::err(&format!("dead letters that are not replayed: {count}, because {why}"));
    }
    if too_many > 0 {
        printer::err(&format!("dead letters that are left for the next replay: {too_many}"));
    }
    // One that died may have left output that is decided and not visible, or rows that are held back.
    let unsettled = |one: &InstanceState| one.instance == REPLAY && one.unsettled;
    if letters.is_empty() && !done.is_interrupted() && !state(pipeline, ANSWER)?.instances.iter().any(unsettled) {
        printer::err("nothing to replay");
        return Ok(Exit::Done);
    }
    let bars = Bars::new();
    logging::start(std::slice::from_ref(pipeline), &Choice { file: None, json: false, level: None }, &bars)?;
    let span = tracing::info_span!(SPAN, name = %pipeline.name);
    let _entered = span.enter();
    tracing::info!("dead letters to be replayed: {}", letters.len());
    let (metrics, stop) = (Arc::new(Metrics::default()), Arc::new(Stop::default()));
    stop_on_signals(vec![Arc::clone(&stop)])?;
    let options =
        RunOptions { replay: Some(Arc::new(letters)), metrics: Arc::clone(&metrics), stop, ..RunOptions::default() };
    let ended = run(pipeline, &options);
    summary(&pipeline.name, &metrics.snapshot()).iter().for_each(|line| printer::err(line));
    match ended {
        Ok(done) => {
            let stopped = done.ended == Outcome::Stopped;
            printer::err(if stopped { "stopped; another replay goes on from here" } else { "replayed" });
            Ok(Exit::Done)
        }
        Err(error) => {
            printer::failure(Some(&pipeline.name), &error);
            Ok(if error.kind() == ErrorKind::Config { Exit::Config } else { Exit::Failed })
        }
    }
}
