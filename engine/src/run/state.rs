//! Where a pipeline stands, for people: read from its ledgers and from the commit metadata of its transactions. Changes
//! neither.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::commit::{self, Key, Ledger, LedgerState, ProgressValue, RunValue};
use super::instance;
use super::replay::{REPLAY, Replayed};
use crate::config::Pipeline;
use crate::error::Result;
use crate::metrics::Counts;
use crate::record::SplitId;
use crate::stage::{BuildContext, CommitMetadata, OffsetStore, SourceConfig, SplitState, TransactionalBackend};

/// Where a pipeline stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PipelineState {
    /// Its name.
    pub pipeline: String,
    /// The types of its stages in order.
    pub topology: String,
    /// The id of the cluster whose transactions commit; `None` where ledger files do.
    pub transaction_cluster: Option<String>,
    /// Why the brokers could not be asked, where they had to be.
    pub unreachable: Option<String>,
    /// The processes that ran it, by name.
    pub instances: Vec<InstanceState>,
    /// Records that wait behind what was read, in all splits together, where that of each is known. While a process reads, it alone
    /// knows what it has read.
    pub lag: Option<u64>,
    /// Records that wait behind the last commit, in all splits together, where that of each is known.
    pub lag_committed: Option<u64>,
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
    pub pending_commit: bool,
    /// Records read by this run, as far as commits go.
    pub read: u64,
    /// Records written.
    pub written: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Records left out as configured.
    pub filtered: u64,
    /// Rows that transforms made beside those that were read.
    pub made: u64,
    /// Rows that transforms merged into others.
    pub merged: u64,
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
    /// Records that wait behind what was read, where that is known: nothing is read beyond the position while no process runs.
    pub lag: Option<u64>,
    /// Records that wait behind the position, where the source knows and its brokers answered in time.
    pub lag_committed: Option<u64>,
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
    let (name, topology) = (pipeline.name.clone(), pipeline.topology.clone());
    let mut view = PipelineState { pipeline: name, topology, ..PipelineState::default() };
    let source = &*pipeline.source.config;
    let mut writers: Vec<Option<String>> = Vec::new();
    let mut splits: BTreeMap<String, SplitStatus> = BTreeMap::new();
    for (id, dir, running) in instance::all(&pipeline.settings.state_dir, &pipeline.name)? {
        let state = Ledger::peek(&dir.join("ledger"))?;
        writers.push(state.delegated_to.as_ref().map(|there| there.writer.clone()));
        view.instances.push(of_ledger(&id, running, &state));
        for (id, split) in &state.splits {
            let known = splits.get(id).is_some_and(|known| known.committed_ms >= split.time_ms);
            if !known {
                splits.insert(id.clone(), status(source, id, &split.state, split.held, split.time_ms));
            }
        }
    }
    let here = view.instances.len();
    let until = Instant::now() + at_most;
    let built = build(pipeline, until);
    if let Some(backend) = &built.backend {
        match backend.peek(&pipeline.name) {
            Ok(Some((cluster, found))) if !found.is_empty() => {
                view.transaction_cluster = Some(cluster);
                add_metadata(source, &found, &writers, &mut view.instances, &mut splits)?;
            }
            Ok(_) => {}
            Err(error) if writers.iter().all(Option::is_some) => view.unreachable = Some(error.to_string()),
            Err(_) => {}
        }
    }
    view.splits = splits.into_values().collect();
    if let Some(offsets) = &built.offsets {
        // A process of another machine may run, and would not be seen from here.
        let may_run = view.instances.len() > here || view.instances.iter().any(|instance| instance.running);
        let mut read: Vec<&mut SplitStatus> = view.splits.iter_mut().filter(|split| split.split != REPLAY).collect();
        let ids: Vec<SplitId> = read.iter().map(|split| split.split.as_str().into()).collect();
        for (split, end) in read.iter_mut().zip(offsets.ends(&ids, until)) {
            split.lag_committed = end.map(|end| end.saturating_sub(split.position));
            split.lag = split.lag_committed.filter(|_| !may_run);
        }
        let lag_committed = read.iter().map(|split| split.lag_committed).sum::<Option<u64>>();
        view.lag_committed = lag_committed.filter(|_| !ids.is_empty());
        view.lag = view.lag_committed.filter(|_| !may_run);
    }
    Ok(view)
}

/// Which dead letters of a pipeline were replayed. Brokers are asked for so long at most.
///
/// # Errors
/// Where that cannot be read.
pub fn replayed(pipeline: &Pipeline, at_most: Duration) -> Result<Replayed> {
    if let Some(backend) = build(pipeline, Instant::now() + at_most).backend
        && let Some((_, found)) = backend.peek(&pipeline.name)?
        && let Some((_, value)) = commit::splits(&found).filter_map(Result::ok).find(|(_, value)| value.split == REPLAY)
    {
        return Replayed::from_start(Some(&value.state));
    }
    let ledger = pipeline.settings.state_dir.join(&pipeline.name).join(REPLAY).join("ledger");
    let state = if ledger.exists() { Ledger::peek(&ledger)? } else { LedgerState::default() };
    Replayed::from_start(state.splits.get(REPLAY).map(|split| &split.state))
}

fn status(source: &dyn SourceConfig, split: &str, state: &SplitState, held: u64, committed_ms: u64) -> SplitStatus {
    SplitStatus {
        split: split.to_owned(),
        position: state.position.offset,
        place: if split == REPLAY { None } else { source.describe_state(state) },
        records: state.position.records,
        held,
        lag: None,
        lag_committed: None,
        state_bytes: state.state_bytes() as u64,
        committed_ms,
    }
}

fn of_ledger(id: &str, running: bool, state: &LedgerState) -> InstanceState {
    let mut instance = InstanceState {
        instance: id.to_owned(),
        running,
        run: state.record.as_ref().map_or(0, |record| record.run),
        done: state.completed,
        pending_commit: (state.in_doubt.is_some() || !state.unfinished.is_empty()) && !running,
        last_commit_ms: state.splits.values().map(|split| split.time_ms).max(),
        ..InstanceState::default()
    };
    count(&mut instance, &state.counts);
    instance
}

fn count(instance: &mut InstanceState, counts: &Counts) {
    (instance.read, instance.written) = (counts.read, counts.written);
    (instance.dead_letters, instance.filtered) = (counts.dead, counts.filtered);
    (instance.made, instance.merged) = (counts.made, counts.merged);
}

/// Commit metadata is as new as a ledger, or newer.
fn add_metadata(
    source: &dyn SourceConfig,
    metadata: &CommitMetadata,
    writers: &[Option<String>],
    instances: &mut Vec<InstanceState>,
    splits: &mut BTreeMap<String, SplitStatus>,
) -> Result<()> {
    let mut newest_run = 0;
    for writer in commit::writers(metadata) {
        let key = Key::Run { writer: writer.clone() };
        let Some(RunValue { record, completed }) = commit::get(metadata, &key)? else { continue };
        let key = Key::Progress { writer: writer.clone() };
        let progress: ProgressValue = commit::get(metadata, &key)?.unwrap_or_default();
        // Others may run on other machines.
        let at = writers.iter().position(|known| known.as_deref() == Some(&*writer)).unwrap_or_else(|| {
            let instance = if writer.is_empty() { "0".to_owned() } else { writer };
            instances.push(InstanceState { instance, ..InstanceState::default() });
            instances.len() - 1
        });
        let instance = &mut instances[at];
        (instance.run, instance.done) = (record.run, completed);
        instance.last_commit_ms = Some(progress.time_ms);
        count(instance, &progress.counts);
        newest_run = newest_run.max(record.run);
    }
    for value in commit::splits(metadata) {
        let (group, value) = value?;
        let known = splits.get(&value.split).is_some_and(|known| known.committed_ms > value.time_ms);
        if (value.run == newest_run || value.split == REPLAY) && !known {
            let state = commit::split_state(metadata, &group, &value);
            let status = status(source, &value.split, &state, value.held, value.time_ms);
            splits.insert(value.split, status);
        }
    }
    Ok(())
}

/// What knows of a pipeline beside its ledgers.
struct Built {
    /// The backend whose transactions commit it.
    backend: Option<Arc<dyn TransactionalBackend>>,
    /// Where its source keeps offsets.
    offsets: Option<Arc<dyn OffsetStore>>,
}

/// Builds the stages that know more, which wait for brokers until then. A stage that cannot be built here (its file is gone) is
/// passed over.
fn build(pipeline: &Pipeline, until: Instant) -> Built {
    let cx = BuildContext::bare(&pipeline.name).with_instance("0", "0", &std::env::temp_dir());
    cx.cancellation().abandon_at(until);
    let source = pipeline.source.config.build(&cx.for_stage(&pipeline.source.label)).ok();
    let offsets = source.as_ref().and_then(|source| source.offset_store());
    let source = source.and_then(|source| source.transactional_backend());
    let sink = pipeline.sink.config.build(&cx.for_stage(&pipeline.sink.label)).ok();
    let sink = sink.and_then(|sink| sink.transactional_backend());
    let dead_letters = pipeline
        .dead_letter
        .as_ref()
        .and_then(|stage| stage.config.build(&cx.for_stage(super::sinks::DEAD_LETTER)).ok()?.transactional_backend());
    Built { backend: source.or(sink).or(dead_letters), offsets }
}
