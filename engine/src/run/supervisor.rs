//! The running parts of a pipeline: the source's thread, the splits that it opens, the committer, and what stops them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;

use super::chain::Chain;
use super::checkpoint::Checkpoint;
use super::commit_log::CommitLog;
use super::committer::Committer;
use super::control::Control;
use super::instance::Instance;
use super::pace::{Clock, Pace, Paced};
use super::recovery::{finish_decided, settle_orphans};
use super::runner::{Outcome, RunOptions, Stop};
use super::sinks::Sinks;
use super::task::{Barrier, FieldCheck, OpenCheckpoint, Task};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::record::{Position, SplitId};
use crate::stage::{
    BuildContext, CheckpointPolicy, FencingToken, RecordedSplit, Source, SourceContext, SplitReader, SplitState,
    TransactionalBackend,
};

/// Checkpoints that wait for the committer, of all splits: enough to fill the next commit while one is decided.
const CUTS_WAITING_MAX: usize = 64;

/// How long the committer waits for the checkpoints of splits that come to barriers together: a commit costs about as much.
const GATHER: Duration = Duration::from_millis(3);

/// How long a process on another machine may take to say that what it decided is visible there: it does so a second after
/// its last commit.
const SHOWN_ELSEWHERE: Duration = Duration::from_secs(15);
/// How often that is looked at.
const LOOK_ELSEWHERE: Duration = Duration::from_millis(500);

/// The running parts.
pub(super) struct Running {
    shared: Arc<Supervisor>,
    committer: JoinHandle<()>,
    stop: Arc<Stop>,
    shutdown: Duration,
    completes: bool,
}

/// What opens splits: the engine as the source sees it.
struct Supervisor {
    pipeline: Pipeline,
    cx: BuildContext,
    instance: Instance,
    coordinator: Option<Arc<dyn TransactionalBackend>>,
    sinks: Sinks,
    log: Arc<Mutex<CommitLog>>,
    control: Arc<Control>,
    checkpoints: Mutex<Option<Sender<Checkpoint>>>,
    surveys: Vec<Option<Arc<[u8]>>>,
    barrier: Barrier,
    pace: Option<(Pace, Arc<Clock>)>,
    /// Whether splits come from other instances and go to them.
    shared_splits: bool,
    /// Whether all splits are those of this process, and of one input after the other.
    alone: bool,
    check_fields: Option<FieldCheck>,
    span: tracing::Span,
}

impl Running {
    pub(super) fn start(
        pipeline: &Pipeline,
        options: &RunOptions,
        cx: &BuildContext,
        (instance, log): (Instance, CommitLog),
        coordinator: Option<Arc<dyn TransactionalBackend>>,
        sinks: Sinks,
        surveys: Vec<Option<Arc<[u8]>>>,
    ) -> Result<Running> {
        let control = Arc::new(Control::default());
        let log = Arc::new(Mutex::new(log));
        let cadence = pipeline.sink.config.checkpoint_policy();
        let (sender, receiver) = bounded(CUTS_WAITING_MAX);
        let committer = Committer {
            checkpoints: receiver,
            log: Arc::clone(&log),
            sinks: sinks.clone(),
            control: Arc::clone(&control),
            metrics: Arc::clone(&options.metrics),
            gather: if matches!(cadence, CheckpointPolicy::Interval) { GATHER } else { Duration::ZERO },
        };
        let barrier = match cadence {
            CheckpointPolicy::Records { records_max, timeout } => {
                Barrier { most: records_max, timeout, together: None }
            }
            CheckpointPolicy::Interval => Barrier {
                most: u64::MAX,
                timeout: Duration::from_millis(pipeline.settings.commit_interval_ms),
                together: Some(Instant::now()),
            },
        };
        let pace = pipeline.source.config.pace().filter(|_| options.replay.is_none());
        let opener = Supervisor {
            pipeline: pipeline.clone(),
            cx: cx.clone(),
            instance,
            coordinator,
            sinks,
            log,
            control,
            checkpoints: Mutex::new(Some(sender)),
            surveys,
            barrier,
            pace: pace.map(|pace| (pace, Arc::default())),
            alone: options.replay.is_none() && pipeline.source.config.boundedness().is_exclusive(),
            shared_splits: options.replay.is_none() && !pipeline.source.config.boundedness().is_exclusive(),
            check_fields: pipeline.fields.open.then(|| field_check(pipeline.clone())),
            span: tracing::Span::current(),
        };
        Ok(Running {
            committer: spawn("committer", &opener.span, move || committer.run())?,
            shared: Arc::new(opener),
            stop: Arc::clone(&options.stop),
            shutdown: Duration::try_from_secs_f64(pipeline.settings.shutdown_timeout_secs).unwrap_or_default(),
            completes: cx.bounded || options.until_end || options.replay.is_some(),
        })
    }

    pub(super) fn run_to_end(self, source: Box<dyn Source>) -> Result<Outcome> {
        let Running { shared, committer, stop, shutdown, completes } = self;
        let control = Arc::clone(&shared.control);
        let label = shared.pipeline.source.label.clone();
        let splits: Arc<dyn SourceContext> = Arc::clone(&shared) as Arc<dyn SourceContext>;
        let ended = Arc::new(AtomicBool::new(false));
        let watch = watch(&stop, &control, &ended, shutdown, &shared)?;

        let source_thread = {
            let control = Arc::clone(&control);
            spawn("source", &shared.span, move || {
                if let Err(error) = source.run(splits) {
                    control.fail(error.in_stage(label));
                }
            })?
        };
        join(source_thread, &control);
        // A source that returned early leaves its splits to be drained; one that ended leaves them to end.
        if control.stopping() {
            let left = control.running();
            if let Err(error) = control.close(&left, false, Instant::now() + shutdown) {
                control.fail(error);
                // A split may be waiting for a broker that is away; nothing else would end that.
                shared.give_up();
            }
        }
        control.wait_for_all();
        shared.checkpoints.lock().take();
        join(committer, &control);
        let close = shared.sinks.close(Instant::now() + shutdown);
        let asked = stop.is_asked();
        let failure = control.take_failure();
        let completed = completes && !asked && failure.is_none() && close.is_ok();
        // While a stop is still heard: it may wait for brokers.
        let done = if completed { shared.log.lock().done() } else { Ok(()) };
        ended.store(true, Ordering::Release);
        stop.wake();
        join(watch, &control);
        if let Some(error) = failure.or_else(|| control.take_failure()) {
            return Err(error);
        }
        close?;
        done?;
        Ok(if asked { Outcome::Stopped } else { Outcome::Done })
    }
}

/// Passes a stop on, and says what is still waiting once it takes long.
fn watch(
    stop: &Arc<Stop>,
    control: &Arc<Control>,
    ended: &Arc<AtomicBool>,
    shutdown: Duration,
    opener: &Arc<Supervisor>,
) -> Result<JoinHandle<()>> {
    let (stop, control, ended) = (Arc::clone(stop), Arc::clone(control), Arc::clone(ended));
    let metrics = Arc::clone(&opener.cx.metrics);
    let (span, opener) = (opener.span.clone(), Arc::clone(opener));
    spawn("stop", &span, move || {
        while !stop.is_asked() && !ended.load(Ordering::Acquire) {
            // The bound only guards against a wake-up that came between the look and the wait.
            stop.wait(Duration::from_millis(200));
        }
        control.stop();
        let mut said = Instant::now();
        let late = Instant::now() + shutdown;
        let mut given_up = false;
        while !ended.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(50));
            if !given_up && Instant::now() >= late && stop.is_asked() {
                given_up = true;
                tracing::warn!("what is under way is given up: it was not done in {} s", shutdown.as_secs_f64());
                opener.give_up();
            }
            if said.elapsed() >= Duration::from_secs(2) {
                said = Instant::now();
                let splits = control.running();
                let waits = metrics.waits();
                if !splits.is_empty() || !waits.is_empty() {
                    let left = late.saturating_duration_since(said).as_secs();
                    tracing::info!(
                        "stopping, at most {left} s more: waiting for {} {}",
                        splits.join(", "),
                        waits.join(", ")
                    );
                }
            }
        }
    })
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

impl SourceContext for Supervisor {
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        if self.alone { self.log.lock().noted() } else { Ok(Vec::new()) }
    }

    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        none_is_forgotten(&self.recorded_splits()?, ids)?;
        let until = Instant::now() + SHOWN_ELSEWHERE;
        let (starts, visible) = loop {
            let mut log = self.log.lock();
            if self.shared_splits {
                settle_orphans(&self.instance, &mut log, &self.sinks)?;
            }
            // Before the positions: another instance may commit and show more between the two, and what is visible must
            // not seem to be ahead for that.
            let visible = self.sinks.committed_offsets(ids)?;
            let starts = log.starts(ids)?;
            // Behind the positions, which brought the news of all that was decided before them: splits may come from an
            // instance that died, and what it decided is to be visible before this one goes on. Where that is on another
            // disk, the instance may be about to make it visible itself.
            let missing = if self.shared_splits { finish_decided(&mut log, &self.sinks)? } else { Vec::new() };
            drop(log);
            match missing.iter().find(|missing| missing.is_of(ids)) {
                None => break (starts, visible),
                Some(_) if self.control.stopping() => {
                    return Err(Error::stop("stopped while another process was to make its output visible"));
                }
                Some(missing) if Instant::now() >= until => return Err(missing.error()),
                Some(_) => std::thread::sleep(LOOK_ELSEWHERE),
            }
        };
        ids.iter()
            .zip(starts)
            .zip(visible)
            .map(|((id, start), end)| self.beyond_what_is_visible(id, start, end))
            .collect()
    }

    fn peek_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        self.log.lock().starts(ids)
    }

    fn open(
        &self,
        id: SplitId,
        split: Box<dyn SplitReader>,
        at: Option<SplitState>,
        fence: Option<FencingToken>,
    ) -> Result<()> {
        let Some(checkpoints) = self.checkpoints.lock().clone() else {
            return Err(Error::bug("a split after the end"));
        };
        let mut chain = Chain::build(&self.pipeline, usize::MAX, &self.cx, &self.surveys)?;
        let notes_beginning = at.is_none() && split.commits_at_start();
        let (part, states) = at.map(|start| (start.sequence, start.state)).unwrap_or_default();
        chain.restore(states.get(1..).unwrap_or_default()).map_err(|error| {
            error.at(&*id).help("are these the options that it was saved with? `--fresh` starts from the beginning")
        })?;
        let position = split.position();
        let split: Box<dyn SplitReader> = match &self.pace {
            Some((pace, clock)) => Box::new(Paced::new(split, *pace, Arc::clone(clock))),
            None => split,
        };
        let (epoch, reins) = self.control.enter(&id)?;
        let writers = match self.sinks.open(&id, epoch) {
            Ok(opened) => opened,
            Err(error) => {
                self.control.ended(&id, epoch);
                return Err(error);
            }
        };
        let now = OpenCheckpoint::at(position, part, chain.held());
        let task = Task {
            id: Arc::clone(&id),
            epoch,
            reins,
            control: Arc::clone(&self.control),
            checkpoints,
            split,
            chain,
            writers,
            barrier: self.barrier,
            metrics: Arc::clone(&self.cx.metrics),
            source_label: self.pipeline.source.label.clone(),
            sink_label: self.pipeline.sink.label.clone(),
            check_fields: self.check_fields.clone(),
            notes_end: self.alone,
            fence,
            notes_beginning,
            now,
        };
        let control = Arc::clone(&self.control);
        let started = spawn(&format!("split {id}"), &self.span, move || {
            let (id, epoch) = (Arc::clone(&task.id), task.epoch);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
            if ran.is_err() {
                control.fail(Error::bug(format!("the split {id} panicked; what it had not committed is read again")));
                control.ended(&id, epoch);
            }
        });
        if started.is_err() {
            self.control.ended(&id, epoch);
        }
        started.map(drop)
    }

    fn close(&self, ids: &[SplitId], lost: bool, until: Instant) -> Result<()> {
        self.control.close(ids, lost, until)
    }

    fn running(&self) -> Vec<SplitId> {
        self.control.running()
    }

    fn wait(&self, until: Instant) {
        self.control.wait(until);
    }

    fn stopping(&self) -> bool {
        self.control.stopping()
    }
}

impl Supervisor {
    /// Ends every wait for brokers.
    fn give_up(&self) {
        self.coordinator.iter().for_each(|coordinator| coordinator.abandon());
        if let Err(error) = self.sinks.close(Instant::now()) {
            tracing::warn!("{error}");
        };
    }

    /// No output may overlap what is visible: a split whose log is behind its output goes on where the output ends.
    fn beyond_what_is_visible(
        &self,
        id: &SplitId,
        start: Option<SplitState>,
        visible: Option<u64>,
    ) -> Result<Option<SplitState>> {
        let Some(end) = visible.filter(|end| start.as_ref().is_none_or(|start| start.position.offset < *end)) else {
            return Ok(start);
        };
        if self.pipeline.source.config.boundedness().is_exclusive() {
            let home = self.instance.dir.parent().unwrap_or(&self.instance.dir);
            let memory = match self.log.lock().knows_others() {
                true => "the topic of commits does not know of it: it was deleted, or is another one".to_owned(),
                false => format!(
                    "the state directory `{}` does not know of it: it was removed, or is another one",
                    home.display()
                ),
            };
            return Err(Error::config(format!("there is output of {id} up to {end}, and {memory}"))
            .in_stage(&self.pipeline.sink.label)
            .help(
                "put that back (`state_dir`, or the topic that `transactions` names), write to another place, or start from the beginning with \
                 `--fresh`, which removes this output",
            ));
        }
        let log = self.log.lock();
        if log.is_moved_back(id, start.as_ref()) {
            let at = start.map_or(0, |start| start.position.offset);
            return Err(Error::config(format!(
                "{id}: the group's offset was moved back to {at}, and there are files of what was read up to {end}: they \
                 are not written again"
            ))
            .in_stage(&self.pipeline.sink.label)
            .help(format!(
                "set the group's offset to {end}, or start from the beginning with `--fresh`, which removes these files"
            )));
        }
        let (coordinated, own) = log.own_start(id);
        drop(log);
        match own.filter(|own| own.position.offset == end) {
            Some(own) => {
                tracing::warn!(
                    "{id}: there is output up to {end}, beyond the committed position: the brokers have lost a commit. \
                     Going on there, with the state that was kept beside the output"
                );
                Ok(Some(own))
            }
            None if coordinated => Err(Error::new(format!(
                "{id}: there is output up to {end}, beyond the committed position: the brokers have lost a commit, or \
                 the output was read as another group"
            ))
            .in_stage(&self.pipeline.sink.label)
            .help(
                "look whether `group` is the one that the output was read as; else write to another place, or start from \
                 the beginning with `--fresh`",
            )),
            None => {
                tracing::warn!(
                    "{id}: there is output up to {end}, beyond the committed position: going on there. What the \
                     transforms knew then is not known here"
                );
                Ok(Some(SplitState { position: Position { offset: end, records: 0 }, ..SplitState::default() }))
            }
        }
    }
}

/// An error where the interrupted run was in the middle of a split that the source does not go on with: the rows that its
/// transforms hold back would be lost, and what was not read yet.
fn none_is_forgotten(noted: &[RecordedSplit], ids: &[SplitId]) -> Result<()> {
    let Some(lost) = noted.iter().find(|noted| !noted.ended && !ids.contains(&noted.id)) else { return Ok(()) };
    let (records, held) = (lost.start.position.records, lost.held);
    let held = if held == 0 { String::new() } else { format!(", with {held} of them held back") };
    Err(Error::config(format!(
        "the interrupted run had read {records} records of `{}`{held}, and the source does not have it any more",
        lost.id
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

fn join(thread: JoinHandle<()>, control: &Control) {
    if thread.join().is_err() {
        control.fail(Error::bug("a thread of the pipeline panicked"));
        control.lose_all();
    }
}
