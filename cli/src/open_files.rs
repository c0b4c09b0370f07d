//! The limit of open files: a Kafka client takes a dozen, and a run with many pipelines, partitions and brokers takes more
//! than shells allow by default.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aqpipe_engine::Error;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::monitor::{Metrics, TOO_MANY_FILES};
use aqpipe_engine::run::Summary;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most open files that macOS allows where it reports no limit.
const MACOS_OPEN_FILES_MAX: u64 = 10_240;
/// How often the monitor probes whether one more file can be opened.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How many failed probes, less the successful ones, a waiting pipeline without commits survives. By then librdkafka has
/// tried each of its connections several times. A probe may succeed now and then, because a descriptor that one client
/// frees is taken by another.
const FAILED_PROBES_MAX: u32 = 5;
/// How many connections may fail for lack of descriptors while a pipeline waits without commits: each is retried, ever
/// more slowly.
const REFUSALS_MAX: u64 = 5;

/// Raises the soft limit as far as the system allows.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum || current.is_none() {
        return;
    }
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
        && current.is_some_and(|current| current < MACOS_OPEN_FILES_MAX)
    {
        // Where this fails too, the limit stays as it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(MACOS_OPEN_FILES_MAX), maximum });
    }
}

/// The error of an exhausted limit.
pub(crate) fn exhausted_message() -> String {
    let limit = getrlimit(Resource::Nofile).current.map_or_else(|| "that of the system".to_owned(), |n| n.to_string());
    format!("too many open files: the limit is {limit}; raise it with `ulimit -n`, or run fewer pipelines at once")
}

/// The pipelines of a run. An exhausted limit ends all of them, because those that go on would compete for the
/// descriptors that the others free.
struct Pipelines {
    all: Vec<(Arc<Metrics>, CancellationToken)>,
    exhausted: AtomicBool,
}

impl Pipelines {
    fn stop(&self) {
        if !self.exhausted.swap(true, Ordering::AcqRel) {
            tracing::error!("{}", exhausted_message());
            self.all.iter().for_each(|(_, stop)| stop.stop());
        }
    }
}

/// Detects a pipeline that makes no progress for lack of descriptors.
#[derive(Clone, Default)]
struct StallDetector {
    commits: u64,
    failed_probes: u32,
    /// The refused connections up to its last commit.
    refused_at_commit: u64,
}

impl StallDetector {
    /// Whether the pipeline is stuck; `can_open` is the result of the last probe.
    fn is_stuck(&mut self, metrics: &Metrics, can_open: bool) -> bool {
        let (commits, refused) = (metrics.commits(), metrics.files_refused.load(Ordering::Relaxed));
        if commits != self.commits || metrics.waits().is_empty() {
            *self = StallDetector { commits, failed_probes: 0, refused_at_commit: refused };
        } else {
            self.failed_probes = if can_open { self.failed_probes.saturating_sub(1) } else { self.failed_probes + 1 };
        }
        self.failed_probes >= FAILED_PROBES_MAX || refused - self.refused_at_commit >= REFUSALS_MAX
    }
}

/// Monitors the limit until it is dropped.
pub(crate) struct OpenFilesMonitor {
    pipelines: Arc<Pipelines>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OpenFilesMonitor {
    /// Starts a thread that stops all pipelines when no file can be opened and one of them is stuck: librdkafka retries
    /// without end where it gets no socket, and says so in its log alone.
    pub(crate) fn start(pipelines: Vec<(Arc<Metrics>, CancellationToken)>) -> OpenFilesMonitor {
        let pipelines = Arc::new(Pipelines { all: pipelines, exhausted: AtomicBool::new(false) });
        let (stop, stopped) = channel();
        let watched = Arc::clone(&pipelines);
        let thread = std::thread::Builder::new().name("open files".into()).spawn(move || {
            let pipelines = watched;
            let mut detectors = vec![StallDetector::default(); pipelines.all.len()];
            while stopped.recv_timeout(PROBE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let can_open = can_open();
                for ((metrics, _), detector) in pipelines.all.iter().zip(&mut detectors) {
                    if detector.is_stuck(metrics, can_open) {
                        pipelines.stop();
                    }
                }
            }
        });
        OpenFilesMonitor { pipelines, stop: Some(stop), thread: thread.ok() }
    }

    /// Stops the other pipelines where this one failed for lack of descriptors.
    pub(crate) fn check_outcome(&self, outcome: &Result<Summary, Error>) {
        if outcome.as_ref().is_err_and(|error| error.headline().contains(TOO_MANY_FILES)) {
            self.pipelines.stop();
        }
    }

    /// Whether the limit was exhausted and the run stopped.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.pipelines.exhausted.load(Ordering::Acquire)
    }
}

impl Drop for OpenFilesMonitor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether one more file can be opened.
fn can_open() -> bool {
    let full = |error: std::io::Error| matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE));
    !File::open("/dev/null").is_err_and(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_pipeline_without_commits_is_stuck_while_no_file_can_be_opened() {
        let metrics = Metrics::default();
        let mut detector = StallDetector::default();
        let mut is_stuck =
            |metrics: &Metrics, can_open| (0..=FAILED_PROBES_MAX).any(|_| detector.is_stuck(metrics, can_open));
        assert!(can_open());
        assert!(!is_stuck(&metrics, false), "a pipeline that does not wait is not stuck");
        metrics.waiting("kafka", Some("a broker".to_owned()));
        assert!(!is_stuck(&metrics, true), "it waits for a broker, and files can be opened");
        metrics.files_refused.fetch_add(REFUSALS_MAX, Ordering::Relaxed);
        assert!(is_stuck(&metrics, true));
        metrics.record_commit(Duration::ZERO);
        assert!(!is_stuck(&metrics, true), "a commit is progress");
        assert!(is_stuck(&metrics, false));
    }

    #[test]
    fn the_systems_error_of_an_exhausted_limit_is_recognised() {
        for error in [Errno::MFILE, Errno::NFILE] {
            assert!(std::io::Error::from(error).to_string().contains(TOO_MANY_FILES));
        }
    }
}
