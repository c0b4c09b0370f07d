//! One run of a pipeline, from its checked configuration to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Condvar, Mutex};

use super::chain::Chain;
use super::committer::{Committer, Ends};
use super::control::Control;
use super::instance::Instance;
use super::lane::{FieldCheck, Stretch, Task};
use super::log::{Begin, CommitLog, Cut, LastRun, LedgerLog};
use super::pace::{Clock, Pace, Paced};
use super::survey::survey;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::monitor::{Counts, Facts, Snapshot};
use crate::record::{LaneId, Position};
use crate::stage::{BuildContext, Cadence, Delivery, Gate, Lane, Lanes, Rerun, Shared, Source, Start};

/// Cuts that wait for the committer, of all lanes: enough to fill the next commit while one is decided.
const CUTS_WAITING_MAX: usize = 64;

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
}

/// How to run a pipeline.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Forget position and state, remove the output that this pipeline wrote, start from the beginning.
    pub fresh: bool,
    /// End at the end of what is there, although more could come.
    pub until_end: bool,
    /// Opens once the pipelines of this process that write what this one reads are done; absent where there are none.
    pub upstream: Option<Arc<Gate>>,
    /// What the pipelines of one run share.
    pub shared: Arc<Shared>,
    /// Where this run is counted.
    pub facts: Arc<Facts>,
    /// Ends the run early.
    pub stop: Arc<Stop>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All input was carried.
    Done,
    /// It was asked to stop, and goes on from there at the next start.
    Stopped,
    /// It had nothing to do: its input was carried by an earlier run, and `rerun` is false.
    NothingToDo,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub ended: Ended,
    /// What readers of its output saw.
    pub delivery: Delivery,
    /// What was counted.
    pub facts: Snapshot,
}

/// Runs a pipeline to its end. Blocks.
///
/// # Errors
/// Why it failed: what had been committed is there, and the next start goes on from it.
pub fn run(pipeline: &Pipeline, options: &RunOptions) -> Result<Summary> {
    let rerun = pipeline.source.config.rerun();
    let settings = &pipeline.settings;
    let alone = rerun.is_some();
    let instance = Instance::claim(&settings.state_dir, &pipeline.name, settings.instance.as_deref(), alone)?;
    let mut log = LedgerLog::open(&instance.dir)?;
    let cx = context(pipeline, options, &instance);
    let source = build_source(pipeline, &cx)?;
    check_fields(pipeline, source.as_ref())?;
    let ends = build_ends(pipeline, &cx)?;
    log.tell(source.acknowledge());
    if options.fresh {
        forget(&instance, &mut log, source.as_ref(), &ends)?;
    }
    settle(&instance, &mut log, &ends)?;

    let anew = match begin_or_go_on(pipeline, &log, rerun)? {
        Beginning::Nothing => return Ok(summary(Ended::NothingToDo, pipeline, options)),
        Beginning::Anew => true,
        Beginning::GoOn => false,
    };
    ends.sink.claim().map_err(|e| e.in_stage(&ends.sink_label))?;
    ends.dead.iter().try_for_each(|dead| dead.claim()).map_err(|e| e.in_stage("dead_letter"))?;
    let surveys = match log.last_run() {
        Some(last) if !anew => last.begin.surveys.into_iter().map(|survey| survey.map(Arc::from)).collect(),
        _ => survey(pipeline, source.as_ref(), &cx, &options.stop)?,
    };
    log.begin(
        Begin {
            run: log.last_run().map_or(0, |last| last.begin.run) + u64::from(anew),
            shape: pipeline.shape.clone(),
            options: pipeline.options,
            surveys: surveys.iter().map(|survey| survey.as_ref().map(|bytes| bytes.to_vec())).collect(),
        },
        anew,
    )?;
    let ended = Running::start(pipeline, options, &cx, log, ends, surveys).run_to_end(source)?;
    drop(instance);
    Ok(summary(ended, pipeline, options))
}

fn summary(ended: Ended, pipeline: &Pipeline, options: &RunOptions) -> Summary {
    Summary { ended, delivery: pipeline.delivery, facts: options.facts.snapshot() }
}

fn context(pipeline: &Pipeline, options: &RunOptions, instance: &Instance) -> BuildContext {
    BuildContext {
        pipeline: pipeline.name.as_str().into(),
        stage: pipeline.source.label.as_str().into(),
        instance: Arc::clone(&instance.id),
        state_dir: instance.dir.clone(),
        tests: Arc::default(),
        numeric: Arc::new(pipeline.numeric.clone()),
        bounded: pipeline.source.config.bounded(),
        until_end: options.until_end,
        upstream: options.upstream.clone().unwrap_or_else(|| Arc::new(Gate::opened())),
        survey: None,
        keep_raw: pipeline.dead_letter.is_some() && pipeline.transforms.iter().any(|stage| stage.config.rejects()),
        facts: Arc::clone(&options.facts),
        shared: Arc::clone(&options.shared),
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
        Err(problems) => Err(Error::config(format!(
            "the input's fields are not those that the pipeline names\n{}",
            problems.render(false)
        ))),
    }
}

fn build_ends(pipeline: &Pipeline, cx: &BuildContext) -> Result<Ends> {
    let sink_label = pipeline.sink.label.clone();
    let sink_cx = BuildContext { stage: sink_label.as_str().into(), ..cx.clone() };
    let sink = pipeline.sink.config.build(&sink_cx).map_err(|e| e.in_stage(&sink_label))?;
    let dead = pipeline.dead_letter.as_ref().map(|stage| {
        let cx = BuildContext { stage: "dead_letter".into(), ..cx.clone() };
        stage.config.build(&cx).map_err(|e| e.in_stage("dead_letter"))
    });
    Ok(Ends { sink, sink_label, dead: dead.transpose()? })
}

/// `--fresh`: the ledgers of all instances that nobody holds, the source's own positions, the output.
fn forget(instance: &Instance, log: &mut LedgerLog, source: &dyn Source, ends: &Ends) -> Result<()> {
    // What was decided but never became visible would be swept or finished later, into a directory that was cleared.
    settle(instance, log, ends)?;
    for orphan in instance.orphans()? {
        LedgerLog::open(&orphan.dir)?.forget()?;
    }
    source.acknowledge().iter().try_for_each(|source| source.forget())?;
    ends.sink.forget().map_err(|e| e.in_stage(&ends.sink_label))?;
    ends.dead.iter().try_for_each(|dead| dead.forget()).map_err(|e| e.in_stage("dead_letter"))?;
    log.forget()?;
    tracing::info!("forgot positions, state and output: this run starts from the beginning");
    Ok(())
}

/// Recovery: decided output becomes visible, of this instance and of those that died and were not started again;
/// the rest is removed.
fn settle(instance: &Instance, log: &mut LedgerLog, ends: &Ends) -> Result<()> {
    let roll_forward = |log: &mut LedgerLog| {
        let unfinished = log.unfinished();
        if unfinished.is_empty() {
            return Ok(());
        }
        tracing::info!("an earlier run was interrupted: finishing {} cuts that it had decided", unfinished.len());
        unfinished.iter().try_for_each(|prepared| ends.finish(prepared))?;
        log.finished()
    };
    roll_forward(log)?;
    let orphans = instance.orphans()?;
    for orphan in &orphans {
        roll_forward(&mut LedgerLog::open(&orphan.dir)?)?;
    }
    let mut instances = vec![Arc::clone(&instance.id)];
    instances.extend(orphans.iter().map(|orphan| Arc::clone(&orphan.id)));
    ends.sink.sweep(&instances).map_err(|e| e.in_stage(&ends.sink_label))?;
    ends.dead.iter().try_for_each(|dead| dead.sweep(&instances)).map_err(|e| e.in_stage("dead_letter"))
}

enum Beginning {
    Anew,
    GoOn,
    Nothing,
}

fn begin_or_go_on(pipeline: &Pipeline, log: &LedgerLog, rerun: Option<bool>) -> Result<Beginning> {
    let Some(LastRun { begin, done, counts }) = log.last_run() else { return Ok(Beginning::Anew) };
    match rerun {
        Some(false) if done => {
            tracing::info!("the last run carried the whole input, and `rerun` is false: nothing to do");
            return Ok(Beginning::Nothing);
        }
        Some(true) if done => return again(pipeline, &counts),
        _ => {}
    }
    if begin.shape != pipeline.shape {
        return Err(Error::config(format!(
            "the stages are not those of the run that was interrupted: it had {}, now there are {}",
            begin.shape, pipeline.shape
        ))
        .help("put the stages back to let that run end, or start from the beginning with `--fresh`"));
    }
    let changed = if begin.options == pipeline.options { "" } else { ", with the options as they are now" };
    tracing::info!("going on after {} records of an earlier run{changed}", counts.read);
    Ok(Beginning::GoOn)
}

fn again(pipeline: &Pipeline, last: &Counts) -> Result<Beginning> {
    match pipeline.sink.config.rerun() {
        Rerun::Again => {
            tracing::info!("the last run wrote {} records; they are written once more", last.written);
            Ok(Beginning::Anew)
        }
        Rerun::Refuse => Err(Error::config(format!(
            "the last run of `{}` carried the whole input, and its {} records are there: this sink does not overwrite",
            pipeline.name, last.written
        ))
        .in_stage(&pipeline.sink.label)
        .help("`--fresh` removes the output that this pipeline wrote and starts from the beginning")),
    }
}

/// The running parts.
struct Running {
    shared: Arc<Opener>,
    committer: JoinHandle<()>,
    stop: Arc<Stop>,
    shutdown: Duration,
    completes: bool,
}

/// What opens lanes: the engine as the source sees it.
struct Opener {
    pipeline: Pipeline,
    cx: BuildContext,
    ends: Ends,
    log: Arc<Mutex<Box<dyn CommitLog>>>,
    control: Arc<Control>,
    cuts: Mutex<Option<Sender<Cut>>>,
    surveys: Vec<Option<Arc<[u8]>>>,
    cadence: Cadence,
    pace: Option<(Pace, Arc<Clock>)>,
    check_fields: Option<FieldCheck>,
    span: tracing::Span,
}

impl Running {
    fn start(
        pipeline: &Pipeline,
        options: &RunOptions,
        cx: &BuildContext,
        log: LedgerLog,
        ends: Ends,
        surveys: Vec<Option<Arc<[u8]>>>,
    ) -> Running {
        let control = Arc::new(Control::default());
        let log: Arc<Mutex<Box<dyn CommitLog>>> = Arc::new(Mutex::new(Box::new(log)));
        let (sender, receiver) = bounded(CUTS_WAITING_MAX);
        let committer = Committer {
            cuts: receiver,
            log: Arc::clone(&log),
            ends: ends.clone(),
            control: Arc::clone(&control),
            facts: Arc::clone(&options.facts),
        };
        let cadence = match pipeline.sink.config.cadence() {
            Cadence::Interval(_) => Cadence::Interval(Duration::from_millis(pipeline.settings.commit_interval_ms)),
            records @ Cadence::Records { .. } => records,
        };
        let opener = Opener {
            pipeline: pipeline.clone(),
            cx: cx.clone(),
            ends,
            log,
            control,
            cuts: Mutex::new(Some(sender)),
            surveys,
            cadence,
            pace: pipeline.source.config.pace().map(|pace| (pace, Arc::default())),
            check_fields: pipeline.fields.open.then(|| field_check(pipeline.clone())),
            span: tracing::Span::current(),
        };
        Running {
            committer: spawn("committer", &opener.span, move || committer.run()),
            shared: Arc::new(opener),
            stop: Arc::clone(&options.stop),
            shutdown: Duration::try_from_secs_f64(pipeline.settings.shutdown_timeout_secs).unwrap_or_default(),
            completes: cx.bounded || options.until_end,
        }
    }

    fn run_to_end(self, source: Box<dyn Source>) -> Result<Ended> {
        let Running { shared, committer, stop, shutdown, completes } = self;
        let control = Arc::clone(&shared.control);
        let label = shared.pipeline.source.label.clone();
        let lanes: Arc<dyn Lanes> = Arc::clone(&shared) as Arc<dyn Lanes>;
        let ended = Arc::new(AtomicBool::new(false));
        let watch = watch(&stop, &control, &ended, shutdown, &shared);

        let source_thread = {
            let control = Arc::clone(&control);
            spawn("source", &shared.span, move || {
                if let Err(error) = source.run(lanes) {
                    control.fail(error.in_stage(label));
                }
            })
        };
        join(source_thread, &control);
        // A source that returned early leaves its lanes to be drained; one that ended leaves them to end.
        if control.stopping() {
            let left = control.running();
            if let Err(error) = control.close(&left, false, Instant::now() + shutdown) {
                control.fail(error);
            }
        }
        control.wait_for_all();
        shared.cuts.lock().take();
        join(committer, &control);
        let close = shared.ends.sink.close(Instant::now() + shutdown);
        let close_dead = shared.ends.dead.as_ref().map_or(Ok(()), |dead| dead.close(Instant::now() + shutdown));
        ended.store(true, Ordering::Release);
        stop.changed.notify_all();
        let asked = stop.is_asked();
        join(watch, &control);
        if let Some(error) = control.take_failure() {
            return Err(error);
        }
        close.map_err(|e| e.in_stage(&shared.ends.sink_label))?;
        close_dead.map_err(|e| e.in_stage("dead_letter"))?;
        if asked {
            return Ok(Ended::Stopped);
        }
        if completes {
            shared.log.lock().done()?;
        }
        Ok(Ended::Done)
    }
}

/// Passes a stop on, and says what is still waiting once it takes long.
fn watch(
    stop: &Arc<Stop>,
    control: &Arc<Control>,
    ended: &Arc<AtomicBool>,
    shutdown: Duration,
    opener: &Arc<Opener>,
) -> JoinHandle<()> {
    let (stop, control, ended) = (Arc::clone(stop), Arc::clone(control), Arc::clone(ended));
    let facts = Arc::clone(&opener.cx.facts);
    spawn("stop", &opener.span, move || {
        let mut asked = stop.asked.lock();
        while !*asked && !ended.load(Ordering::Acquire) {
            // The bound only guards against a wake-up that came between the look and the wait.
            stop.changed.wait_for(&mut asked, Duration::from_millis(200));
        }
        drop(asked);
        control.stop();
        let mut said = Instant::now();
        let late = Instant::now() + shutdown;
        while !ended.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(50));
            if said.elapsed() >= Duration::from_secs(2) {
                said = Instant::now();
                let lanes = control.running();
                let waits = facts.waits();
                if !lanes.is_empty() || !waits.is_empty() {
                    let left = late.saturating_duration_since(said).as_secs();
                    tracing::info!(
                        "stopping, at most {left} s more: waiting for {} {}",
                        lanes.join(", "),
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
            tracing::warn!("the records' fields are not those that the pipeline names\n{}", problems.render(false));
        }
    })
}

impl Lanes for Opener {
    fn starts(&self, ids: &[LaneId]) -> Result<Vec<Option<Start>>> {
        let starts = self.log.lock().starts(ids)?;
        ids.iter().zip(starts).map(|(id, start)| self.beyond_what_is_visible(id, start)).collect()
    }

    fn open(&self, id: LaneId, lane: Box<dyn Lane>, at: Option<Start>) -> Result<()> {
        let Some(cuts) = self.cuts.lock().clone() else { return Err(Error::bug("a lane after the end")) };
        let mut chain = Chain::build(&self.pipeline, usize::MAX, &self.cx, &self.surveys)?;
        let (part, states) = at.map(|start| (start.part, start.state)).unwrap_or_default();
        chain.restore(states.get(1..).unwrap_or_default())?;
        let position = lane.position();
        let lane: Box<dyn Lane> = match &self.pace {
            Some((pace, clock)) => Box::new(Paced::new(lane, *pace, Arc::clone(clock))),
            None => lane,
        };
        let (epoch, reins) = self.control.enter(&id)?;
        let opened = self.ends.sink.open(&id, epoch).map_err(|e| e.in_stage(&self.ends.sink_label)).and_then(|sink| {
            let dead = self.ends.dead.as_ref().map(|dead| dead.open(&id, epoch)).transpose();
            Ok((sink, dead.map_err(|e| e.in_stage("dead_letter"))?))
        });
        let (writer, dead) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.control.ended(&id, epoch);
                return Err(error);
            }
        };
        let now = Stretch::at(position, part, chain.held());
        let task = Task {
            id: Arc::clone(&id),
            epoch,
            reins,
            control: Arc::clone(&self.control),
            cuts,
            lane,
            chain,
            writer,
            dead,
            cadence: self.cadence,
            facts: Arc::clone(&self.cx.facts),
            source_label: self.pipeline.source.label.clone(),
            sink_label: self.ends.sink_label.clone(),
            check_fields: self.check_fields.clone(),
            now,
        };
        let control = Arc::clone(&self.control);
        spawn(&format!("lane {id}"), &self.span, move || {
            let (id, epoch) = (Arc::clone(&task.id), task.epoch);
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
            if ran.is_err() {
                control.fail(Error::bug(format!("the lane {id} panicked; what it had not committed is read again")));
                control.ended(&id, epoch);
            }
        });
        Ok(())
    }

    fn close(&self, ids: &[LaneId], lost: bool, until: Instant) -> Result<()> {
        self.control.close(ids, lost, until)
    }

    fn running(&self) -> Vec<LaneId> {
        self.control.running()
    }

    fn wait(&self, until: Instant) {
        self.control.wait(until);
    }

    fn stopping(&self) -> bool {
        self.control.stopping()
    }
}

impl Opener {
    /// No output may overlap what is visible: a lane whose log is behind its output goes on where the output ends.
    fn beyond_what_is_visible(&self, id: &LaneId, start: Option<Start>) -> Result<Option<Start>> {
        let visible = self.ends.sink.visible_end(id).map_err(|e| e.in_stage(&self.ends.sink_label))?;
        let Some(end) = visible.filter(|end| start.as_ref().is_none_or(|start| start.position.at < *end)) else {
            return Ok(start);
        };
        if self.pipeline.source.config.rerun().is_some() {
            return Err(Error::config(format!("there is output of {id} up to {end}, and no state that knows of it"))
                .in_stage(&self.ends.sink_label)
                .help("write to another place, put the state directory back, or start afresh with `--fresh`"));
        }
        tracing::warn!(
            "{id}: there is output up to {end}, beyond the committed position: going on there. What the transforms \
             knew then is not known here"
        );
        Ok(Some(Start { position: Position { at: end, row: 0 }, ..Start::default() }))
    }
}

fn spawn(name: &str, span: &tracing::Span, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let span = span.clone();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || span.in_scope(work))
        .expect("the system can start a thread")
}

fn join(thread: JoinHandle<()>, control: &Control) {
    if thread.join().is_err() {
        control.fail(Error::bug("a thread of the pipeline panicked"));
        control.lose_all();
    }
}
