//! Stages by name, as the engine builds them, and a stand-in for the engine's side of a source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aqpipe_engine::arrow_array::{Float64Array, StringArray};
use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Numbers, Position, SplitId};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, DeadLetterSink, FencingToken, OffsetStore, Poll, Registry, Role, Sink, Source,
    SourceContext, SplitReader, SplitState, StageConfig,
};
use aqpipe_engine::{Error, Result};
use parking_lot::{Condvar, Mutex};
use serde_json::Value;

fn parse(role: Role, config: Value) -> StageConfig {
    let registry = Registry::collect().expect("a registry");
    registry.get(role, "kafka").expect("the stage").parse(config).expect("a configuration")
}

pub(crate) fn source(config: Value, cx: &BuildContext) -> Box<dyn Source> {
    let StageConfig::Source(source) = parse(Role::Source, config) else { panic!("not a source") };
    source.check().expect("no problems");
    source.build(cx).expect("built")
}

pub(crate) fn sink(config: Value, cx: &BuildContext) -> Arc<dyn Sink> {
    let StageConfig::Sink(sink) = parse(Role::Sink, config) else { panic!("not a sink") };
    sink.build(cx).expect("built")
}

pub(crate) fn dead_letter_sink(config: Value, cx: &BuildContext) -> Arc<DeadLetterSink> {
    let StageConfig::DeadLetter(sink, _) = parse(Role::DeadLetter, config) else { panic!("not a dead letter") };
    sink.check(&Fields::default()).expect("no problems");
    sink.build(cx).expect("built")
}

/// Rows `from .. to` of an endless table: row `n` has the value `n` and one of seven keys.
pub(crate) fn rows(from: u64, to: u64) -> Batch {
    let n = (to - from) as usize;
    let fields = Fields { list: vec![Field::number("n")], key: Some("station".into()), score: None, open: false };
    let keys: Vec<String> = (from..to).map(|row| format!("station-{}", row % 7)).collect();
    Batch::new(BatchParts {
        fields: Arc::new(fields),
        time: (from..to).map(|row| row as i64 * 1_000_000).collect::<Vec<_>>().into(),
        utc_offset: vec![0_i16; n].into(),
        key: Some(StringArray::from_iter_values(&keys)),
        columns: vec![Column::Number(Numbers::observed(Float64Array::from_iter_values(
            (from..to).map(|row| row as f64),
        )))],
        score: None,
        source_offsets: (from..to).collect::<Vec<_>>().into(),
        raw: None,
    })
    .expect("a batch")
}

/// What a source's splits read, with commits as the engine does them: after every batch, or at the end of a split.
pub(crate) struct TestSourceContext {
    acknowledge: Arc<dyn OffsetStore>,
    open: Mutex<BTreeMap<SplitId, Open>>,
    pub(crate) seen: Mutex<Seen>,
    pub(crate) changed: Condvar,
    stop: AtomicBool,
    /// A pause after every batch.
    pub(crate) pause: Duration,
    /// Records in a batch.
    pub(crate) max: usize,
    /// Where splits start, whatever was committed.
    pub(crate) start_at: Option<u64>,
    /// Stops the run while partitions are assigned.
    pub(crate) stop_while_assigned: bool,
    /// The context of another member: at a stop, splits end only once it has opened some.
    pub(crate) stops_behind: Option<Arc<TestSourceContext>>,
}

/// A split's thread, and how it is told to end.
type Open = (Arc<AtomicBool>, JoinHandle<()>);

/// What was read and decided.
#[derive(Default)]
pub(crate) struct Seen {
    /// `n` of each row, by split, in order.
    pub(crate) rows: BTreeMap<SplitId, Vec<u64>>,
    pub(crate) dead: Vec<DeadLetter>,
    /// The times of batches, by split.
    pub(crate) times: BTreeMap<SplitId, Vec<Instant>>,
    pub(crate) failure: Option<Error>,
    pub(crate) opened: usize,
    /// Splits that were closed while the source ran.
    pub(crate) closed: usize,
}

impl Seen {
    pub(crate) fn count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// All rows, sorted.
    pub(crate) fn sorted(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.rows.values().flatten().copied().collect();
        all.sort_unstable();
        all
    }
}

impl TestSourceContext {
    pub(crate) fn new(source: &dyn Source) -> TestSourceContext {
        TestSourceContext {
            acknowledge: source.offset_store().expect("a group"),
            open: Mutex::default(),
            seen: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            pause: Duration::ZERO,
            max: 1_000,
            start_at: None,
            stop_while_assigned: false,
            stops_behind: None,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Waits until `enough`, at most a minute.
    pub(crate) fn wait_for(&self, what: &str, enough: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        let mut seen = self.seen.lock();
        while !enough(&seen) {
            if let Some(failure) = &seen.failure {
                panic!("waiting for {what}: {failure}");
            }
            let late = self.changed.wait_until(&mut seen, until).timed_out();
            assert!(!late, "{what} did not come; {} rows, {} dead", seen.count(), seen.dead.len());
        }
    }

    fn read(&self, id: &SplitId, split: &mut dyn SplitReader, close: &AtomicBool) -> Result<()> {
        while !close.load(Ordering::SeqCst) {
            match split.next(self.max, Instant::now() + Duration::from_millis(100))? {
                Poll::Rows(batch, dead) => {
                    let mut seen = self.seen.lock();
                    seen.times.entry(Arc::clone(id)).or_default().push(Instant::now());
                    let rows = seen.rows.entry(Arc::clone(id)).or_default();
                    let column = batch.fields().index("n").and_then(|index| batch.numbers(index));
                    rows.extend((0..batch.rows()).filter_map(|row| column?.get(row)).map(|n| n as u64));
                    seen.dead.extend(dead);
                    self.changed.notify_all();
                }
                Poll::Idle => continue,
                Poll::End => break,
            }
            std::thread::sleep(self.pause);
        }
        self.acknowledge.commit(&[(Arc::clone(id), split.position())]).map(drop)
    }

    fn join(&self, ids: &[SplitId]) {
        let closing: Vec<_> = ids.iter().filter_map(|id| self.open.lock().remove(id)).collect();
        closing.iter().for_each(|(close, _)| close.store(true, Ordering::SeqCst));
        closing.into_iter().for_each(|(_, thread)| thread.join().expect("a split's thread"));
    }
}

/// The engine's side, for a source that runs on another thread.
pub(crate) struct Shared(pub(crate) Arc<TestSourceContext>);

impl SourceContext for Shared {
    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        let mut committed = self.0.acknowledge.committed(ids)?;
        if self.0.start_at.is_some() {
            committed.fill(self.0.start_at);
        }
        if self.0.stop_while_assigned {
            self.0.stop();
        }
        let start = |at| SplitState { position: Position { offset: at, records: 0 }, ..SplitState::default() };
        Ok(committed.into_iter().map(|at| at.map(start)).collect())
    }

    fn open(
        &self,
        id: SplitId,
        mut split: Box<dyn SplitReader>,
        _: Option<SplitState>,
        _: Option<FencingToken>,
    ) -> Result<()> {
        let close = Arc::new(AtomicBool::new(false));
        let (splits, name, told) = (Arc::clone(&self.0), Arc::clone(&id), Arc::clone(&close));
        self.0.seen.lock().opened += 1;
        self.0.changed.notify_all();
        let thread = std::thread::spawn(move || {
            if let Err(error) = splits.read(&name, &mut *split, &told) {
                splits.seen.lock().failure.get_or_insert(error);
                splits.stop();
            }
            splits.changed.notify_all();
        });
        assert!(self.0.open.lock().insert(id, (close, thread)).is_none(), "a split was opened twice");
        Ok(())
    }

    fn close(&self, ids: &[SplitId], _: bool, _: Instant) -> Result<()> {
        if let Some(other) = &self.0.stops_behind
            && self.stopping()
            && ids.len() == self.0.open.lock().len()
        {
            other.wait_for("partitions of the member that stops", |seen| seen.opened > 0);
        }
        self.0.seen.lock().closed += ids.iter().filter(|id| self.0.open.lock().contains_key(*id)).count();
        self.0.join(ids);
        Ok(())
    }

    fn running(&self) -> Vec<SplitId> {
        self.0.open.lock().iter().filter(|(_, (_, thread))| !thread.is_finished()).map(|(id, _)| id.clone()).collect()
    }

    fn wait(&self, until: Instant) {
        std::thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(10)));
    }

    fn stopping(&self) -> bool {
        self.0.stop.load(Ordering::SeqCst)
    }
}

/// A source that runs, and what it read.
pub(crate) struct Running {
    pub(crate) splits: Arc<TestSourceContext>,
    thread: JoinHandle<Result<()>>,
}

impl Running {
    pub(crate) fn start(source: Box<dyn Source>, set: impl FnOnce(&mut TestSourceContext)) -> Running {
        let mut splits = TestSourceContext::new(&*source);
        set(&mut splits);
        Running::start_with(source, Arc::new(splits))
    }

    pub(crate) fn start_with(source: Box<dyn Source>, splits: Arc<TestSourceContext>) -> Running {
        let shared = Arc::new(Shared(Arc::clone(&splits)));
        let thread = std::thread::spawn(move || source.run(shared));
        Running { splits, thread }
    }

    /// Waits for the source to return by itself; a split's failure is its own.
    pub(crate) fn finish(self) -> (Result<()>, Seen) {
        let result = self.thread.join().expect("the source's thread");
        let mut seen = std::mem::take(&mut *self.splits.seen.lock());
        (seen.failure.take().map_or(result, Err), seen)
    }

    /// Asks it to stop, and waits for it.
    pub(crate) fn stop(self) -> Seen {
        self.splits.stop();
        let (result, seen) = self.finish();
        result.expect("a clean stop");
        seen
    }
}

/// Asserts that the rows are those, each once; says what is missing and what is there twice.
#[track_caller]
pub(crate) fn assert_rows(mut found: Vec<u64>, expected: impl IntoIterator<Item = u64>) {
    found.sort_unstable();
    let expected: Vec<u64> = expected.into_iter().collect();
    if found == expected {
        return;
    }
    let twice: Vec<u64> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    let missing: Vec<u64> = expected.iter().copied().filter(|n| found.binary_search(n).is_err()).collect();
    let few = |rows: &[u64]| rows.iter().take(5).map(u64::to_string).collect::<Vec<_>>().join(", ");
    panic!(
        "{} rows of {}: {} missing ({} …), {} twice ({} …)",
        found.len(),
        expected.len(),
        missing.len(),
        few(&missing),
        twice.len(),
        few(&twice)
    );
}
