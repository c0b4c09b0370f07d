//! The steps before a run: acquire, open the log, decide the start, recover, fit. Each takes what the one before it made.

use std::sync::Arc;

use super::commit::{self, CommitLog, LastRun, Ledger, LedgerEntry, OpenOptions, RunRecord};
use super::fit::{fit_transforms, fitted_for_replay};
use super::instance::Instance;
use super::options::{Outcome, RunOptions};
use super::replay::{REPLAY, ReplaySource};
use super::sinks::{AcquirePhase, DEAD_LETTER, Sinks};
use super::start_decision::{Start, StartRequest};
use crate::config::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::stage::{BuildContext, Delivery, Extensions, Latch, Rerun, Source, TransactionalBackend};

/// What a run is asked for.
pub(super) struct Request<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) options: &'a RunOptions,
}

/// Why the steps end before their last one.
pub(super) enum Exit {
    /// There is nothing more to do.
    Ended(Outcome),
    /// A step failed.
    Failed(Error),
}

impl From<Error> for Exit {
    fn from(error: Error) -> Exit {
        Exit::Failed(error)
    }
}

impl Request<'_> {
    /// Whether dead letters are read instead of the source.
    pub(super) fn is_replay(&self) -> bool {
        self.options.replay.is_some()
    }

    /// Whether only one process may run the pipeline.
    pub(super) fn is_exclusive(&self) -> bool {
        !self.is_replay() && self.pipeline.source.config.boundedness().is_exclusive()
    }

    /// Takes steps until somebody asks for a stop. There is nothing to drain yet, so that all waits end at once then.
    pub(super) fn until_stopped<T>(&self, steps: impl FnOnce() -> Result<T, Exit>) -> Result<T, Exit> {
        let stopped = || self.options.cancellation.is_stopped();
        match steps() {
            Ok(_) if stopped() => Err(Exit::Ended(Outcome::Stopped)),
            // A wait that the stop ended. A mistake of the configuration is one nevertheless.
            Err(Exit::Failed(error)) if stopped() && matches!(error.kind(), ErrorKind::Failed | ErrorKind::Stop) => {
                tracing::info!("stopped before the run began: {error}");
                Err(Exit::Ended(Outcome::Stopped))
            }
            other => other,
        }
    }

    fn build_context(&self, instance: &Instance) -> BuildContext {
        let (pipeline, options) = (self.pipeline, self.options);
        let has_changing_clock = pipeline.source.config.changing_clock().is_some();
        let rejects = pipeline.transforms.iter().any(|stage| stage.config.may_reject(has_changing_clock));
        let pipeline_extensions = Arc::new(Extensions::default());
        pipeline_extensions.put(Arc::new(pipeline.version()));
        BuildContext {
            pipeline: pipeline.name.as_str().into(),
            stage: pipeline.source.label.as_str().into(),
            instance: Arc::clone(&instance.id),
            configured_instance: pipeline.settings.instance.as_deref().map(Into::into),
            writer_id: Arc::clone(&instance.output),
            exclusive: self.is_exclusive(),
            state_dir: instance.dir.clone(),
            numeric_fields: Arc::new(pipeline.numeric_fields.clone()),
            bounded: pipeline.source.config.boundedness().is_bounded(),
            reads_whole: pipeline.source.config.boundedness().is_read_whole(),
            until_end: options.until_end,
            upstream: options.upstream.clone().unwrap_or_else(|| Arc::new(Latch::opened())),
            // A replay knows by the bytes which part of a record it sends.
            keep_raw: (pipeline.dead_letter.is_some() && rejects) || self.is_replay(),
            metrics: Arc::clone(&options.metrics),
            clock: options.clock.clone(),
            // What this run abandons, a later one with the same options does not.
            cancellation: options.cancellation.child(),
            process_extensions: Arc::clone(&options.extensions),
            pipeline_extensions,
            qc_tests: Arc::clone(options.metrics.qc_tests()),
            ..BuildContext::bare(&pipeline.name)
        }
    }
}

/// A slot of the state directory, and the stages of the run.
pub(super) struct Acquired<'a> {
    request: &'a Request<'a>,
    pub(super) instance: Instance,
    pub(super) cx: BuildContext,
    pub(super) source: Box<dyn Source>,
    pub(super) sinks: Sinks,
    backend: Option<Arc<dyn TransactionalBackend>>,
    start: StartRequest<'a>,
}

/// Takes a slot of the state directory, builds the stages, and claims the outputs that wait for no broker.
pub(super) fn acquire<'a>(request: &'a Request<'a>) -> Result<Acquired<'a>, Exit> {
    let Request { pipeline, options } = request;
    let settings = &pipeline.settings;
    if !request.is_replay() && settings.instance.as_deref() == Some(REPLAY) {
        let message = format!("`instance = \"{REPLAY}\"` is the name of replays of dead letters");
        return Err(Error::config(message).into());
    }
    let wanted = if request.is_replay() { Some(REPLAY) } else { settings.instance.as_deref() };
    let instance = Instance::acquire(&settings.state_dir, &pipeline.name, wanted, request.is_exclusive())?;
    if !request.is_exclusive() {
        // Log lines of several instances are told apart by it.
        tracing::Span::current().record("instance", &*instance.id);
    }
    options.metrics.set_instance(&instance.id);
    let cx = request.build_context(&instance);
    let (source, backend) = build_source(request, &cx)?;
    let sinks = build_sinks(pipeline, &cx)?;
    let start = StartRequest {
        pipeline,
        rerun: options.rerun,
        input: source.input_identity().map_err(|e| e.in_stage(&pipeline.source.label))?,
        destination: sinks.destination(),
        group: source.offset_store().map(|offsets| offsets.group()).unwrap_or_default(),
        output_is_gone: sinks.is_unclaimed()?,
    };
    let backend = backend.or_else(|| sinks.transactional_backend());
    let acquired = Acquired { request, instance, cx, source, sinks, backend, start };
    if acquired.backend.is_some() && !options.fresh {
        // Before this process fences one that runs: one that may not run ends no other.
        acquired.sinks.acquire(AcquirePhase::WithoutBackend)?;
        acquired.peek()?;
    }
    Ok(acquired)
}

impl Acquired<'_> {
    /// Ends here where the last run carried the whole input, before this process fences another one.
    fn peek(&self) -> Result<(), Exit> {
        let Request { pipeline, .. } = self.request;
        let Some(backend) = self.backend.as_deref() else { return Ok(()) };
        if !self.request.is_exclusive() || pipeline.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        match commit::peek_last_run(backend, &pipeline.name) {
            Ok(last) => {
                if self.start.decide(last.as_ref(), &*self.source)? == Start::Nothing {
                    self.start.say_what_is_gone(None, last.as_ref().map_or(0, |last| last.counts.written));
                    return Err(Exit::Ended(nothing_to_do(last.as_ref())));
                }
            }
            Err(error) if self.cx.cancellation.is_abandoned() => return Err(error.into()),
            // Whoever may not look may have to do without transactions, which opening the log finds out.
            Err(error) => tracing::debug!("the commit metadata cannot be looked at: {error}"),
        }
        Ok(())
    }
}

/// The commit log of the run.
pub(super) struct Opened<'a> {
    acquired: Acquired<'a>,
    log: Box<dyn CommitLog>,
    delivery: Delivery,
}

impl Opened<'_> {
    /// What readers of the output get.
    pub(super) fn delivery(&self) -> Delivery {
        self.delivery
    }
}

/// Opens the commit log, and forgets all where that is asked for.
pub(super) fn open_log(acquired: Acquired<'_>) -> Result<Opened<'_>, Exit> {
    let Request { pipeline, options } = acquired.request;
    let open = OpenOptions { fresh: options.fresh, exclusive: acquired.request.is_exclusive() };
    let offsets = acquired.source.offset_store();
    let (mut log, delivery) =
        commit::open(&acquired.instance, pipeline, acquired.backend.clone(), offsets, &options.clock, open)?;
    if options.fresh {
        reset(&acquired, &mut *log)?;
    }
    Ok(Opened { acquired, log, delivery })
}

/// A run that starts again from the beginning, or goes on.
pub(super) struct Decided<'a> {
    acquired: Acquired<'a>,
    log: Box<dyn CommitLog>,
    last: Option<LastRun>,
    restart: bool,
}

/// How a run ends that has nothing to do.
fn nothing_to_do(last: Option<&LastRun>) -> Outcome {
    let all_dead = last.is_some_and(|last| last.counts.all_dead());
    if all_dead { Outcome::NothingToDoAfterAllDied } else { Outcome::NothingToDo }
}

/// Decides where the run starts: at the beginning, where the last one stopped, or not at all.
pub(super) fn decide_start(Opened { acquired, log, .. }: Opened<'_>) -> Result<Decided<'_>, Exit> {
    let request = acquired.request;
    let last = log.last_run()?;
    let start = match request.is_replay() {
        true => Start::Resume,
        false => acquired.start.decide(last.as_ref(), &*acquired.source)?,
    };
    if !request.options.fresh && !request.is_replay() {
        let history = log.history()?;
        let home = Some(acquired.instance.home()).filter(|_| history.is_new_here);
        let written = last.as_ref().map_or(0, |last| last.counts.written).max(history.written);
        acquired.start.say_what_is_gone(home, written);
    }
    match start {
        Start::Nothing => Err(Exit::Ended(nothing_to_do(last.as_ref()))),
        Start::Restart => Ok(Decided { acquired, log, last, restart: true }),
        Start::Resume => Ok(Decided { acquired, log, last, restart: false }),
    }
}

/// A run whose outputs are its own, with nothing left in them of earlier runs.
pub(super) struct Recovered<'a> {
    decided: Decided<'a>,
    cluster_id: Option<String>,
}

/// Claims all outputs, and recovers what earlier runs left in them.
pub(super) fn recover(mut decided: Decided<'_>) -> Result<Recovered<'_>, Exit> {
    let Decided { acquired: Acquired { request, instance, sinks, start, .. }, log, last, .. } = &mut decided;
    // Before recovery: without the claim, staged output of a running process looks like that of a dead one.
    sinks.acquire(AcquirePhase::All)?;
    commit::recover(instance, &mut **log, sinks, !request.is_replay())?;
    if request.is_exclusive()
        && let Some(missing) = commit::make_visible(&mut **log, sinks)?.first()
    {
        return Err(missing.error().into());
    }
    // Where transactions decide, their cluster was compared when the log was opened.
    let cluster_id = if log.cluster_id().is_some() { None } else { sinks.cluster_id()? };
    start.goes_to_the_same_cluster(last.as_ref(), cluster_id.as_deref())?;
    Ok(Recovered { decided, cluster_id })
}

/// A run that is recorded as begun.
pub(super) struct Fitted {
    pub(super) instance: Instance,
    pub(super) cx: BuildContext,
    pub(super) source: Box<dyn Source>,
    pub(super) sinks: Sinks,
    pub(super) log: Box<dyn CommitLog>,
    /// What each transform learned from the whole input.
    pub(super) fitted: Vec<Option<Arc<[u8]>>>,
}

/// Has transforms learn from the whole input where they ask for it, and records that the run begins.
pub(super) fn fit(Recovered { decided, cluster_id }: Recovered<'_>) -> Result<Fitted, Exit> {
    let Decided { acquired, mut log, last, restart } = decided;
    let Acquired { request, instance, cx, source, sinks, start, .. } = acquired;
    let Request { pipeline, .. } = request;
    let run = last.as_ref().map_or(0, |last| last.record.run) + u64::from(restart);
    let fitted = match last {
        _ if request.is_replay() => fitted_for_replay(pipeline, &cx, log.last_fitted(&instance.home().join("0"))?)?,
        Some(last) if !restart => last.record.fitted.into_iter().map(|fitted| fitted.map(Arc::from)).collect(),
        _ => fit_transforms(pipeline, &*source, &cx)?,
    };
    let record = RunRecord {
        run,
        topology: if request.is_replay() { REPLAY.to_owned() } else { pipeline.topology.clone() },
        options_hash: pipeline.options_hash,
        fitted: fitted.iter().map(|fitted| fitted.as_ref().map(|bytes| bytes.to_vec())).collect(),
        content_hash: pipeline.content_hash,
        input: start.input,
        destination: start.destination,
        cluster_id,
        group: start.group,
    };
    log.begin(record, restart)?;
    sinks.on_run_start(run);
    Ok(Fitted { instance, cx, source, sinks, log, fitted })
}

type SourceAndBackend = (Box<dyn Source>, Option<Arc<dyn TransactionalBackend>>);

fn build_source(request: &Request<'_>, cx: &BuildContext) -> Result<SourceAndBackend> {
    let Request { pipeline, options } = request;
    let build = || pipeline.source.config.build(cx).map_err(|e| e.in_stage(&pipeline.source.label));
    if let Some(dead_letters) = &options.replay {
        // The source is not read, and may be gone; its backend commits nevertheless.
        let backend = build().ok().and_then(|source| source.transactional_backend());
        return Ok((Box::new(ReplaySource::new(pipeline, cx, dead_letters)?), backend));
    }
    let source = build()?;
    check_fields(pipeline, &*source)?;
    let backend = source.transactional_backend();
    Ok((source, backend))
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

/// `--fresh`: deletes the source's own offsets, the ledgers of all instances that nobody holds, and the output.
fn reset(acquired: &Acquired<'_>, log: &mut dyn CommitLog) -> Result<()> {
    acquired.source.offset_store().iter().try_for_each(|offsets| offsets.reset())?;
    for orphan in acquired.instance.orphans()? {
        let path = orphan?.dir.join("ledger");
        match Ledger::open(&path) {
            Ok(mut ledger) => ledger.append(LedgerEntry::Reset)?,
            Err(_) => drop(Ledger::recreate(&path)?),
        }
    }
    // Before the output: files of which nothing is known are not written beside, and a start then says so.
    log.reset()?;
    acquired.sinks.reset()?;
    match acquired.sinks.destination() {
        Some(place) if acquired.request.pipeline.sink.config.rerun() == Rerun::Append => tracing::warn!(
            "forgot positions and state: this run starts from the beginning. What earlier runs wrote to {} stays there, so \
             that its records will be there twice",
            place.name
        ),
        _ => tracing::info!("forgot positions, state and output: this run starts from the beginning"),
    }
    Ok(())
}
