//! Where a pipeline stands, for people: read from its ledgers and from the notes of its coordinator, changing neither.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::instance;
use super::ledger::{Ledger, State as LedgerState};
use super::metadata::{self, LastNote, RunNote};
use super::replay::{REPLAY, Replayed};
use super::runner::{self, RunOptions};
use crate::config::Pipeline;
use crate::error::Result;
use crate::monitor::Counts;
use crate::stage::{BuildContext, CommitMetadata, SourceConfig, SplitState, TransactionalBackend};

/// How often the end of a wait for a broker is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Where a pipeline stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PipelineState {
    /// Its name.
    pub pipeline: String,
    /// Its stages in order.
    pub shape: String,
    /// Who decides its commits: a cluster's id where transactions do, nothing where ledger files do.
    pub decided_by: Option<String>,
    /// Why the brokers could not be asked, where they had to be.
    pub unreachable: Option<String>,
    /// The processes that ran it, by name.
    pub instances: Vec<InstanceState>,
    /// Its splits, by name.
    pub splits: Vec<SplitStatus>,
}

/// A process that runs or ran a pipeline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InstanceState {
    /// Its name.
    pub instance: String,
    /// Whether it runs now on this machine.
    pub running: bool,
    /// How many times the pipeline was run from its beginning, this run included.
    pub run: u64,
    /// Whether the input of the run has ended.
    pub done: bool,
    /// Whether there is a commit whose output is to be made visible or removed by the next start.
    pub unsettled: bool,
    /// Records read by this run, as far as commits go.
    pub read: u64,
    /// Records written.
    pub written: u64,
    /// Dead letters.
    pub dead: u64,
    /// Records left out as configured.
    pub filtered: u64,
    /// When it committed last, in milliseconds since 1970.
    pub last_commit_ms: Option<u64>,
}

/// Where a split stands.
#[derive(Clone, Debug, Serialize)]
pub struct SplitStatus {
    /// Its name.
    pub split: String,
    /// An offset, or a byte.
    pub position: u64,
    /// The same for a person, where that says more: `data.csv:17`.
    pub place: Option<String>,
    /// Records before it.
    pub records: u64,
    /// Records held back by transforms.
    pub held: u64,
    /// Bytes of state saved there.
    pub state_bytes: u64,
    /// When that was committed, in milliseconds since 1970.
    pub committed_ms: u64,
}

/// Where a pipeline stands. Brokers are asked for so long at most.
///
/// # Errors
/// Where a ledger cannot be read.
pub fn state(pipeline: &Pipeline, at_most: Duration) -> Result<PipelineState> {
    let mut view =
        PipelineState { pipeline: pipeline.name.clone(), shape: pipeline.shape.clone(), ..PipelineState::default() };
    let source = &*pipeline.source.config;
    let mut writers: Vec<Option<String>> = Vec::new();
    let mut splits: BTreeMap<String, SplitStatus> = BTreeMap::new();
    for (id, dir, running) in instance::all(&pipeline.settings.state_dir, &pipeline.name)? {
        let state = Ledger::look(&dir.join("ledger"))?;
        writers.push(state.elsewhere.as_ref().map(|elsewhere| elsewhere.writer.clone()));
        view.instances.push(of_ledger(&id, running, &state));
        for (split, at) in &state.splits {
            let known = splits.get(split).is_some_and(|known| known.committed_ms >= at.time_ms);
            if !known {
                splits.insert(split.clone(), split_of(source, split, &at.start, at.held, at.time_ms));
            }
        }
    }
    if let Some(coordinator) = coordinator(pipeline) {
        match look(&*coordinator, &pipeline.name, at_most) {
            Ok(Some((place, found))) if !found.is_empty() => {
                view.decided_by = Some(place);
                of_notes(source, &found, &writers, &mut view.instances, &mut splits)?;
            }
            Ok(_) => {}
            Err(error) if writers.iter().all(Option::is_some) => view.unreachable = Some(error.to_string()),
            Err(_) => {}
        }
    }
    view.splits = splits.into_values().collect();
    Ok(view)
}

/// Which dead letters of a pipeline were replayed. Brokers are asked for so long at most.
///
/// # Errors
/// Where that cannot be read.
pub fn replayed(pipeline: &Pipeline, at_most: Duration) -> Result<Replayed> {
    if let Some(coordinator) = coordinator(pipeline)
        && let Some((_, found)) = look(&*coordinator, &pipeline.name, at_most)?
        && let Some(note) = metadata::splits(&found).filter_map(Result::ok).find(|note| note.split == REPLAY)
    {
        return Replayed::from_start(Some(&note.start));
    }
    let ledger = pipeline.settings.state_dir.join(&pipeline.name).join(REPLAY).join("ledger");
    let state = if ledger.exists() { Ledger::look(&ledger)? } else { LedgerState::default() };
    Replayed::from_start(state.splits.get(REPLAY).map(|split| &split.start))
}

fn split_of(source: &dyn SourceConfig, split: &str, start: &SplitState, held: u64, committed_ms: u64) -> SplitStatus {
    SplitStatus {
        split: split.to_owned(),
        position: start.position.offset,
        place: if split == REPLAY { None } else { source.describe_state(start) },
        records: start.position.records,
        held,
        state_bytes: start.state.iter().map(|state| state.len() as u64).sum(),
        committed_ms,
    }
}

fn of_ledger(id: &str, running: bool, state: &LedgerState) -> InstanceState {
    let begin = state.begin.as_ref();
    let mut instance = InstanceState {
        instance: id.to_owned(),
        running,
        run: begin.map_or(0, |begin| begin.run),
        done: state.done,
        unsettled: (state.doubt.is_some() || !state.unfinished.is_empty()) && !running,
        last_commit_ms: state.splits.values().map(|split| split.time_ms).max(),
        ..InstanceState::default()
    };
    count(&mut instance, &state.counts);
    instance
}

fn count(instance: &mut InstanceState, counts: &Counts) {
    (instance.read, instance.written) = (counts.read, counts.written);
    (instance.dead, instance.filtered) = (counts.dead, counts.filtered);
}

/// Notes are as new as a ledger or newer.
fn of_notes(
    source: &dyn SourceConfig,
    notes: &CommitMetadata,
    writers: &[Option<String>],
    instances: &mut Vec<InstanceState>,
    splits: &mut BTreeMap<String, SplitStatus>,
) -> Result<()> {
    let mut newest_run = 0;
    for writer in notes.keys().filter_map(|key| key.strip_prefix("run/")) {
        let Some(RunNote { begin, done }) = metadata::find(notes, &metadata::run_key(writer))? else { continue };
        let last: LastNote = metadata::find(notes, &metadata::last_key(writer))?.unwrap_or_default();
        // Others may run on other machines.
        let at = writers.iter().position(|known| known.as_deref() == Some(writer)).unwrap_or_else(|| {
            let instance = if writer.is_empty() { "0" } else { writer };
            instances.push(InstanceState { instance: instance.to_owned(), ..InstanceState::default() });
            instances.len() - 1
        });
        let instance = &mut instances[at];
        (instance.run, instance.done) = (begin.run, done);
        instance.last_commit_ms = Some(last.time_ms);
        count(instance, &last.counts);
        newest_run = newest_run.max(begin.run);
    }
    for note in metadata::splits(notes) {
        let note = note?;
        let known = splits.get(&note.split).is_some_and(|known| known.committed_ms > note.time_ms);
        if (note.run == newest_run || note.split == REPLAY) && !known {
            let split = split_of(source, &note.split, &note.start, note.held, note.time_ms);
            splits.insert(note.split, split);
        }
    }
    Ok(())
}

/// Who can decide the pipeline's commits. A stage that cannot be built here (its file is gone) is passed over.
fn coordinator(pipeline: &Pipeline) -> Option<Arc<dyn TransactionalBackend>> {
    let cx = runner::context(pipeline, &RunOptions::default(), ("0", "0"), &std::env::temp_dir());
    let of = |label: &str| cx.for_stage(label);
    let source = pipeline.source.config.build(&cx).ok().and_then(|source| source.transactional_backend());
    let sink = pipeline.sink.config.build(&of(&pipeline.sink.label)).ok().and_then(|sink| sink.transactional_backend());
    let dead = pipeline
        .dead_letter
        .as_ref()
        .and_then(|stage| stage.config.build(&of("dead_letter")).ok()?.transactional_backend());
    source.or(sink).or(dead)
}

fn look(
    coordinator: &dyn TransactionalBackend,
    pipeline: &str,
    at_most: Duration,
) -> Result<Option<(String, CommitMetadata)>> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let until = Instant::now() + at_most;
            while !done.load(Ordering::Acquire) {
                if Instant::now() >= until {
                    return coordinator.abandon();
                }
                std::thread::sleep(LOOK);
            }
        });
        let found = coordinator.peek(pipeline);
        done.store(true, Ordering::Release);
        found
    })
}
