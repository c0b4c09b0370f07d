//! One run of a pipeline, from its checked configuration to its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::checkpoint::RunRecord;
use super::commit_log::{CommitLog, OpenOptions};
use super::fit::survey;
use super::instance::Instance;
use super::ledger::{Entry, Ledger};
use super::recovery::{finish_decided, settle};
use super::replay::{REPLAY, ReplaySource};
use super::sinks::{AcquirePhase, DEAD_LETTER, Sinks};
use super::start_decision::{StartDecision, StartRequest};
use super::supervisor::Running;
use crate::cancel::CancellationToken;
use crate::clock::Clock;
use crate::config::{Pipeline, StageOf};
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::{Metrics, Snapshot};
use crate::stage::{
    BuildContext, Delivery, Destination, Extensions, Latch, Rerun, Source, StoredDeadLetter, TransactionalBackend,
    TransformConfig,
};

/// How often a stop is looked for while the ends are claimed; most stops wake the wait at once.
const CLAIM_LOOK: Duration = Duration::from_millis(50);

/// Asks a run to come to a barrier, commit and end.
#[derive(Debug, Default)]
pub struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Asks.
    pub fn ask(&self) {
        *self.asked.lock() = true;
        self.changed.notify_all();
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        *self.asked.lock()
    }

    /// Waits until somebody asks, for so long at most.
    pub(super) fn wait(&self, at_most: Duration) {
        let mut asked = self.asked.lock();
        if !*asked {
            self.changed.wait_for(&mut asked, at_most);
        }
    }

    /// Wakes whoever waits, though nobody asked.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }
}

/// How to run a pipeline.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Forget position and state, remove the output that this pipeline wrote, start from the beginning.
    pub fresh: bool,
    /// Repeat a completed run, whatever the source's `rerun` says.
    pub rerun: bool,
    /// End at the end of what is there, although more could come.
    pub until_end: bool,
    /// Opens once the pipelines of this process that write what this one reads are done; absent where there are none.
    pub upstream: Option<Arc<Latch>>,
    /// What the pipelines of one run share.
    pub shared: Arc<Extensions>,
    /// Send these dead letters through the pipeline instead of reading its source.
    pub replay: Option<Arc<Vec<StoredDeadLetter>>>,
    /// Where this run is counted.
    pub metrics: Arc<Metrics>,
    /// Ends the run early.
    pub stop: Arc<Stop>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was carried.
    Done,
    /// It was asked to stop, and goes on from there at the next start.
    Stopped,
    /// It had nothing to do: its input was carried by an earlier run, which is not to be repeated.
    NothingToDo,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub ended: Outcome,
    /// What readers of its output saw.
    pub delivery: Delivery,
    /// What was counted.
    pub metrics: Snapshot,
}

/// Runs a pipeline to its end. Blocks.
///
/// # Errors
/// Why it failed: what had been committed is there, and the next start goes on from it.
pub fn run(pipeline: &Pipeline, options: &RunOptions) -> Result<Summary> {
    let mut delivery = pipeline.delivery;
    let ended = match run_to_end(pipeline, options, &mut delivery) {
        Ok(ended) => ended,
        // A stop before anything ran, or a reader that has gone: what was not taken is not committed.
        Err(error) if error.kind() == ErrorKind::Stop => {
            tracing::info!("{error}");
            Outcome::Stopped
        }
        Err(error) => return Err(error),
    };
    Ok(Summary { ended, delivery, metrics: options.metrics.snapshot() })
}

fn run_to_end(pipeline: &Pipeline, options: &RunOptions, delivery: &mut Delivery) -> Result<Outcome> {
    let replay = options.replay.as_deref();
    let settings = &pipeline.settings;
    let alone = replay.is_none() && pipeline.source.config.boundedness().is_exclusive();
    if replay.is_none() && settings.instance.as_deref() == Some(REPLAY) {
        return Err(Error::config(format!("`instance = \"{REPLAY}\"` is what replays of dead letters are called")));
    }
    let wanted = if replay.is_some() { Some(REPLAY) } else { settings.instance.as_deref() };
    let instance = Instance::claim(&settings.state_dir, &pipeline.name, wanted, alone)?;
    let cx = context(pipeline, options, (&instance.id, &instance.output), &instance.dir);
    let (source, coordinator) = match replay {
        // The source that is not read may still have its part in who decides; that it is gone is no matter.
        Some(letters) => {
            let own = build_source(pipeline, &cx).ok().and_then(|source| source.transactional_backend());
            (Box::new(ReplaySource::new(pipeline, &cx, letters)?) as Box<dyn Source>, own)
        }
        None => {
            let source = build_source(pipeline, &cx)?;
            check_fields(pipeline, source.as_ref())?;
            let coordinator = source.transactional_backend();
            (source, coordinator)
        }
    };
    let sinks = build_sinks(pipeline, &cx)?;
    let coordinator = coordinator.or_else(|| sinks.transactional_backend());
    let give_up = || {
        coordinator.iter().for_each(|coordinator| coordinator.abandon());
        if let Err(error) = sinks.close(Instant::now()) {
            tracing::warn!("{error}");
        }
    };
    let asked = StartRequest {
        pipeline,
        source: source.as_ref(),
        rerun: options.rerun,
        input: if replay.is_some() {
            String::new()
        } else {
            source.input_identity().map_err(|e| e.in_stage(&pipeline.source.label))?
        },
        destination: sinks.destination(),
        keeper: source.offset_store().map(|keeper| keeper.group()).unwrap_or_default(),
        output_is_gone: sinks.is_unclaimed()?,
    };
    if let Some(coordinator) = coordinator.as_deref().filter(|_| !options.fresh) {
        // Before this process takes the place of one that runs: who may not run ends nobody else's run.
        sinks.acquire(AcquirePhase::WithoutBackend)?;
        if alone && pipeline.delivery == Delivery::ExactlyOnce {
            let look = || CommitLog::look(coordinator, pipeline);
            match until_stopped(&options.stop, &give_up, look) {
                Ok(None) => return Ok(Outcome::Stopped),
                Ok(Some(last)) => {
                    if let StartDecision::Nothing = asked.begin(last.as_ref())? {
                        asked.say_what_is_gone(None, last.map_or(0, |last| last.counts.written));
                        return Ok(Outcome::NothingToDo);
                    }
                }
                // Whoever may not look may have to do without a coordinator, which opening it decides.
                Err(error) => tracing::debug!("what was noted cannot be looked at: {error}"),
            }
        }
    }
    let how = OpenOptions { fresh: options.fresh, alone, replay: replay.is_some() };
    let open = || CommitLog::open(&instance, pipeline, coordinator.as_deref(), source.offset_store(), how);
    let Some(mut log) = until_stopped(&options.stop, &give_up, open)? else { return Ok(Outcome::Stopped) };
    *delivery = log.say_delivery(pipeline);
    if options.fresh {
        forget(&instance, &mut log, pipeline, coordinator.as_deref(), source.as_ref(), &sinks)?;
    }
    let last = log.last_run()?;
    let beginning = if replay.is_some() { StartDecision::GoOn } else { asked.begin(last.as_ref())? };
    if !options.fresh && replay.is_none() {
        let home = instance.dir.parent().filter(|_| log.is_new_here());
        let written = last.as_ref().map_or(0, |last| last.counts.written).max(log.written_by_all()?);
        asked.say_what_is_gone(home, written);
    }
    let anew = match beginning {
        StartDecision::Nothing => return Ok(Outcome::NothingToDo),
        StartDecision::Anew => true,
        StartDecision::GoOn => false,
    };
    let ready = || {
        sinks.acquire(AcquirePhase::All)?;
        // Not before the claim: without it, what another run has prepared looks like something left behind.
        settle(&instance, &mut log, &sinks, replay.is_none())?;
        if alone {
            finish_decided(&mut log, &sinks)?.first().map_or(Ok(()), |missing| Err(missing.error()))
        } else {
            Ok(())
        }
    };
    if until_stopped(&options.stop, &give_up, ready)?.is_none() {
        return Ok(Outcome::Stopped);
    }
    // Where transactions decide, their cluster was compared when the log was opened.
    let cluster = if log.knows_others() { None } else { sinks.cluster_id()? };
    asked.goes_to_the_same_cluster(last.as_ref(), cluster.as_deref())?;
    let run = last.as_ref().map_or(0, |last| last.begin.run) + u64::from(anew);
    let surveys = match last {
        _ if replay.is_some() => surveys_for_replay(pipeline, &cx, &instance, &log)?,
        Some(last) if !anew => last.begin.surveys.into_iter().map(|survey| survey.map(Arc::from)).collect(),
        _ => survey(pipeline, source.as_ref(), &cx, &options.stop)?,
    };
    let begin = RunRecord {
        run,
        shape: if replay.is_some() { REPLAY.to_owned() } else { pipeline.shape.clone() },
        options: pipeline.options,
        surveys: surveys.iter().map(|survey| survey.as_ref().map(|bytes| bytes.to_vec())).collect(),
        content: pipeline.content,
        input: asked.input,
        destination: asked.destination,
        cluster,
        keeper: asked.keeper,
    };
    if until_stopped(&options.stop, &give_up, || log.begin(begin, anew))?.is_none() || options.stop.is_asked() {
        return Ok(Outcome::Stopped);
    }
    sinks.on_run_start(run);
    Running::start(pipeline, options, &cx, (instance, log), coordinator, sinks, surveys)?.run_to_end(source)
}

/// What the transforms learned in the pipeline's last run.
fn surveys_for_replay(
    pipeline: &Pipeline,
    cx: &BuildContext,
    instance: &Instance,
    log: &CommitLog,
) -> Result<Vec<Option<Arc<[u8]>>>> {
    let home = instance.dir.parent().unwrap_or(&instance.dir);
    let mut known = log.surveys(&home.join("0"))?.into_iter();
    let survey = |stage: &StageOf<dyn TransformConfig>| match (known.next().flatten(), stage.config.fitter(cx)) {
        (known, Some(_)) => known.map(|known| Some(Arc::from(known))).ok_or_else(|| {
            Error::config("what it needs to know of the whole input is not known")
                .in_stage(&stage.label)
                .help("run the pipeline once before its dead letters are replayed")
        }),
        (_, None) => Ok(None),
    };
    pipeline.transforms.iter().map(survey).collect()
}

pub(super) fn context(
    pipeline: &Pipeline,
    options: &RunOptions,
    (instance, writer): (&str, &str),
    dir: &Path,
) -> BuildContext {
    BuildContext {
        pipeline: pipeline.name.as_str().into(),
        stage: pipeline.source.label.as_str().into(),
        instance: instance.into(),
        writer_id: writer.into(),
        exclusive: options.replay.is_none() && pipeline.source.config.boundedness().is_exclusive(),
        state_dir: dir.to_owned(),
        qc_tests: Arc::default(),
        numeric_fields: Arc::new(pipeline.numeric.clone()),
        bounded: pipeline.source.config.boundedness().is_bounded(),
        until_end: options.until_end,
        upstream: options.upstream.clone().unwrap_or_else(|| Arc::new(Latch::opened())),
        fitted: None,
        keep_raw: pipeline.dead_letter.is_some() && pipeline.transforms.iter().any(|stage| stage.config.rejects()),
        metrics: Arc::clone(&options.metrics),
        clock: Clock::default(),
        cancellation: CancellationToken::default(),
        process_extensions: Arc::clone(&options.shared),
        pipeline_extensions: Arc::default(),
    }
}

fn build_source(pipeline: &Pipeline, cx: &BuildContext) -> Result<Box<dyn Source>> {
    pipeline.source.config.build(cx).map_err(|e| e.in_stage(&pipeline.source.label))
}

/// Repeats the checks of all stages with the fields that the input really has.
fn check_fields(pipeline: &Pipeline, source: &dyn Source) -> Result<()> {
    let Some(real) = source.fields().map_err(|e| e.in_stage(&pipeline.source.label))? else { return Ok(()) };
    match pipeline.check_with(&real) {
        Ok(_) => Ok(()),
        Err(problems) => Err(Error::config("the input's fields are not those that the pipeline names")
            .lines(problems.render(false).lines())),
    }
}

fn build_sinks(pipeline: &Pipeline, cx: &BuildContext) -> Result<Sinks> {
    let label = &pipeline.sink.label;
    let records = pipeline.sink.config.build(&cx.for_stage(label)).map_err(|e| e.in_stage(label))?;
    let dead_letters = pipeline
        .dead_letter
        .as_ref()
        .map(|stage| stage.config.build(&cx.for_stage(DEAD_LETTER)).map_err(|e| e.in_stage(DEAD_LETTER)));
    Sinks::new(records, label.clone(), dead_letters.transpose()?)
}

/// Does something that may wait for a broker; a stop ends that wait, and there is no result then.
fn until_stopped<T>(stop: &Stop, give_up: &(dyn Fn() + Sync), act: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let done = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) && !stop.is_asked() {
                stop.wait(CLAIM_LOOK);
            }
            if !done.load(Ordering::Acquire) {
                give_up();
            }
        });
        let result = act();
        done.store(true, Ordering::Release);
        stop.wake();
        result
    });
    match result {
        Err(_) if stop.is_asked() => Ok(None),
        result => result.map(Some),
    }
}

/// `--fresh`: the source's own positions, the ledgers of all instances that nobody holds, the output.
fn forget(
    instance: &Instance,
    log: &mut CommitLog,
    pipeline: &Pipeline,
    coordinator: Option<&dyn TransactionalBackend>,
    source: &dyn Source,
    sinks: &Sinks,
) -> Result<()> {
    source.offset_store().iter().try_for_each(|source| source.reset())?;
    for orphan in instance.orphans()? {
        let path = orphan?.dir.join("ledger");
        match Ledger::open(&path) {
            Ok(mut ledger) => ledger.append(Entry::Forget)?,
            Err(_) => drop(Ledger::anew(&path)?),
        }
    }
    // Before the output: files of which nothing is known are not written beside, and a start then says so.
    log.forget(pipeline, coordinator)?;
    sinks.reset()?;
    match sinks.destination() {
        Some(place) if pipeline.sink.config.rerun() == Rerun::Append => tracing::warn!(
            "forgot positions and state: this run starts from the beginning. What earlier runs wrote to {} stays there, so \
             that its records will be there twice",
            place.name
        ),
        _ => tracing::info!("forgot positions, state and output: this run starts from the beginning"),
    }
    Ok(())
}
