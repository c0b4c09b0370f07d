//! Stages in memory, and the memory that they share: what is read, what became visible, and what is to fail when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::Pace;
use aqpipe_engine::arrow_array::{BinaryArray, BooleanArray, Float64Array};
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Numbers, OffsetRange, Position, SplitId};
use aqpipe_engine::stage::*;
use aqpipe_engine::{Error, Result, inventory};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend::{FakeBackend, FakeOutput, FakeTransactions};

#[derive(Clone, Debug)]
pub(crate) struct Record {
    at: u64,
    value: Result<f64, &'static str>,
    pub(crate) extra: Option<f64>,
}

impl Record {
    pub(crate) fn good(at: u64, value: f64) -> Record {
        Record { at, value: Ok(value), extra: None }
    }

    pub(crate) fn bad(at: u64, reason: &'static str) -> Record {
        Record { at, value: Err(reason), extra: None }
    }
}

type Visible = Vec<(OffsetRange, Vec<f64>)>;
type Outputs = Mutex<BTreeMap<String, (SplitId, OffsetRange, Vec<f64>)>>;
type Act = Box<dyn FnOnce() + Send>;

/// What survives a crash of the pipeline.
#[derive(Default)]
pub(crate) struct SharedMemory {
    records: Vec<Record>,
    visible: Outputs,
    order: Mutex<Vec<String>>,
    prepared: Outputs,
    letters: Mutex<BTreeMap<String, Vec<DeadLetter>>>,
    prepared_letters: Mutex<BTreeMap<String, Vec<DeadLetter>>>,
    steps: AtomicU64,
    fail_at: AtomicU64,
    panic_at: AtomicU64,
    surveys: AtomicU64,
    stop: Mutex<Option<(u64, CancellationToken)>>,
    when_read: Mutex<Option<(u64, Act)>>,
    runs: AtomicU64,
    /// OutputPlace each split that was opened began, as far as that was known.
    pub(crate) starts: Mutex<Vec<Option<u64>>>,
    /// Behind the last record nothing comes until a stop, and this is where the split stands then.
    pub(crate) quiet_at: Mutex<Option<(u64, CancellationToken)>>,
    pub(crate) transactions: FakeTransactions,
    regroup: AtomicBool,
    lose: Mutex<Option<SplitId>>,
    is_lost: AtomicBool,
}

impl SharedMemory {
    pub(crate) fn with(records: Vec<Record>) -> SharedMemory {
        let never = || AtomicU64::new(u64::MAX);
        SharedMemory { records, fail_at: never(), panic_at: never(), ..SharedMemory::default() }
    }

    /// The step of the protocol (a read, a prepare, a finish, …) at which everything fails from now on.
    pub(crate) fn fail_at(&self, step: u64) {
        self.steps.store(0, Ordering::SeqCst);
        self.fail_at.store(step, Ordering::SeqCst);
    }

    pub(crate) fn panic_at(&self, record: u64) {
        self.panic_at.store(record, Ordering::SeqCst);
    }

    pub(crate) fn stop_at(&self, record: u64, stop: CancellationToken) {
        *self.stop.lock() = Some((record, stop));
    }

    pub(crate) fn when_read(&self, record: u64, act: Act) {
        *self.when_read.lock() = Some((record, act));
    }

    pub(crate) fn surveys(&self) -> u64 {
        self.surveys.load(Ordering::SeqCst)
    }

    /// The source is to take its splits back and open them again.
    pub(crate) fn regroup(&self) {
        self.regroup.store(true, Ordering::SeqCst);
    }

    /// The source is to lose one split, and open it again. Returns once the split is taken away.
    pub(crate) fn lose(&self, split: &SplitId) {
        *self.lose.lock() = Some(Arc::clone(split));
        while !self.is_lost.swap(false, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes rows visible.
    pub(crate) fn deposit(&self, deposit: &FakeOutput) {
        let FakeOutput { name, split, span, values } = deposit;
        let rows = (Arc::clone(split), *span, values.clone());
        assert!(self.visible.lock().insert(name.clone(), rows).is_none(), "{name} is decided twice");
        self.order.lock().push(name.clone());
    }

    pub(crate) fn step(&self, what: &str) -> Result<()> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        if step >= self.fail_at.load(Ordering::SeqCst) {
            return Err(Error::new(format!("{what} fails at step {step}")));
        }
        Ok(())
    }

    pub(crate) fn visible(&self) -> Visible {
        let visible = self.visible.lock();
        self.order.lock().iter().map(|name| (visible[name].1, visible[name].2.clone())).collect()
    }

    pub(crate) fn values(&self) -> Vec<f64> {
        self.visible().into_iter().flat_map(|(_, values)| values).collect()
    }

    pub(crate) fn by_split(&self) -> BTreeMap<String, Vec<f64>> {
        let mut checkpoints: Vec<_> = self.visible.lock().values().cloned().collect();
        checkpoints.sort_by_key(|(split, span, _)| (Arc::clone(split), span.from, span.to, span.sequence));
        let mut splits: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (split, _, values) in checkpoints {
            splits.entry(split.to_string()).or_default().extend(values);
        }
        splits
    }

    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        self.letters.lock().values().flatten().cloned().collect()
    }

    pub(crate) fn nothing_prepared_is_left(&self) -> bool {
        self.prepared.lock().is_empty() && self.prepared_letters.lock().is_empty()
    }
}

fn memory(cx: &BuildContext) -> Result<Arc<SharedMemory>> {
    cx.process_extensions().get::<SharedMemory>().ok_or_else(|| Error::new("no memory"))
}

fn one() -> u64 {
    1
}

/// Records of a test.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemorySource {
    /// How many splits the records are dealt to, in turn.
    #[serde(default = "one")]
    splits: u64,
    #[serde(default)]
    rerun: Repeat,
    /// Decides nothing of what comes out.
    #[serde(default)]
    #[expect(dead_code, reason = "it is there to be changed")]
    pace: u64,
    /// Whether splits have their beginning committed.
    #[serde(default)]
    first_word: bool,
    interval_secs: Option<f64>,
}

const MEMORY_SOURCE_EXAMPLE: &str = "";

inventory::submit! { Descriptor::source::<MemorySource>("memory", MEMORY_SOURCE_EXAMPLE).beside_content(&["splits", "rerun", "interval_secs", "pace", "first_word"]) }

impl SourceConfig for MemorySource {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        Ok(Fields { open: true, ..Fields::default() })
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded { rerun: self.rerun }
    }

    fn pace(&self) -> Option<Pace> {
        let interval = Duration::from_secs_f64(self.interval_secs?);
        Some(Pace { speed: 1.0, interval: Some(interval), records_per_step: None })
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let (splits, first_word) = (self.splits, self.first_word);
        Ok(Box::new(MemoryRecords { memory: memory(cx)?, splits, first_word, keep_raw: cx.keeps_raw() }))
    }
}

struct MemoryRecords {
    memory: Arc<SharedMemory>,
    splits: u64,
    first_word: bool,
    keep_raw: bool,
}

impl MemoryRecords {
    fn split(&self, split: u64, position: Position) -> MemoryReader {
        let mine = self.memory.records.iter().filter(|record| record.at % self.splits == split).cloned().collect();
        let (memory, keep_raw) = (Arc::clone(&self.memory), self.keep_raw);
        let first_word = self.first_word;
        MemoryReader { memory, records: mine, position, first_word, keep_raw, calm: false, slow: false }
    }
}

impl Source for MemoryRecords {
    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        self.memory.surveys.fetch_add(1, Ordering::SeqCst);
        let splits = (0..self.splits).map(|split| {
            let split = MemoryReader { calm: true, ..self.split(split, Position::default()) };
            (SplitId::from("survey"), Box::new(split) as Box<dyn SplitReader>)
        });
        Ok(splits.collect())
    }

    fn run(self: Box<Self>, splits: Arc<dyn SourceContext>) -> Result<()> {
        self.memory.runs.fetch_add(1, Ordering::SeqCst);
        let all: Vec<SplitId> = (0..self.splits).map(|split| format!("memory/{split}").into()).collect();
        let open = |ids: &[SplitId]| {
            for (split, (id, start)) in all.iter().zip(splits.split_states(&all)?).enumerate() {
                if !ids.contains(id) {
                    continue;
                }
                self.memory.starts.lock().push(start.as_ref().map(|start| start.position.offset));
                let position = start.as_ref().map(|start| start.position).unwrap_or_default();
                splits.open(Arc::clone(id), Box::new(self.split(split as u64, position)), start, None)?;
            }
            Ok(())
        };
        open(&all)?;
        let started = Instant::now();
        while !splits.running().is_empty() && !splits.stopping() {
            splits.wait(Instant::now() + Duration::from_millis(20));
            assert!(started.elapsed() < Duration::from_secs(60), "a split waits for a close that never comes");
            if self.memory.regroup.swap(false, Ordering::SeqCst) {
                splits.close(&all, true, Instant::now() + Duration::from_secs(5))?;
                open(&all)?;
            }
            let lost = self.memory.lose.lock().take();
            if let Some(lost) = lost {
                // It ends when the commit under way has: until then it is late, and taken away all the same.
                let _ = splits.close(std::slice::from_ref(&lost), true, Instant::now());
                self.memory.is_lost.store(true, Ordering::SeqCst);
                open(&[lost])?;
            }
        }
        Ok(())
    }
}

struct MemoryReader {
    memory: Arc<SharedMemory>,
    records: Vec<Record>,
    position: Position,
    first_word: bool,
    keep_raw: bool,
    /// A survey's: nothing happens to it.
    calm: bool,
    slow: bool,
}

impl SplitReader for MemoryReader {
    fn next(&mut self, max: usize, _: Instant) -> Result<Poll> {
        if !self.calm {
            self.memory.step("next")?;
        }
        if self.slow {
            std::thread::sleep(Duration::from_millis(50));
        }
        let from = self.records.partition_point(|record| record.at < self.position.offset);
        let rest = &self.records[from..];
        let wide = rest.first().is_some_and(|record| record.extra.is_some());
        // Small reads, so that a checkpoint has several.
        let run: Vec<&Record> =
            rest.iter().take(max.min(4)).take_while(|record| record.extra.is_some() == wide).collect();
        let Some(last) = run.last() else {
            let Some((at, stop)) = &*self.memory.quiet_at.lock() else { return Ok(Poll::End) };
            self.position.offset = *at;
            stop.stop();
            std::thread::sleep(Duration::from_millis(5));
            return Ok(Poll::Idle);
        };
        for record in &run {
            if self.calm {
                continue;
            }
            assert!(record.at < self.memory.panic_at.load(Ordering::SeqCst), "told to panic");
            let mut stop = self.memory.stop.lock();
            if let Some((_, stop)) = stop.take_if(|(at, _)| record.at >= *at) {
                stop.stop();
                // The stop reaches the split while it has records left.
                self.slow = true;
            }
            let act = self.memory.when_read.lock().take_if(|(at, _)| record.at >= *at);
            if let Some((_, act)) = act {
                act();
            }
        }
        self.position = Position { offset: last.at + 1, records: self.position.records + run.len() as u64 };
        let good: Vec<(&Record, f64)> = run.iter().filter_map(|r| Some((*r, r.value.ok_value()?))).collect();
        let dead = run.iter().filter_map(|record| {
            let reason = record.value.err_value()?;
            let place = Some(format!("memory:{}", record.at));
            Some(DeadLetter { place, ..DeadLetter::new(record.at, reason, Some(record.at.to_string().into())) })
        });
        let mut list = vec![Field::number("value")];
        let values: Float64Array = good.iter().map(|(_, value)| Some(*value)).collect();
        let mut columns = vec![Column::Number(Numbers::observed(values))];
        if wide {
            list.push(Field::number("extra"));
            let extra: Float64Array = good.iter().map(|(record, _)| record.extra).collect();
            columns.push(Column::Number(Numbers::observed(extra)));
        }
        let raw: BinaryArray = good.iter().map(|(record, _)| Some(record.at.to_string().into_bytes())).collect();
        let batch = Batch::new(BatchParts {
            fields: Arc::new(Fields { list, ..Fields::default() }),
            time: good.iter().map(|(record, _)| record.at as i64).collect::<Vec<_>>().into(),
            utc_offset: vec![0; good.len()].into(),
            key: None,
            columns,
            score: None,
            source_offsets: good.iter().map(|(record, _)| record.at).collect::<Vec<_>>().into(),
            raw: self.keep_raw.then_some(raw),
        })?;
        Ok(Poll::Rows(batch, dead.collect()))
    }

    fn position(&self) -> Position {
        self.position
    }

    fn commits_at_start(&self) -> bool {
        self.first_word
    }
}

trait Either {
    fn ok_value(&self) -> Option<f64>;
    fn err_value(&self) -> Option<&'static str>;
}

impl Either for Result<f64, &'static str> {
    fn ok_value(&self) -> Option<f64> {
        self.as_ref().ok().copied()
    }

    fn err_value(&self) -> Option<&'static str> {
        self.as_ref().err().copied()
    }
}

/// The sum of all values so far.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sums {}

const SUMS_EXAMPLE: &str = "";

inventory::submit! { Descriptor::transform::<Sums>("sums", SUMS_EXAMPLE) }

impl TransformConfig for Sums {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(SumsSoFar(0.0)))
    }
}

struct SumsSoFar(f64);

impl Transform for SumsSoFar {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        let mut sum = self.0;
        batch.change_numbers(0, |numbers| {
            let (mut values, nulls, marks) = numbers.into_vecs();
            for value in &mut values {
                sum += *value;
                *value = sum;
            }
            Ok(Numbers::from_vecs(values, nulls, marks))
        })?;
        self.0 = sum;
        out.batches.push(batch);
        Ok(())
    }

    fn save(&self) -> Result<State> {
        State::of(1, &self.0)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.0 = state.read(1)?;
        Ok(())
    }
}

/// Holds the last rows back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hold {
    rows: usize,
}

const HOLD_EXAMPLE: &str = "rows = 3";

inventory::submit! { Descriptor::transform::<Hold>("hold", HOLD_EXAMPLE) }

impl TransformConfig for Hold {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Holding { rows: self.rows, held: None }))
    }
}

struct Holding {
    rows: usize,
    held: Option<Batch>,
}

impl Transform for Holding {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let all = match self.held.take() {
            Some(held) => Batch::concat(&[held, batch])?,
            None => batch,
        };
        let ready = all.rows().saturating_sub(self.rows);
        out.batches.push(all.slice(0, ready));
        self.held = Some(all.slice(ready, all.rows() - ready));
        Ok(())
    }

    fn finish(&mut self, out: &mut Output) -> Result<()> {
        out.batches.extend(self.held.take());
        Ok(())
    }

    fn held(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.rows() as u64)
    }

    fn save(&self) -> Result<State> {
        Ok(match &self.held {
            Some(held) => State::of_bytes(1, held.to_ipc()?),
            None => State::default(),
        })
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.held = Some(Batch::from_ipc(state.read_bytes(1)?)?);
        Ok(())
    }
}

/// Rejects rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Refuse {
    below: Option<f64>,
    odd_one: Option<u64>,
}

const REFUSE_EXAMPLE: &str = "below = 0.0";

inventory::submit! { Descriptor::transform::<Refuse>("refuse", REFUSE_EXAMPLE) }

impl TransformConfig for Refuse {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn rejects(&self) -> bool {
        true
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Refusing { below: self.below.unwrap_or(f64::MIN), odd_one: self.odd_one }))
    }
}

struct Refusing {
    below: f64,
    odd_one: Option<u64>,
}

impl Transform for Refusing {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let numbers = batch.numbers(0).ok_or_else(|| Error::bug("no numbers"))?.clone();
        let keep: Vec<bool> = (0..batch.rows())
            .map(|row| numbers.values.value(row) >= self.below && self.odd_one != Some(batch.source_offsets()[row]))
            .collect();
        for row in (0..batch.rows()).filter(|row| !keep[*row]) {
            let reason = format!("{} is below {}", numbers.values.value(row), self.below);
            let raw = batch.raw(row).map(<[u8]>::to_vec);
            out.dead.push(DeadLetter::new(batch.source_offsets()[row], reason, raw));
        }
        out.batches.push(batch.filter(&BooleanArray::from(keep))?);
        Ok(())
    }
}

/// Takes the mean of the whole input away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MinusMean {}

const MINUS_MEAN_EXAMPLE: &str = "";

inventory::submit! { Descriptor::transform::<MinusMean>("minus_mean", MINUS_MEAN_EXAMPLE) }

impl TransformConfig for MinusMean {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn fitter(&self, _: &BuildContext) -> Option<Box<dyn Fitter>> {
        Some(Box::new(Mean { sum: 0.0, count: 0.0 }))
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let mean = cx.fitted().and_then(|bytes| bytes.try_into().ok()).map(f64::from_le_bytes);
        Ok(Box::new(Minus(mean.ok_or_else(|| Error::bug("no survey"))?)))
    }
}

struct Mean {
    sum: f64,
    count: f64,
}

impl Fitter for Mean {
    fn observe(&mut self, batch: &Batch) -> Result<()> {
        let values = &batch.numbers(0).ok_or_else(|| Error::bug("no numbers"))?.values;
        self.sum += values.iter().flatten().sum::<f64>();
        self.count += values.len() as f64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        Ok((self.sum / self.count).to_le_bytes().to_vec())
    }
}

struct Minus(f64);

impl Transform for Minus {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        batch.change_numbers(0, |numbers| {
            let (values, nulls, marks) = numbers.into_vecs();
            Ok(Numbers::from_vecs(values.into_iter().map(|value| value - self.0).collect(), nulls, marks))
        })?;
        out.batches.push(batch);
        Ok(())
    }
}

/// Keeps rows in the memory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemorySink {
    batch_size: u64,
    /// Whether a completed run may be run again.
    #[serde(default)]
    again: bool,
    /// Who decides in place of a ledger, where anybody does: rows are part of its transactions, or lie beside them.
    #[serde(default)]
    backend: Option<OutputPlace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OutputPlace {
    Transactional,
    Staged,
}

const MEMORY_SINK_EXAMPLE: &str = "batch_size = 10";

inventory::submit! { Descriptor::sink::<MemorySink>("memory", MEMORY_SINK_EXAMPLE) }

impl SinkConfig for MemorySink {
    fn check(&self, _: &Fields) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn checkpoint_policy(&self) -> CheckpointPolicy {
        CheckpointPolicy::Records { records_max: self.batch_size, timeout: Duration::from_secs(3600) }
    }

    fn rerun(&self) -> Rerun {
        if self.again { Rerun::Append } else { Rerun::Refuse }
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(Memories { memory: memory(cx)?, again: self.again, backend: self.backend }))
    }
}

struct Memories {
    memory: Arc<SharedMemory>,
    again: bool,
    backend: Option<OutputPlace>,
}

#[derive(Serialize, Deserialize)]
struct Name(String);

fn name_of(prepared: &[u8]) -> Result<String> {
    postcard::from_bytes(prepared).map(|Name(name)| name).map_err(|e| Error::bug("prepared").because(e))
}

fn finish_in<T>(prepared: &Mutex<BTreeMap<String, T>>, visible: &Mutex<BTreeMap<String, T>>, name: &str) -> bool {
    let moved = prepared.lock().remove(name);
    let is_new = moved.is_some();
    if let Some(moved) = moved {
        assert!(visible.lock().insert(name.to_owned(), moved).is_none(), "{name} is written twice");
    }
    is_new
}

impl TwoPhaseCommit for Memories {
    fn commit(&self, prepared: &[u8]) -> Result<()> {
        self.memory.step("finish")?;
        let name = name_of(prepared)?;
        if finish_in(&self.memory.prepared, &self.memory.visible, &name) {
            self.memory.order.lock().push(name.clone());
        }
        assert!(self.memory.visible.lock().contains_key(&name), "{name} was decided and is lost");
        Ok(())
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        self.memory.prepared.lock().remove(&name_of(prepared)?);
        Ok(())
    }
}

impl Orphans for Memories {
    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        let name = name_of(prepared)?;
        Ok(self.memory.prepared.lock().contains_key(&name) || self.memory.visible.lock().contains_key(&name))
    }

    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        Ok(if self.memory.prepared.lock().is_empty() { vec![] } else { vec!["0-lost".into()] })
    }

    fn remove_orphans(&self, _: &[Arc<str>], decided: &[Vec<u8>]) -> Result<()> {
        let decided = decided.iter().filter(|it| !it.is_empty()).map(|it| name_of(it)).collect::<Result<Vec<_>>>()?;
        self.memory.prepared.lock().retain(|name, _| decided.contains(name));
        self.memory.step("sweep")
    }
}

impl Acquire for Memories {
    fn acquire(&self) -> Result<()> {
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        self.memory.visible.lock().clear();
        self.memory.order.lock().clear();
        Ok(())
    }
}

impl CommittedOffsets for Memories {
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        if self.again || self.backend == Some(OutputPlace::Transactional) {
            return Ok(vec![None; splits.len()]);
        }
        let visible = self.memory.visible.lock();
        let end = |split| visible.values().filter(|(l, ..)| l == split).map(|(_, span, _)| span.to.offset).max();
        Ok(splits.iter().map(end).collect())
    }
}

impl Sink for Memories {
    fn open(&self, split: &SplitId, epoch: u64) -> Result<Box<dyn Writer>> {
        let run = self.memory.runs.load(Ordering::SeqCst);
        let run = if self.again { format!("{run}.{epoch}") } else { String::new() };
        let within =
            self.backend == Some(OutputPlace::Transactional) && self.memory.transactions.unable.lock().is_none();
        let (memory, split) = (Arc::clone(&self.memory), Arc::clone(split));
        Ok(Box::new(MemoryWriter { memory, split, run, values: Vec::new(), within }))
    }

    fn two_phase_commit(&self) -> Option<&dyn TwoPhaseCommit> {
        Some(self)
    }

    fn orphans(&self) -> Option<&dyn Orphans> {
        Some(self)
    }

    fn acquire(&self) -> Option<&dyn Acquire> {
        Some(self)
    }

    fn committed_offsets(&self) -> Option<&dyn CommittedOffsets> {
        Some(self)
    }

    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        self.backend.map(|_| Arc::new(FakeBackend(Arc::clone(&self.memory))) as Arc<dyn TransactionalBackend>)
    }
}

struct MemoryWriter {
    memory: Arc<SharedMemory>,
    split: SplitId,
    run: String,
    values: Vec<f64>,
    /// Rows are part of transactions.
    within: bool,
}

impl Writer for MemoryWriter {
    fn write(&mut self, batch: Batch, _: &mut Vec<DeadLetter>) -> Result<()> {
        self.memory.step("write")?;
        let numbers = batch.numbers(0).ok_or_else(|| Error::bug("no numbers"))?;
        self.values.extend(numbers.values.iter().flatten());
        Ok(())
    }

    fn prepare(&mut self, span: OffsetRange) -> Result<Prepared> {
        self.memory.step("prepare")?;
        let values = std::mem::take(&mut self.values);
        if values.is_empty() {
            return Ok(Prepared::Nothing);
        }
        let name = format!("{} {} {}-{}.{}", self.run, self.split, span.from.offset, span.to.offset, span.sequence);
        if self.within {
            let split = Arc::clone(&self.split);
            self.memory.transactions.prepared(&split);
            return Ok(Prepared::Transactional(Box::new(FakeOutput { name, split, span, values })));
        }
        assert!(!self.memory.visible.lock().contains_key(&name), "{name} is prepared twice");
        self.memory.prepared.lock().insert(name.clone(), (Arc::clone(&self.split), span, values));
        postcard::to_stdvec(&Name(name)).map(Prepared::Staged).map_err(|e| Error::bug("prepared").because(e))
    }
}

/// Keeps dead letters in the memory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemoryLetters {}

const MEMORY_LETTERS_EXAMPLE: &str = "";

inventory::submit! { Descriptor::dead_letter::<MemoryLetters>("memory", MEMORY_LETTERS_EXAMPLE) }

impl SinkConfig<DeadLetters> for MemoryLetters {
    fn check(&self, _: &Fields) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<DeadLetterSink>> {
        Ok(Arc::new(Letters(memory(cx)?)))
    }
}

struct Letters(Arc<SharedMemory>);

impl TwoPhaseCommit for Letters {
    fn commit(&self, prepared: &[u8]) -> Result<()> {
        self.0.step("finish letters")?;
        finish_in(&self.0.prepared_letters, &self.0.letters, &name_of(prepared)?);
        Ok(())
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        self.0.prepared_letters.lock().remove(&name_of(prepared)?);
        Ok(())
    }
}

impl Orphans for Letters {
    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        let name = name_of(prepared)?;
        Ok(self.0.prepared_letters.lock().contains_key(&name) || self.0.letters.lock().contains_key(&name))
    }

    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        Ok(Vec::new())
    }

    fn remove_orphans(&self, _: &[Arc<str>], decided: &[Vec<u8>]) -> Result<()> {
        let decided = decided.iter().filter(|it| !it.is_empty()).map(|it| name_of(it)).collect::<Result<Vec<_>>>()?;
        self.0.prepared_letters.lock().retain(|name, _| decided.contains(name));
        Ok(())
    }
}

impl Acquire for Letters {
    fn acquire(&self) -> Result<()> {
        Ok(())
    }

    fn reset(&self) -> Result<()> {
        self.0.letters.lock().clear();
        Ok(())
    }
}

impl Sink<DeadLetters> for Letters {
    fn open(&self, split: &SplitId, _: u64) -> Result<Box<dyn Writer<DeadLetters>>> {
        let letters = Vec::new();
        Ok(Box::new(LetterWriter { memory: Arc::clone(&self.0), split: Arc::clone(split), letters }))
    }

    fn two_phase_commit(&self) -> Option<&dyn TwoPhaseCommit> {
        Some(self)
    }

    fn orphans(&self) -> Option<&dyn Orphans> {
        Some(self)
    }

    fn acquire(&self) -> Option<&dyn Acquire> {
        Some(self)
    }
}

struct LetterWriter {
    memory: Arc<SharedMemory>,
    split: SplitId,
    letters: Vec<DeadLetter>,
}

impl Writer<DeadLetters> for LetterWriter {
    fn write(&mut self, letters: DeadLetters, _: &mut Vec<DeadLetter>) -> Result<()> {
        self.letters.extend(letters);
        Ok(())
    }

    fn prepare(&mut self, span: OffsetRange) -> Result<Prepared> {
        self.memory.step("prepare letters")?;
        let letters = std::mem::take(&mut self.letters);
        if letters.is_empty() {
            return Ok(Prepared::Nothing);
        }
        let origins: BTreeSet<u64> = letters.iter().map(|letter| letter.source_offset).collect();
        assert_eq!(origins.len(), letters.len(), "a record is a dead letter once");
        let name = format!("{} {:06}-{}.{}", self.split, span.from.offset, span.to.offset, span.sequence);
        self.memory.prepared_letters.lock().insert(name.clone(), letters);
        postcard::to_stdvec(&Name(name)).map(Prepared::Staged).map_err(|e| Error::bug("prepared").because(e))
    }
}
