//! The supervisor of a run: the source's thread, the tasks that it opens, the committer, and their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Mutex, RwLock};

use super::chain::Chain;
use super::commit::{Checkpoint, CommitLog, Committer, make_visible, recover_orphans};
use super::instance::Instance;
use super::loss_marker::LossMarker;
use super::losses::LossWatch;
use super::observer::Observer;
use super::options::Outcome;
use super::playback::{Playback, PlaybackStart};
use super::reconfigure::{Reconfiguration, Reconfigure};
use super::sinks::Sinks;
use super::start::{Fitted, Request};
use super::task::{CheckpointBuilder, CheckpointSchedule, FieldCheck, Task};
use super::tasks::Tasks;
use crate::config::{Pipeline, StageSpec};
use crate::error::{Error, Result};
use crate::error_class::ErrorClass;
use crate::metrics::{Phase, StageRole};
use crate::pace::Pace;
use crate::record::SplitId;
use crate::stage::{
    BuildContext, FencingToken, Latch, LossLimits, RecordedSplit, Source, SourceContext, SplitReader, SplitState,
    TransformConfig,
};

/// Checkpoints of all splits that wait for the committer: enough to fill the next commit while one is decided.
const CHECKPOINTS_WAITING_MAX: usize = 64;
/// How long a process on another machine may take to make visible there what it committed: it does so a second after its
/// last commit.
const VISIBLE_ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often that is looked at.
const VISIBLE_ELSEWHERE_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often somebody looks whether a stop takes long.
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long an abandoned wait may take to end: its error says more than that a split was late.
const ABANDONED_WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a stop that takes long says what it waits for.
const STOP_REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// A run whose threads are started one after the other.
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    source: Box<dyn Source>,
    committer: JoinHandle<()>,
    shutdown_timeout: Duration,
    /// Whether the end of the source is the end of the input.
    completes: bool,
}

/// The engine as the source sees it.
struct Shared {
    pipeline: RwLock<Arc<Pipeline>>,
    cx: BuildContext,
    instance: Instance,
    sinks: Sinks,
    log: Arc<Mutex<Box<dyn CommitLog>>>,
    tasks: Arc<Tasks>,
    checkpoints: Mutex<Option<Sender<Checkpoint>>>,
    fitted: RwLock<Vec<Option<Arc<[u8]>>>>,
    schedule: CheckpointSchedule,
    /// What each split begins to count with.
    losses: LossWatch,
    pace: Option<(Pace, PlaybackStart)>,
    /// Whether instances share the splits.
    shares_splits: bool,
    exclusive: bool,
    check_fields: Option<FieldCheck>,
    observer: Option<Arc<dyn Observer>>,
    /// Held while a split opens or transforms are swapped. Whether the run is over.
    opening: Mutex<bool>,
    span: tracing::Span,
}

impl Supervisor {
    /// Starts the committer.
    pub(super) fn start(request: &Request<'_>, fitted: Fitted) -> Result<Supervisor> {
        let Fitted { instance, cx, source, sinks, log, fitted } = fitted;
        let pipeline = request.pipeline;
        let (hurry, hurried) = bounded(1);
        let (tasks, log) = (Arc::new(Tasks::new(&cx.metrics, hurry)), Arc::new(Mutex::new(log)));
        let interval = Duration::from_millis(pipeline.settings.commit_interval_ms);
        let schedule = CheckpointSchedule::of(pipeline.sink.config.checkpoint_policy(), interval, cx.clock.now());
        let (sender, receiver) = bounded(CHECKPOINTS_WAITING_MAX);
        // Who replays dead letters has chosen them.
        let loss_limits = if request.is_replay() { LossLimits::NONE } else { pipeline.loss_limits };
        let loss_marker = LossMarker::new(&instance.dir, pipeline.options_hash);
        let lost_before = loss_marker.take() && !request.options.fresh;
        let losses = if lost_before { LossWatch::again(loss_limits) } else { LossWatch::new(loss_limits) };
        let committer = Committer {
            checkpoints: receiver,
            log: Arc::clone(&log),
            sinks: sinks.clone(),
            tasks: Arc::clone(&tasks),
            metrics: Arc::clone(&cx.metrics),
            is_aligned: schedule.is_aligned(),
            hurry: hurried,
            clock: cx.clock.clone(),
            losses: Mutex::new(Some(losses.clone())),
            loss_marker,
        };
        let completes = cx.bounded || cx.until_end || request.is_replay();
        let pace = pipeline.source.config.pace().filter(|_| !request.is_replay());
        let shared = Arc::new(Shared {
            pipeline: RwLock::new(Arc::new(pipeline.clone())),
            cx,
            instance,
            sinks,
            log,
            tasks,
            checkpoints: Mutex::new(Some(sender)),
            fitted: RwLock::new(fitted),
            schedule,
            losses,
            pace: pace.map(|pace| (pace, Arc::default())),
            shares_splits: !request.is_replay() && !request.is_exclusive(),
            exclusive: request.is_exclusive(),
            check_fields: pipeline.fields.open.then(|| field_check(pipeline.clone())),
            observer: request.options.observer.clone(),
            opening: Mutex::new(false),
            span: tracing::Span::current(),
        });
        let run: Arc<dyn Reconfigure> = Arc::clone(&shared) as Arc<dyn Reconfigure>;
        request.options.control.connect(Arc::downgrade(&run));
        let timeout = Duration::try_from_secs_f64(pipeline.settings.shutdown_timeout_secs).unwrap_or_default();
        Ok(Supervisor {
            committer: spawn("committer", &shared.span, move || committer.run())?,
            shared,
            source,
            shutdown_timeout: timeout,
            completes,
        })
    }

    /// Runs the source until its input ends, somebody asks for a stop, or something fails.
    pub(super) fn run(self) -> Result<Outcome> {
        let Supervisor { shared, source, committer, shutdown_timeout, completes } = self;
        let (tasks, cancellation) = (Arc::clone(&shared.tasks), shared.cx.cancellation.clone());
        cancellation.set_grace(shutdown_timeout);
        let (stopped, metrics) = (Arc::downgrade(&tasks), Arc::clone(&shared.cx.metrics));
        shared.register_stages();
        metrics.set_phase(Phase::Running);
        cancellation.on_change(move |is_stopped| {
            if is_stopped {
                metrics.set_phase(Phase::Stopping);
            }
            if let Some(tasks) = stopped.upgrade().filter(|_| is_stopped) {
                tasks.stop();
            }
        });
        let ended = Arc::new(Latch::default());
        let report = StopReport { cx: shared.cx.clone(), tasks: Arc::clone(&tasks), said: None, abandoned: false };
        let report = {
            let ended = Arc::clone(&ended);
            spawn("stop report", &shared.span, move || report.run(&ended))?
        };
        let outcome = shared.run_to_end(source, committer, shutdown_timeout, completes);
        ended.open();
        join(report, &tasks);
        outcome
    }
}

impl Shared {
    /// The stages are counted in the order of the pipeline, whichever is built first.
    fn register_stages(&self) {
        let (pipeline, metrics) = (self.pipeline.read(), &self.cx.metrics);
        metrics.stage(StageRole::Source, &pipeline.source.label);
        pipeline.transforms.iter().for_each(|stage| drop(metrics.stage(StageRole::Transform, &stage.label)));
        metrics.stage(StageRole::Sink, &pipeline.sink.label);
    }

    fn run_to_end(
        self: &Arc<Self>,
        source: Box<dyn Source>,
        committer: JoinHandle<()>,
        shutdown_timeout: Duration,
        completes: bool,
    ) -> Result<Outcome> {
        let (tasks, cancellation) = (&self.tasks, &self.cx.cancellation);
        let source = self.spawn_source(source)?;
        tasks.wait_while(|state| !state.source_ended());
        join(source, tasks);
        // A source that returned early leaves its splits to be drained; one that ended leaves them to end.
        if tasks.stopping() {
            let left = tasks.running();
            let until = Instant::now() + shutdown_timeout + ABANDONED_WAIT_TIMEOUT;
            if let Err(error) = tasks.close(&left, false, until) {
                tasks.fail(error);
                // A task may wait for a broker that is away; nothing else would end that.
                cancellation.abandon();
            }
        }
        tasks.wait_while(|state| state.has_work());
        *self.opening.lock() = true;
        self.checkpoints.lock().take();
        join(committer, tasks);
        let closed = self.sinks.close(Instant::now() + shutdown_timeout);
        let stopped = cancellation.is_stopped();
        if let Some(error) = tasks.take_failure() {
            return Err(error);
        }
        closed?;
        if completes && !stopped {
            // A stop still ends this wait for a broker.
            self.log.lock().complete()?;
        }
        Ok(if stopped { Outcome::Stopped } else { Outcome::Done })
    }
}

/// Says what a stop waits for, once it takes long.
struct StopReport {
    cx: BuildContext,
    tasks: Arc<Tasks>,
    said: Option<Instant>,
    abandoned: bool,
}

impl StopReport {
    fn run(mut self, ended: &Latch) {
        while !ended.wait(STOP_POLL_INTERVAL) {
            if self.cx.cancellation.is_stopped() {
                self.look();
            }
        }
    }

    fn look(&mut self) {
        let token = &self.cx.cancellation;
        if token.is_abandoned() && !self.abandoned {
            self.abandoned = true;
            tracing::warn!("what is under way is given up: it was not done within `shutdown_timeout_secs`");
        }
        let said = *self.said.get_or_insert_with(Instant::now);
        if said.elapsed() < STOP_REPORT_INTERVAL {
            return;
        }
        self.said = Some(Instant::now());
        let (splits, waits) = (self.tasks.running(), self.cx.metrics.waits());
        if !splits.is_empty() || !waits.is_empty() {
            let left = token.remaining().unwrap_or_default().as_secs();
            tracing::info!("stopping, at most {left} s more: waiting for {} {}", splits.join(", "), waits.join(", "));
        }
    }
}

fn field_check(pipeline: Pipeline) -> FieldCheck {
    let done = AtomicBool::new(false);
    Arc::new(move |fields| {
        if done.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(problems) = pipeline.check_with(fields) {
            tracing::warn!("the records' fields are not those that the pipeline names");
            problems.render(false).lines().for_each(|line| tracing::warn!("{line}"));
        }
    })
}

impl SourceContext for Shared {
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        if self.exclusive { self.log.lock().recorded_splits() } else { Ok(Vec::new()) }
    }

    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        none_is_missing(&self.recorded_splits()?, ids)?;
        let clock = &self.cx.clock;
        let until = clock.now() + VISIBLE_ELSEWHERE_TIMEOUT;
        loop {
            let mut log = self.log.lock();
            if self.shares_splits {
                recover_orphans(&self.instance, &mut **log, &self.sinks)?;
            }
            // Before the positions: another instance may commit and show more between the two, and visible output must not
            // seem to be ahead for that.
            let visible = self.sinks.committed_offsets(ids)?;
            let states = log.split_states(ids, &visible)?;
            // After the positions, which brought the news of all that was committed before them: splits may come from an
            // instance that died, and its output is to be visible before this one goes on. Where that output is on another
            // disk, the instance may be about to make it visible itself.
            let missing = if self.shares_splits { make_visible(&mut **log, &self.sinks)? } else { Vec::new() };
            drop(log);
            match missing.iter().find(|missing| missing.is_of(ids)) {
                None => return Ok(states),
                Some(_) if self.tasks.stopping() => {
                    return Err(Error::stop("stopped while another process was to make its output visible"));
                }
                Some(missing) if clock.now() >= until => return Err(missing.error()),
                Some(_) => {
                    // A change of another task is no reason to ask again.
                    let next = clock.now() + VISIBLE_ELSEWHERE_POLL_INTERVAL;
                    while clock.now() < next && !self.tasks.stopping() {
                        self.tasks.wait(clock.deadline(next));
                    }
                }
            }
        }
    }

    fn peek_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        self.log.lock().split_states(ids, &vec![None; ids.len()])
    }

    fn open(
        &self,
        id: SplitId,
        reader: Box<dyn SplitReader>,
        start: Option<SplitState>,
        token: Option<FencingToken>,
    ) -> Result<()> {
        let Some(checkpoints) = self.checkpoints.lock().clone() else {
            return Err(Error::bug("a split after the end"));
        };
        let _opening = self.opening.lock();
        let pipeline = Arc::clone(&self.pipeline.read());
        let mut chain =
            Chain::build(&pipeline, usize::MAX, &self.cx, &self.fitted.read())?.observed_by(self.observer.clone());
        let commits_at_start = start.is_none() && reader.commits_at_start();
        let SplitState { sequence, transforms, .. } = start.unwrap_or_default();
        chain.restore(&transforms).map_err(|error| {
            error
                .at(&*id)
                .or_help("are these the options that the state was saved with? `--fresh` starts from the beginning")
        })?;
        let position = reader.position();
        let reader: Box<dyn SplitReader> = match &self.pace {
            Some((pace, started)) => Box::new(Playback::new(reader, *pace, Arc::clone(started), self.cx.clock.clone())),
            None => reader,
        };
        let (epoch, handle) = self.tasks.register(&id)?;
        let writers = self.sinks.open(&id, epoch).inspect_err(|_| self.tasks.task_ended(&id, epoch))?;
        let live = self.cx.metrics.open_split(&id);
        live.begin_at(position);
        let open = CheckpointBuilder::at(position, sequence, chain.held());
        let task = Task {
            id: Arc::clone(&id),
            epoch,
            handle,
            tasks: Arc::clone(&self.tasks),
            checkpoints,
            reader,
            chain,
            writers,
            schedule: self.schedule,
            losses: self.losses.clone(),
            live,
            source_metrics: self.cx.metrics.stage(StageRole::Source, &pipeline.source.label),
            sink_metrics: self.cx.metrics.stage(StageRole::Sink, &pipeline.sink.label),
            metrics: Arc::clone(&self.cx.metrics),
            clock: self.cx.clock.clone(),
            source_label: pipeline.source.label.clone(),
            sink_label: pipeline.sink.label.clone(),
            check_fields: self.check_fields.clone(),
            fencing_token: token,
            commits_at_start,
            commits_at_end: self.exclusive,
            open,
            waker: None,
        };
        let tasks = Arc::clone(&self.tasks);
        let started = spawn(&format!("split {id}"), &self.span, move || {
            let (id, epoch) = (Arc::clone(&task.id), task.epoch);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
            if ran.is_err() {
                let error = Error::bug(format!("the task of {id} panicked; what it had not committed is read again"));
                tasks.fail(error.of_class(ErrorClass::Panic));
                tasks.task_ended(&id, epoch);
            }
        });
        started.map(drop).inspect_err(|_| self.tasks.task_ended(&id, epoch))
    }

    fn close(&self, ids: &[SplitId], lost: bool, until: Instant) -> Result<()> {
        self.tasks.close(ids, lost, until)
    }

    fn running(&self) -> Vec<SplitId> {
        self.tasks.running()
    }

    fn wait(&self, until: Instant) {
        self.tasks.wait(until);
    }

    fn stopping(&self) -> bool {
        self.tasks.stopping()
    }
}

impl Shared {
    fn spawn_source(self: &Arc<Self>, source: Box<dyn Source>) -> Result<JoinHandle<()>> {
        let (tasks, label) = (Arc::clone(&self.tasks), self.cx.stage.to_string());
        let cx: Arc<dyn SourceContext> = Arc::clone(self) as Arc<dyn SourceContext>;
        spawn("source", &self.span, move || {
            let ended = EndOnDrop(&tasks);
            if let Err(error) = super::guard::call(&label, || source.run(cx)) {
                tasks.fail(error);
            }
            drop(ended);
        })
    }
}

/// Says that the source's thread has ended, whatever ends it.
struct EndOnDrop<'a>(&'a Tasks);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.source_has_ended();
    }
}

impl Reconfigure for Shared {
    fn reconfigure(&self, new: &Pipeline) -> Result<()> {
        let is_over = self.opening.lock();
        if *is_over || self.tasks.stopping() {
            return Err(Error::new("the pipeline is about to end"));
        }
        let old = Arc::clone(&self.pipeline.read());
        differs_in_transforms_alone(&old, new)?;
        let has_changing_clock = new.source.config.changing_clock().is_some();
        let rejecting = new.transforms.iter().find(|stage| stage.config.may_reject(has_changing_clock));
        if let Some(stage) = rejecting.filter(|_| new.dead_letter.is_some() && !self.cx.keep_raw) {
            return Err(Error::config("it may reject rows, whose bytes the source does not keep so far")
                .in_stage(&stage.label)
                .help("stop the pipeline and start it again"));
        }
        let fitted = self.fitted_of(&old, new)?;
        let new = Arc::new(new.clone());
        let swap = Reconfiguration::new(Arc::clone(&old), Arc::clone(&new), fitted.clone(), self.tasks.active());
        let swap = Arc::new(swap);
        self.tasks.reconfigure(&swap);
        if let Err(error) = swap.collect(|| self.tasks.active()) {
            swap.cancel();
            return Err(error);
        }
        let mut log = self.log.lock();
        let mut is_recorded = true;
        let decided = swap.decide(|| {
            let Some(last) = log.last_run()? else { return Err(Error::bug("a swap in no run")) };
            let mut record = last.record;
            (record.topology, record.options_hash) = (new.topology.clone(), new.options_hash);
            record.content_hash = new.content_hash;
            record.fitted = fitted.iter().map(|fitted| fitted.as_ref().map(|bytes| bytes.to_vec())).collect();
            is_recorded = false;
            log.begin(record, false)?;
            is_recorded = true;
            Ok(())
        });
        drop(log);
        if let Err(error) = decided {
            if !is_recorded {
                // Whether the record is there is unknown. The next start finds out.
                self.tasks.fail(Error::new(format!("the swap of the transforms could not be recorded: {error}")));
            }
            return Err(error);
        }
        *self.fitted.write() = fitted;
        *self.pipeline.write() = Arc::clone(&new);
        self.cx.pipeline_extensions.put(Arc::new(new.version()));
        tracing::info!("the transforms are {} now", new.topology);
        Ok(())
    }
}

impl Shared {
    /// What the transforms of a new pipeline learned: only a transform that stays as it is has learned it.
    fn fitted_of(&self, old: &Pipeline, new: &Pipeline) -> Result<Vec<Option<Arc<[u8]>>>> {
        let known = self.fitted.read();
        let of = |stage: &StageSpec<dyn TransformConfig>| {
            if stage.config.fitter(&self.cx.for_stage(&stage.label)).is_none() {
                return Ok(None);
            }
            let same = |was: &StageSpec<dyn TransformConfig>| {
                was.label == stage.label && old.options_of(was) == new.options_of(stage)
            };
            match old.transforms.iter().position(same) {
                Some(at) => Ok(known.get(at).cloned().flatten()),
                None => {
                    Err(Error::config("it has to learn from the whole input first, which a running pipeline cannot do")
                        .in_stage(&stage.label)
                        .help("stop the pipeline and start it again"))
                }
            }
        };
        new.transforms.iter().map(of).collect()
    }
}

/// An error where more than transforms would change.
fn differs_in_transforms_alone(old: &Pipeline, new: &Pipeline) -> Result<()> {
    let refused = |what: &str| {
        Error::config(format!("only transforms can be changed while a pipeline runs, and {what} differs"))
            .help("stop the pipeline and start it again")
    };
    if old.name != new.name {
        return Err(refused("`name`"));
    }
    if old.options_of(&old.source) != new.options_of(&new.source) {
        return Err(refused("`[source]`"));
    }
    if old.options_of(&old.sink) != new.options_of(&new.sink) {
        return Err(refused("`[sink]`"));
    }
    let dead_letter = |pipeline: &Pipeline| pipeline.dead_letter.as_ref().map(|stage| pipeline.options_of(stage));
    if dead_letter(old) != dead_letter(new) {
        return Err(refused("`[dead_letter]`"));
    }
    if let Some(field) = new.numeric_fields.difference(&old.numeric_fields).next() {
        return Err(Error::config(format!("`{field}` becomes a measurement, and the source reads it as text so far"))
            .help("stop the pipeline and start it again"));
    }
    Ok(())
}

/// An error where the interrupted run was in the middle of a split that the source does not go on with: rows that transforms
/// hold back would be lost, and records that were not read yet.
fn none_is_missing(recorded: &[RecordedSplit], ids: &[SplitId]) -> Result<()> {
    let missing = recorded.iter().find(|split| !split.ended && !ids.contains(&split.id));
    let Some(missing) = missing else { return Ok(()) };
    let (records, held) = (missing.start.position.records, missing.held);
    let held = if held == 0 { String::new() } else { format!(", with {held} of them held back") };
    Err(Error::config(format!(
        "the interrupted run had read {records} records of `{}`{held}, and the source does not have it any more",
        missing.id
    ))
    .help("put it back and run again, or start from the beginning with `--fresh`"))
}

fn spawn(name: &str, span: &tracing::Span, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let span = span.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || span.in_scope(work))
        .map_err(|e| Error::new(format!("the system starts no thread for `{name}`")).because(e))
}

fn join(thread: JoinHandle<()>, tasks: &Tasks) {
    if thread.join().is_err() {
        tasks.fail(Error::bug("a thread of the pipeline panicked").of_class(ErrorClass::Panic));
        tasks.revoke_all();
    }
}
