//! How many files and connections this process may have open: each client of Kafka takes a dozen, and a run with many
//! pipelines, partitions and brokers takes more than shells allow by default.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use aqpipe_engine::Error;
use aqpipe_engine::monitor::Facts;
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

/// Whether an error's text says that the limit is exhausted, as the system words it.
fn is_of_open_files(text: &str) -> bool {
    static WORDS: OnceLock<[String; 2]> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        [Errno::MFILE, Errno::NFILE].map(|error| {
            let text = std::io::Error::from(error).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        })
    });
    words.iter().any(|word| text.contains(word.as_str()))
}

/// The pipelines of a run, which end together when the limit is exhausted: what one of them frees another takes, so
/// that those which are left would limp.
struct Pipelines {
    all: Vec<(Arc<Facts>, Arc<Stop>)>,
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

/// Watches over the limit until it is dropped.
pub(crate) struct Watch {
    pipelines: Arc<Pipelines>,
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Stops the pipelines when nothing more can be opened and one of them does not move: a client library that gets no
    /// socket tries on without end, and says so only in its log.
    pub(crate) fn start(pipelines: Vec<(Arc<Facts>, Arc<Stop>)>) -> Watch {
        let pipelines = Arc::new(Pipelines { all: pipelines, exhausted: AtomicBool::new(false) });
        let (over, ended) = channel();
        let watched = Arc::clone(&pipelines);
        let thread = std::thread::Builder::new().name("open files".into()).spawn(move || {
            let pipelines = watched;
            let mut seen: Vec<(u64, u32)> = pipelines.all.iter().map(|(facts, _)| (facts.commits(), 0)).collect();
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let room = has_room();
                for ((facts, _), (commits, looks)) in pipelines.all.iter().zip(&mut seen) {
                    let now = facts.commits();
                    *looks = match now == *commits && !facts.waits().is_empty() {
                        true if room => looks.saturating_sub(1),
                        true => *looks + 1,
                        false => 0,
                    };
                    *commits = now;
                }
                if seen.iter().any(|(_, looks)| *looks >= LOOKS) {
                    pipelines.stop();
                }
            }
        });
        Watch { pipelines, over: Some(over), thread: thread.ok() }
    }

    /// Looks at how a pipeline ended: where it could open nothing more, the others end too.
    pub(crate) fn look_at(&self, end: &Result<Summary, Error>) {
        if end.as_ref().is_err_and(|error| is_of_open_files(&error.headline())) {
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
    fn an_exhausted_limit_is_known_by_the_words_of_the_system() {
        let error = std::io::Error::from(Errno::MFILE);
        assert!(is_of_open_files(&format!("cannot create out/x.tmp: {error}")));
        assert!(is_of_open_files("127.0.0.1:9092/bootstrap: Failed to create socket: Too many open files (after 0ms)"));
        assert!(!is_of_open_files("No space left on device (os error 28)"));
        assert!(has_room());
    }
}
