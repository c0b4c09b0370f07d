//! How many files and connections this process may have open: each client of Kafka takes a dozen, and a run with many
//! pipelines, partitions and brokers takes more than shells allow by default.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aqpipe_engine::Error;
use aqpipe_engine::monitor::{Metrics, TOO_MANY_FILES};
use aqpipe_engine::run::{Stop, Summary};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What macOS allows at most where it says that there is no limit.
const MOST_OF_MACOS: u64 = 10_240;
/// How often is looked whether one more can be opened.
const LOOK: Duration = Duration::from_secs(1);
/// So many more looks without room than with it, while somebody waits and commits nothing, are no passing shortage: by
/// then librdkafka has tried each of its connections several times. What one of them gives back another takes at once, so
/// that there may seem to be room now and then.
const LOOKS: u32 = 5;
/// So many connections refused for it, while somebody waits and commits nothing: each is tried again, ever more slowly.
const REFUSALS: u64 = 5;

/// Raises the limit that a process may raise by itself.
pub(crate) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum || current.is_none() {
        return;
    }
    if setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err()
        && current.is_some_and(|current| current < MOST_OF_MACOS)
    {
        // Where this fails too, the run has what it had.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(MOST_OF_MACOS), maximum });
    }
}

/// What an exhausted limit is called, and what to do about it.
pub(crate) fn too_many_open_files() -> String {
    let limit = getrlimit(Resource::Nofile).current.map_or_else(|| "that of the system".to_owned(), |n| n.to_string());
    format!("too many open files: the limit is {limit}; raise it with `ulimit -n`, or run fewer pipelines at once")
}

/// The pipelines of a run, which end together when the limit is exhausted: what one of them frees another takes, so
/// that those which are left would limp.
struct Pipelines {
    all: Vec<(Arc<Metrics>, Arc<Stop>)>,
    exhausted: AtomicBool,
}

impl Pipelines {
    fn stop(&self) {
        if !self.exhausted.swap(true, Ordering::AcqRel) {
            tracing::error!("{}", too_many_open_files());
            self.all.iter().for_each(|(_, stop)| stop.ask());
        }
    }
}

/// What was seen of a pipeline.
#[derive(Clone, Default)]
struct Seen {
    commits: u64,
    looks: u32,
    /// Refusals up to its last commit.
    refused: u64,
}

impl Seen {
    /// Whether it waits for what it cannot open.
    fn is_stuck(&mut self, metrics: &Metrics, room: bool) -> bool {
        let (commits, refused) = (metrics.commits(), metrics.files_refused.load(Ordering::Relaxed));
        if commits != self.commits || metrics.waits().is_empty() {
            *self = Seen { commits, looks: 0, refused };
        } else {
            self.looks = if room { self.looks.saturating_sub(1) } else { self.looks + 1 };
        }
        self.looks >= LOOKS || refused - self.refused >= REFUSALS
    }
}

/// Watches over the limit until it is dropped.
pub(crate) struct Watch {
    pipelines: Arc<Pipelines>,
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Stops the pipelines when nothing more can be opened and one of them does not move: a client library that gets no
    /// socket tries on without end, and says so only in its log.
    pub(crate) fn start(pipelines: Vec<(Arc<Metrics>, Arc<Stop>)>) -> Watch {
        let pipelines = Arc::new(Pipelines { all: pipelines, exhausted: AtomicBool::new(false) });
        let (over, ended) = channel();
        let watched = Arc::clone(&pipelines);
        let thread = std::thread::Builder::new().name("open files".into()).spawn(move || {
            let pipelines = watched;
            let mut seen = vec![Seen::default(); pipelines.all.len()];
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let room = has_room();
                for ((metrics, _), seen) in pipelines.all.iter().zip(&mut seen) {
                    if seen.is_stuck(metrics, room) {
                        pipelines.stop();
                    }
                }
            }
        });
        Watch { pipelines, over: Some(over), thread: thread.ok() }
    }

    /// Looks at how a pipeline ended: where it could open nothing more, the others end too.
    pub(crate) fn look_at(&self, end: &Result<Summary, Error>) {
        if end.as_ref().is_err_and(|error| error.headline().contains(TOO_MANY_FILES)) {
            self.pipelines.stop();
        }
    }

    /// Whether the run was stopped.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.pipelines.exhausted.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether one more file can be opened.
fn has_room() -> bool {
    let full = |error: std::io::Error| matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE));
    !File::open("/dev/null").is_err_and(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_stuck_that_waits_and_commits_nothing_while_nothing_can_be_opened() {
        let metrics = Metrics::default();
        let mut seen = Seen::default();
        let mut looks = |metrics: &Metrics, room| (0..=LOOKS).any(|_| seen.is_stuck(metrics, room));
        assert!(has_room());
        assert!(!looks(&metrics, false), "it does not wait");
        metrics.waiting("kafka", Some("a broker".to_owned()));
        assert!(!looks(&metrics, true), "a broker that is not there is no matter of limits");
        metrics.files_refused.fetch_add(REFUSALS, Ordering::Relaxed);
        assert!(looks(&metrics, true));
        metrics.record_commit(Duration::ZERO);
        assert!(!looks(&metrics, true), "it goes on");
        assert!(looks(&metrics, false));
    }

    #[test]
    fn the_system_words_an_exhausted_limit_as_it_is_looked_for() {
        for error in [Errno::MFILE, Errno::NFILE] {
            assert!(std::io::Error::from(error).to_string().contains(TOO_MANY_FILES));
        }
    }
}
