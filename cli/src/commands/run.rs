//! `aqpipe run`: runs pipelines until they are done or stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aqpipe_console::notify::Notifier;
use aqpipe_engine::ErrorKind;
use aqpipe_engine::config::{LogLevel, Pipeline};
use aqpipe_engine::monitor::{About, AlertListener, Monitor, Monitored, summary};
use aqpipe_engine::run::{Outcome, RunOptions, Summary};
use aqpipe_engine::stage::{CheckpointPolicy, Extensions, Latch};

use aqpipe_stages::kafka::EmbeddedBroker;
use aqpipe_stages::{EmbeddedRun, StandIn};
use clap::Args;

use super::load;
use crate::dependencies::Dependencies;
use crate::exit::Exit;
use crate::listen::{self, HttpArgs};
use crate::logging::{self, LogOverrides, pipeline_span};
use crate::open_files::{self, OpenFilesMonitor};
use crate::printer;
use crate::progress::ProgressBars;
use crate::service::Service;
use crate::shell;
use crate::signals::handle_signals;
use crate::terminal;

/// Run one or several pipelines in one process.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    files: load::Files,
    /// Run on a Kafka broker inside this process: in memory, gone at exit, for trying things out. The run ends by
    /// itself and can be repeated.
    #[arg(long)]
    embedded_broker: bool,
    /// Generated readings instead of files that are missing, where the pipeline permits it (`sample_if_missing`). Their
    /// key is `sample`.
    #[arg(long)]
    sample: bool,
    /// End at the current end of the input, although more could come.
    #[arg(long)]
    until_end: bool,
    /// Forget positions and state, remove the output that the pipelines wrote themselves, start from the beginning.
    #[arg(long)]
    fresh: bool,
    /// Repeat pipelines whose last run read the whole input, although nothing was changed since.
    #[arg(long)]
    rerun: bool,
    /// No log line every few seconds, no alerts, and nothing served where `[monitor]` has `http`.
    #[arg(long)]
    no_monitoring: bool,
    #[command(flatten)]
    http: HttpArgs,
    /// Log to this file instead of those that the pipelines name. It is rotated as the first pipeline with `rotate` has it.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Log as JSON, on the console too. The last line of a pipeline has the numbers of its summary, which is not printed then.
    #[arg(long)]
    log_json: bool,
    /// Log from this level up, instead of what the pipelines say.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
}

/// How long notifications of alerts may take after the end: a process that is to be stopped has little more.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// The levels of `--log-level`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> LogLevel {
        match level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Where nothing could be started.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let Some(mut pipelines) = load::load(&args.files)? else { return Ok(Exit::Config) };
    let dependencies = match Dependencies::between_pipelines(&pipelines) {
        Ok(dependencies) => dependencies,
        Err(cycle) => {
            printer::error(&cycle, None);
            return Ok(Exit::Config);
        }
    };
    // The state of an embedded run must not outlive its broker: a later run would look for records that are gone.
    let scratch = if args.embedded_broker {
        Some(tempfile::tempdir().context("no directory for the state of an embedded run")?)
    } else {
        None
    };
    for pipeline in &mut pipelines {
        if let Some(scratch) = &scratch {
            pipeline.settings.state_dir = scratch.path().to_owned();
        }
        pipeline.settings.monitor.enabled &= !args.no_monitoring;
    }
    let bars = ProgressBars::new();
    let overrides =
        LogOverrides { file: args.log_file.clone(), json: args.log_json, level: args.log_level.map(LogLevel::from) };
    let logging = logging::start(&pipelines, &overrides, &bars)?;

    let shared = Arc::new(Extensions::default());
    shared.put(Arc::new(match args.sample || args.embedded_broker {
        true => StandIn::Allowed,
        false => StandIn::Refused { command: format!("{} --sample", shell::command()) },
    }));
    if args.embedded_broker {
        let broker = EmbeddedBroker::start().map_err(|e| anyhow::anyhow!("the embedded broker does not start: {e}"))?;
        tracing::warn!(
            "this run uses a broker inside this process: it keeps its records in memory, they are gone at exit, and \
             it is not for production"
        );
        shared.put(Arc::new(broker));
        shared.put(Arc::new(EmbeddedRun));
    }
    let jobs = jobs(&pipelines, &dependencies, args, &shared);
    let monitors: Vec<Monitor> = jobs.iter().map(|job| job.monitor.clone()).collect();
    let server = match listen::start(&args.http, &monitors) {
        Ok(server) => server,
        Err(exit) => return Ok(exit),
    };
    handle_signals(jobs.iter().map(|job| job.options.cancellation.clone()).collect(), logging.files())?;
    let monitored = jobs.iter().map(|job| (Arc::clone(&job.options.metrics), job.options.cancellation.clone()));
    let open_files = OpenFilesMonitor::start(monitored.collect());
    let service = Service::start(jobs.iter().map(|job| job.monitor.clone()).collect());
    let outcomes: Vec<Result<Summary, aqpipe_engine::Error>> = std::thread::scope(|scope| {
        let running: Vec<_> = jobs.iter().map(|job| scope.spawn(|| job.run(&bars, &open_files))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(aqpipe_engine::Error::bug("a pipeline panicked"))))
            .collect()
    });
    drop((server, service, logging));
    let exit = print_summaries(&jobs, &outcomes, args.log_json);
    let until = Instant::now() + NOTIFY_TIMEOUT;
    jobs.iter().filter_map(|job| job.notifier.as_ref()).for_each(|notifier| notifier.finish(until));
    if open_files.is_exhausted() {
        printer::error(&open_files::exhausted_message(), None);
        return Ok(exit.max(Exit::Failed));
    }
    Ok(exit)
}

/// One pipeline of a run.
struct Job {
    pipeline: Pipeline,
    options: RunOptions,
    monitor: Monitor,
    notifier: Option<Arc<Notifier>>,
    /// Opened when this pipeline ends.
    done: Arc<Latch>,
    /// The `done` of the pipelines that write what this one reads.
    writers: Vec<Arc<Latch>>,
}

fn jobs(pipelines: &[Pipeline], dependencies: &Dependencies, args: &RunArgs, shared: &Arc<Extensions>) -> Vec<Job> {
    let latches: Vec<Arc<Latch>> = pipelines.iter().map(|_| Arc::default()).collect();
    pipelines
        .iter()
        .enumerate()
        .map(|(i, pipeline)| {
            let writers: Vec<Arc<Latch>> = dependencies.writers(i).map(|writer| Arc::clone(&latches[writer])).collect();
            let options = RunOptions {
                fresh: args.fresh,
                rerun: args.rerun,
                until_end: args.until_end || args.embedded_broker,
                upstream: (!writers.is_empty()).then(Arc::default),
                extensions: Arc::clone(shared),
                ..RunOptions::default()
            };
            let monitored = monitored(pipeline, options.until_end);
            let settings = Some(&monitored.settings).filter(|settings| settings.enabled);
            let notifier =
                settings.and_then(|settings| Notifier::start(&pipeline.name, &settings.notify, &options.metrics));
            let listener = notifier.clone().map(|notifier| notifier as Arc<dyn AlertListener>);
            let monitor = Monitor::new(monitored, Arc::clone(&options.metrics), options.clock.clone(), listener);
            Job { pipeline: pipeline.clone(), options, monitor, notifier, done: Arc::clone(&latches[i]), writers }
        })
        .collect()
}

/// What a monitor knows of a pipeline before it runs.
fn monitored(pipeline: &Pipeline, until_end: bool) -> Monitored {
    Monitored {
        about: About {
            name: pipeline.name.clone(),
            topology: pipeline.topology.clone(),
            delivery: pipeline.delivery.to_string(),
            tests: pipeline.tests(),
        },
        settings: pipeline.settings.monitor.clone(),
        is_bounded: until_end || pipeline.source.config.ends_by_itself(),
        is_paced: pipeline.source.config.pace().is_some(),
        commit_interval: match pipeline.sink.config.checkpoint_policy() {
            CheckpointPolicy::Records { timeout, .. } => timeout,
            CheckpointPolicy::Interval => Duration::from_millis(pipeline.settings.commit_interval_ms),
        },
    }
}

impl Job {
    /// Whether the run ends by itself.
    fn is_bounded(&self) -> bool {
        self.options.until_end || self.pipeline.source.config.ends_by_itself()
    }

    fn run(&self, bars: &ProgressBars, open_files: &OpenFilesMonitor) -> Result<Summary, aqpipe_engine::Error> {
        let span = pipeline_span(&self.pipeline.name);
        let _entered = span.enter();
        tracing::info!("{}", self.pipeline.topology);
        let result = std::thread::scope(|scope| {
            if let Some(upstream) = &self.options.upstream {
                // This thread ends with the writers at the latest, which end independently of this pipeline.
                scope.spawn(|| {
                    for writer in &self.writers {
                        while !writer.wait(Duration::from_secs(1)) {
                            if self.done.is_open() {
                                return;
                            }
                        }
                    }
                    upstream.open();
                });
            }
            let bar = match self.pipeline.source.config.boundedness().is_bounded() {
                true => bars.track(&self.pipeline.name, Arc::clone(&self.options.metrics)),
                false => bars.show_status(self.monitor.clone()),
            };
            let watching = self.monitor.start();
            let result = aqpipe_engine::run::run(&self.pipeline, &self.options);
            drop((watching, bar));
            self.done.open();
            result
        });
        open_files.check_outcome(&result);
        match &result {
            Ok(done) => tracing::info!("{}", outcome_message(done.outcome)),
            Err(error) => {
                tracing::error!("{}", error.headline());
                error.below().iter().for_each(|line| tracing::error!("{line}"));
                if let Some(help) = error.help_text() {
                    tracing::error!("{help}");
                }
            }
        }
        self.monitor.log_summary();
        result
    }
}

fn outcome_message(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Stopped => "stopped; the next start goes on from here",
        Outcome::NothingToDo | Outcome::NothingToDoAfterAllDied => "nothing to do",
    }
}

/// Prints what the pipelines came to, the numbers of which a log of JSON has already (`is_logged`), and returns the exit code.
fn print_summaries(jobs: &[Job], outcomes: &[Result<Summary, aqpipe_engine::Error>], is_logged: bool) -> Exit {
    let mut code = Exit::Done;
    for (job, outcome) in jobs.iter().zip(outcomes) {
        let name = &job.pipeline.name;
        let metrics = job.options.metrics.snapshot();
        if !is_logged {
            // Off a terminal, lines are those of the narrowest that people have.
            summary(name, &metrics, terminal::columns().unwrap_or(80)).iter().for_each(|line| printer::err(line));
        }
        if !is_logged && !metrics.dead_letters.is_empty() && job.pipeline.dead_letter.is_some() {
            let file = shell::word(&job.pipeline.path.display().to_string());
            printer::err(&format!("  `aqpipe dead-letters list {file}` lists the dead letters"));
        }
        let all_died = metrics.held == 0 && metrics.counts.all_dead();
        match outcome {
            Ok(Summary { outcome: Outcome::Done, .. }) if all_died => {
                printer::error(&format!("{name}: every record became a dead letter"), None);
                code = code.max(Exit::AllDeadLetters);
            }
            Ok(Summary { outcome: Outcome::NothingToDoAfterAllDied, .. }) => {
                let message = format!("{name}: every record of the run before became a dead letter");
                printer::error(&message, Some("once the cause is mended, `aqpipe dead-letters replay` carries them"));
                code = code.max(Exit::AllDeadLetters);
            }
            Ok(_) => {}
            Err(error) => {
                printer::failure(Some(name), error);
                // A failure outweighs a wrong configuration, which the next start finds again.
                code = code.max(match error.kind() {
                    ErrorKind::Config => Exit::Config,
                    ErrorKind::DeadLetters if all_died && job.is_bounded() => Exit::AllDeadLetters,
                    _ => Exit::Failed,
                });
            }
        }
    }
    code
}
