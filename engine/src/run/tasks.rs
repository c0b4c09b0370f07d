//! The tasks of a running pipeline: which there are, which are to end, and whether something failed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};

use super::reconfigure::Reconfiguration;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::record::SplitId;
use crate::stage::Waker;

/// How much state the checkpoints under way may have together: of a large state, two that are whole take as much memory as the state
/// does twice.
const STATE_IN_FLIGHT_BYTES_MAX: usize = 64 << 20;

/// The signal to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskSignal {
    /// Go on.
    Run,
    /// Take a checkpoint and end.
    Drain,
    /// End at once: another instance has the split.
    Revoked,
}

/// The signal to a task, and a swap that it is to take part in. Shared with its thread.
#[derive(Default)]
pub(super) struct TaskHandle {
    signal: AtomicU8,
    has_reconfiguration: AtomicBool,
    reconfiguration: Mutex<Option<Arc<Reconfiguration>>>,
    /// Ends the wait of the task for records.
    waker: Mutex<Option<Waker>>,
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.signal())
    }
}

impl TaskHandle {
    pub(super) fn signal(&self) -> TaskSignal {
        match self.signal.load(Ordering::Acquire) {
            0 => TaskSignal::Run,
            1 => TaskSignal::Drain,
            _ => TaskSignal::Revoked,
        }
    }

    /// The swap that the task is to take part in, once.
    pub(super) fn take_reconfiguration(&self) -> Option<Arc<Reconfiguration>> {
        if !self.has_reconfiguration.swap(false, Ordering::AcqRel) {
            return None;
        }
        self.reconfiguration.lock().take()
    }

    fn raise(&self, signal: TaskSignal) {
        // A signal is never taken back: a revoked split does not drain.
        self.signal.fetch_max(signal as u8, Ordering::AcqRel);
        self.wake();
    }

    /// Takes what ends the wait of the task for records, before it looks at its signal; `None` at its end.
    pub(super) fn set_waker(&self, waker: Option<Waker>) {
        *self.waker.lock() = waker;
    }

    fn wake(&self) {
        let waker = self.waker.lock().clone();
        if let Some(wake) = waker {
            wake();
        }
    }
}

#[derive(Debug)]
struct Entry {
    epoch: u64,
    handle: Arc<TaskHandle>,
    /// Checkpoints that the task submitted and the committer has not finished with.
    in_flight: u64,
    /// Whether its thread has ended.
    ended: bool,
    /// Whether a commit of it was refused: it stays until its source has closed it, for it did not come to its end.
    refused: bool,
}

impl Entry {
    fn is_gone(&self) -> bool {
        self.ended && self.in_flight == 0 && !self.refused
    }

    /// Whether it ends, or has ended, once its checkpoints are committed.
    fn ends_with_commits(&self) -> bool {
        self.in_flight > 0 && (self.ended || self.handle.signal() != TaskSignal::Run)
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    splits: HashMap<SplitId, Entry>,
    epochs: u64,
    /// The state in checkpoints that were submitted and that the committer has not finished with.
    bytes_in_flight: usize,
    /// How many tasks wait until checkpoints are committed.
    waiting: usize,
    failure: Option<Error>,
    failed: bool,
    stopping: bool,
    source_ended: bool,
}

impl State {
    pub(super) fn source_ended(&self) -> bool {
        self.source_ended
    }

    /// Whether a task runs, or a checkpoint is under way.
    pub(super) fn has_work(&self) -> bool {
        self.splits.values().any(|entry| !entry.ended || entry.in_flight > 0)
    }
}

/// The tasks of a running pipeline. Every wait on it is for a change that notifies.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    state: Mutex<State>,
    changed: Condvar,
    /// Where failures are counted.
    metrics: Arc<Metrics>,
    /// Wakes a committer that waits for more checkpoints, so that it looks whether somebody waits for it.
    hurry: Option<Sender<()>>,
}

impl Tasks {
    pub(super) fn new(metrics: &Arc<Metrics>, hurry: Sender<()>) -> Tasks {
        Tasks { metrics: Arc::clone(metrics), hurry: Some(hurry), ..Tasks::default() }
    }

    /// Whether checkpoints that were submitted are to be committed now: a task or its end waits for that.
    pub(super) fn awaits_commits(&self) -> bool {
        let state = self.state.lock();
        state.stopping || state.waiting > 0 || state.splits.values().any(Entry::ends_with_commits)
    }

    fn hurry(&self) {
        if let Some(hurry) = &self.hurry {
            // One that is there already is enough.
            let _ = hurry.try_send(());
        }
    }

    /// Registers a split. It has ended once its thread has, and the committer has finished with its checkpoints.
    pub(super) fn register(&self, id: &SplitId) -> Result<(u64, Arc<TaskHandle>)> {
        let mut state = self.state.lock();
        // A revoked task may still wait for something. Its checkpoints do not count any more.
        if state.splits.get(id).is_some_and(|entry| entry.handle.signal() != TaskSignal::Revoked) {
            return Err(Error::bug(format!("the split {id} is open already")));
        }
        state.epochs += 1;
        let (epoch, handle) = (state.epochs, Arc::<TaskHandle>::default());
        if state.failed {
            handle.raise(TaskSignal::Revoked);
        }
        let entry = Entry { epoch, handle: Arc::clone(&handle), in_flight: 0, ended: false, refused: false };
        state.splits.insert(Arc::clone(id), entry);
        Ok((epoch, handle))
    }

    /// Waits while checkpoints of a split are under way that still runs. Signals are looked at every `poll`.
    pub(super) fn wait_for_commits(&self, id: &SplitId, epoch: u64, poll: Duration) {
        let mut state = self.state.lock();
        let waits =
            |entry: &Entry| entry.epoch == epoch && entry.in_flight > 0 && entry.handle.signal() == TaskSignal::Run;
        state.waiting += 1;
        self.hurry();
        while state.splits.get(id).is_some_and(waits) {
            self.changed.wait_for(&mut state, poll);
        }
        state.waiting -= 1;
    }

    /// A task submits a checkpoint with so many bytes of state. Waits while those that are under way have too many.
    pub(super) fn submit_checkpoint(&self, id: &SplitId, epoch: u64, bytes: usize) {
        let mut state = self.state.lock();
        state.waiting += 1;
        while state.bytes_in_flight > 0 && state.bytes_in_flight.saturating_add(bytes) > STATE_IN_FLIGHT_BYTES_MAX {
            self.hurry();
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
        state.bytes_in_flight += bytes;
        if let Some(entry) = state.splits.get_mut(id).filter(|entry| entry.epoch == epoch) {
            entry.in_flight += 1;
        }
    }

    /// The committer has finished with a checkpoint, committed or not.
    pub(super) fn checkpoint_finished(&self, id: &SplitId, epoch: u64, bytes: usize) {
        {
            let mut state = self.state.lock();
            state.bytes_in_flight = state.bytes_in_flight.saturating_sub(bytes);
        }
        self.change(id, epoch, |entry| entry.in_flight = entry.in_flight.saturating_sub(1));
    }

    /// The thread of a split has ended.
    pub(super) fn task_ended(&self, id: &SplitId, epoch: u64) {
        self.change(id, epoch, |entry| entry.ended = true);
        self.hurry();
    }

    fn change(&self, id: &SplitId, epoch: u64, change: impl FnOnce(&mut Entry)) {
        let mut state = self.state.lock();
        if let Some(entry) = state.splits.get_mut(id).filter(|entry| entry.epoch == epoch) {
            change(entry);
            if entry.is_gone() {
                state.splits.remove(id);
            }
        }
        self.changed.notify_all();
    }

    /// A commit of splits was refused: they end without a checkpoint, and their source is to close them.
    pub(super) fn refused(&self, ids: &[SplitId]) {
        let mut state = self.state.lock();
        for id in ids {
            if let Some(entry) = state.splits.get_mut(id) {
                // One that is being closed already waits for no second close; one of which several checkpoints were refused
                // is named several times.
                entry.refused |= entry.handle.signal() == TaskSignal::Run;
                entry.handle.raise(TaskSignal::Revoked);
            }
        }
        self.changed.notify_all();
    }

    /// Has all tasks take part in a swap.
    pub(super) fn reconfigure(&self, reconfiguration: &Arc<Reconfiguration>) {
        for entry in self.state.lock().splits.values() {
            *entry.handle.reconfiguration.lock() = Some(Arc::clone(reconfiguration));
            entry.handle.has_reconfiguration.store(true, Ordering::Release);
            entry.handle.wake();
        }
    }

    /// The splits whose threads run, and may still take a checkpoint.
    pub(super) fn active(&self) -> Vec<SplitId> {
        let state = self.state.lock();
        let active = |entry: &Entry| !entry.ended && entry.handle.signal() == TaskSignal::Run;
        state.splits.iter().filter(|(_, entry)| active(entry)).map(|(id, _)| Arc::clone(id)).collect()
    }

    /// How many splits have not ended.
    pub(super) fn count(&self) -> usize {
        self.state.lock().splits.values().filter(|entry| !entry.ended).count()
    }

    /// Whether a checkpoint of that split still counts.
    pub(super) fn is_revoked(&self, id: &SplitId, epoch: u64) -> bool {
        let state = self.state.lock();
        state.splits.get(id).is_none_or(|entry| entry.epoch != epoch || entry.handle.signal() == TaskSignal::Revoked)
    }

    /// Ends splits, and waits for it until `until`.
    pub(super) fn close(&self, ids: &[SplitId], lost: bool, until: Instant) -> Result<()> {
        let signal = if lost { TaskSignal::Revoked } else { TaskSignal::Drain };
        let mut state = self.state.lock();
        for id in ids {
            if let Some(entry) = state.splits.get_mut(id) {
                entry.handle.raise(signal);
                entry.refused = false;
                if entry.is_gone() {
                    state.splits.remove(id);
                }
            }
        }
        self.hurry();
        while ids.iter().any(|id| state.splits.contains_key(id)) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        let late: Vec<&SplitId> = ids.iter().filter(|id| state.splits.contains_key(*id)).collect();
        if late.is_empty() {
            return Ok(());
        }
        late.iter().filter_map(|id| state.splits.get(*id)).for_each(|entry| entry.handle.raise(TaskSignal::Revoked));
        let names = late.iter().map(|id| &***id).collect::<Vec<_>>().join(", ");
        Err(Error::new(format!("{names} did not come to a checkpoint in time"))
            .help("what was not committed is read again at the next start"))
    }

    /// The splits that have not ended.
    pub(super) fn running(&self) -> Vec<SplitId> {
        self.state.lock().splits.keys().cloned().collect()
    }

    /// Waits for any change, until `until`.
    pub(super) fn wait(&self, until: Instant) {
        let mut state = self.state.lock();
        if !state.stopping {
            let _ = self.changed.wait_until(&mut state, until);
        }
    }

    /// Waits while something holds.
    pub(super) fn wait_while(&self, holds: impl Fn(&State) -> bool) {
        let mut state = self.state.lock();
        while holds(&state) {
            self.changed.wait(&mut state);
        }
    }

    /// The source's thread has ended.
    pub(super) fn source_has_ended(&self) {
        self.state.lock().source_ended = true;
        self.changed.notify_all();
    }

    /// Asks the source to close its splits and return.
    pub(super) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
        self.hurry();
    }

    pub(super) fn stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Takes a failure. The first one is the pipeline's; the other splits take a checkpoint and end.
    pub(super) fn fail(&self, mut error: Error) {
        self.metrics.record_error(&mut error);
        let mut state = self.state.lock();
        state.stopping = true;
        state.failed = true;
        if state.failure.is_none() {
            state.failure = Some(error);
        } else {
            tracing::error!("{error}");
        }
        for entry in state.splits.values() {
            entry.handle.raise(TaskSignal::Drain);
        }
        self.changed.notify_all();
        self.hurry();
    }

    /// Nothing can be committed any more: splits end without a checkpoint.
    pub(super) fn revoke_all(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.failed = true;
        for entry in state.splits.values() {
            entry.handle.raise(TaskSignal::Revoked);
        }
        self.changed.notify_all();
        self.hurry();
    }

    /// Whether something failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    /// The first failure.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.state.lock().failure.take()
    }
}

#[cfg(test)]
mod tests;
