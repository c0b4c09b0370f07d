//! Reads a topic to its present end, outside of a run: nothing is committed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use aqpipe_engine::record::{Batch, SplitId};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, FencingToken, Poll, SourceConfig, SourceContext, SplitReader, SplitState,
};
use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};

use super::read_source::{BATCH_ROWS_MAX, READ_TIMEOUT};

/// Batches that wait for the report: the readers are faster.
const BATCHES_MAX: usize = 4;

type Rows = Result<(Batch, Vec<DeadLetter>)>;

/// The engine as the source sees it: a thread for each split, and no commits.
struct Reading {
    rows: SyncSender<Rows>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: BTreeSet<SplitId>,
    opened: BTreeSet<SplitId>,
    /// Splits that are to end early.
    closing: BTreeSet<SplitId>,
    stopping: bool,
}

/// Reads a topic.
///
/// # Errors
/// Where it cannot be read to its end.
pub(super) fn read_topic(
    config: &dyn SourceConfig,
    cx: &BuildContext,
    mut take: impl FnMut(Batch, Vec<DeadLetter>) -> Result<()>,
) -> Result<()> {
    let source = config.build(cx)?;
    let (rows, received) = sync_channel(BATCHES_MAX);
    let reading = Arc::new(Reading { rows, state: Mutex::default(), changed: Condvar::new() });
    let source = std::thread::spawn({
        let shared = Arc::new(Shared(Arc::clone(&reading)));
        move || source.run(shared)
    });
    let stop = Arc::downgrade(&reading);
    drop(reading);
    let mut outcome = Ok(());
    // The channel ends with the source and the threads of all splits.
    for rows in received {
        if outcome.is_ok() {
            outcome = rows.and_then(|(batch, dead)| take(batch, dead));
        }
        if let (Err(_), Some(reading)) = (&outcome, stop.upgrade()) {
            reading.stop();
        }
    }
    let ran = source.join().unwrap_or_else(|_| Err(Error::bug("the source panicked")));
    outcome.and(ran)
}

impl Reading {
    fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    fn read_split(&self, id: &SplitId, mut reader: Box<dyn SplitReader>) {
        loop {
            let state = self.state.lock();
            if state.stopping || state.closing.contains(id) {
                break;
            }
            drop(state);
            let rows = match reader.next(BATCH_ROWS_MAX, Instant::now() + READ_TIMEOUT) {
                Ok(Poll::Rows(batch, dead)) => Ok((batch, dead)),
                Ok(Poll::Idle) => continue,
                Ok(Poll::End) => break,
                Err(error) => Err(error.at(id.to_string())),
            };
            let failed = rows.is_err();
            // Nobody reads any more where the report has failed.
            if self.rows.send(rows).is_err() || failed {
                break;
            }
        }
        self.state.lock().running.remove(id);
        self.changed.notify_all();
    }
}

/// What the source has of it.
struct Shared(Arc<Reading>);

impl SourceContext for Shared {
    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        Ok(vec![None; ids.len()])
    }

    fn open(
        &self,
        id: SplitId,
        reader: Box<dyn SplitReader>,
        _start: Option<SplitState>,
        _token: Option<FencingToken>,
    ) -> Result<()> {
        let mut state = self.0.state.lock();
        if !state.opened.insert(Arc::clone(&id)) {
            return Err(Error::new(format!("`{id}` was taken away and given back while it was read"))
                .help("the brokers lost sight of this command for a while: run it again"));
        }
        state.running.insert(Arc::clone(&id));
        drop(state);
        let reading = Arc::clone(&self.0);
        std::thread::spawn(move || reading.read_split(&id, reader));
        Ok(())
    }

    fn close(&self, ids: &[SplitId], _lost: bool, until: Instant) -> Result<()> {
        let mut state = self.0.state.lock();
        state.closing.extend(ids.iter().cloned());
        while ids.iter().any(|id| state.running.contains(id)) {
            if self.0.changed.wait_until(&mut state, until).timed_out() {
                return Err(Error::new("a partition could not be left in time"));
            }
        }
        Ok(())
    }

    fn running(&self) -> Vec<SplitId> {
        self.0.state.lock().running.iter().cloned().collect()
    }

    fn wait(&self, until: Instant) {
        let mut state = self.0.state.lock();
        if !state.stopping {
            self.0.changed.wait_until(&mut state, until);
        }
    }

    fn stopping(&self) -> bool {
        self.0.state.lock().stopping
    }
}
