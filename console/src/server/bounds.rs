//! Bounds, so that slow or many clients cost the pipelines nothing that one could measure.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// Connections of a listener: some tens of people and probes, and room for those that forgot to close. Beyond it, one that asks nothing
/// gives its place to the one that comes; where all are answered, that one is closed at once.
const CONNECTIONS_MAX: usize = 1_000;
/// The part of the files that the process may open: pipelines need theirs.
const OPEN_FILES_SHARE: usize = 4;
/// Of ten connections, those that may be event streams: metrics and health are answered however many pages are open.
const STREAMS_IN_TEN: usize = 8;
/// A head that is larger has nothing to do with us. Answers are not copied into this buffer.
pub(super) const BUFFER_BYTES: usize = 16 << 10;
/// Time for what is being answered when a connection is to end.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// Time without an event after which a stream says that it is there.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The time between two rounds of events, for all clients together.
pub(super) const ROUND_INTERVAL: Duration = Duration::from_secs(1);
/// Views of the page (a pipeline, a station, a field) that are drawn each round: each costs some milliseconds.
pub(super) const VIEWS_MAX: usize = 16;
/// How old an answer may be: clients that ask at the same time share it.
pub(super) const FRESH_FOR: Duration = Duration::from_millis(250);
/// The pause after a connection could not be accepted, for want of open files.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Time for a connection to give up its place where all are taken: it only has to be woken, and others wait meanwhile.
pub(super) const GIVE_UP_TIMEOUT: Duration = Duration::from_millis(100);

/// How long connections last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    /// Time for the head of a request, and for the next one on the same connection.
    pub(super) head: Duration,
    /// Time for a connection. A client that reads slower than this loses its answer, one that asks often connects again.
    pub(super) connection: Duration,
    /// Time for a connection that holds an event stream. A page opens it again.
    pub(super) stream: Duration,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        Lifetimes {
            head: Duration::from_secs(10),
            connection: Duration::from_secs(60),
            stream: Duration::from_secs(3_600),
        }
    }
}

/// How many connections a listener holds at a time, and how many of these may be event streams.
pub(super) fn connections() -> (usize, usize) {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    let connections = files.map_or(CONNECTIONS_MAX, |files| (files / OPEN_FILES_SHARE).clamp(10, CONNECTIONS_MAX));
    (connections, connections * STREAMS_IN_TEN / 10)
}
