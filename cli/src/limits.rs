//! How many files and connections this process may have open: each client of Kafka takes a dozen, and a run with many
//! pipelines, partitions and brokers takes more than shells allow by default.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::run::Stop;
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
pub(crate) fn is_of_open_files(text: &str) -> bool {
    static WORDS: OnceLock<[String; 2]> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        [Errno::MFILE, Errno::NFILE].map(|error| {
            let text = std::io::Error::from(error).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        })
    });
    words.iter().any(|word| text.contains(word.as_str()))
}

/// Watches over the limit until it is dropped.
pub(crate) struct Watch {
    exhausted: Arc<AtomicBool>,
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Stops the pipelines when nothing more can be opened and one of them does not move: a client library that gets no socket
    /// tries on without end, and says so only in its log.
    pub(crate) fn start(pipelines: Vec<(Arc<Facts>, Arc<Stop>)>) -> Watch {
        let exhausted = Arc::new(AtomicBool::new(false));
        let (over, ended) = channel();
        let found = Arc::clone(&exhausted);
        let thread = std::thread::Builder::new().name("open files".into()).spawn(move || {
            let mut seen: Vec<(u64, u32)> = pipelines.iter().map(|(facts, _)| (facts.snapshot().commits, 0)).collect();
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let room = has_room();
                for ((facts, _), (commits, looks)) in pipelines.iter().zip(&mut seen) {
                    let now = facts.snapshot().commits;
                    *looks = match now == *commits && !facts.waits().is_empty() {
                        true if room => looks.saturating_sub(1),
                        true => *looks + 1,
                        false => 0,
                    };
                    *commits = now;
                }
                if seen.iter().any(|(_, looks)| *looks >= LOOKS) && !found.swap(true, Ordering::AcqRel) {
                    tracing::error!("{}", too_many_open_files());
                    pipelines.iter().for_each(|(_, stop)| stop.ask());
                }
            }
        });
        Watch { exhausted, over: Some(over), thread: thread.ok() }
    }

    /// Whether it stopped the run.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Acquire)
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
