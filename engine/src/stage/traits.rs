//! The parts of stages that run.
//!
//! All of them block and none is shared between threads unless it says so: a split, its transforms and its writers
//! belong to one thread.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::commit::{FencingToken, Prepared, TransactionalBackend};
use crate::error::Result;
use crate::record::{Batch, Fields, OffsetRange, Position, SplitId};

/// A record that could not be carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it starts in its split (see [`Position::at`]).
    pub source_offset: u64,
    /// Its place for a person, where that says more than the origin: `data.csv:17`.
    pub place: Option<String>,
    /// The stage that gave it up. The engine fills it in.
    pub stage: String,
    /// Why, in one sentence.
    pub reason: String,
    /// Its bytes as they were read (or, from a sink, as they would have been written).
    pub raw: Option<Vec<u8>>,
    /// What those need to be read once more, in words of the source (see [`SplitReader::raw_schema`]).
    pub raw_schema: Option<Arc<str>>,
}

impl DeadLetter {
    /// A record given up at `origin` for `reason`.
    #[must_use]
    pub fn new(source_offset: u64, reason: impl Into<String>, raw: Option<Vec<u8>>) -> DeadLetter {
        DeadLetter { source_offset, place: None, stage: String::new(), reason: reason.into(), raw, raw_schema: None }
    }
}

/// What a transform hands on. Every row that came in leaves once: in a batch, as a dead letter or filtered; or it is
/// held.
#[derive(Debug, Default)]
pub struct Output {
    /// Rows that go on, in order.
    pub batches: Vec<Batch>,
    /// Rows that could not be carried.
    pub dead: Vec<DeadLetter>,
    /// How many rows the configuration asked to leave out.
    pub filtered: u64,
}

/// A transform of one split.
pub trait Transform: Send {
    /// Takes a batch and hands on what is ready. The rows of `batch` have one layout; it changes only between calls.
    ///
    /// # Errors
    /// Stops the pipeline. A row that cannot be carried is a dead letter in `out`, not an error.
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()>;

    /// Hands on all held rows: the input has ended. Never called at a barrier, a revoke or a stop.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn finish(&mut self, _out: &mut Output) -> Result<()> {
        Ok(())
    }

    /// Hands on what waited longer than it may.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn tick(&mut self, _now: Instant, _out: &mut Output) -> Result<()> {
        Ok(())
    }

    /// How many rows are held back.
    fn held(&self) -> u64 {
        0
    }

    /// What a later run needs to go on from here, held rows included. Starts with a version byte unless empty.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn save(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Goes on from what [`save`](Self::save) returned. Called before the first `apply`, never with nothing.
    ///
    /// # Errors
    /// Where the bytes are not what this version saves.
    fn restore(&mut self, _state: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// What a transform learns from the whole input before the run (see [`TransformConfig::fitter`](super::TransformConfig::fitter)).
pub trait Fitter: Send {
    /// Sees a batch as the transform would.
    ///
    /// # Errors
    /// Where a bound is exceeded; stops the pipeline before it starts.
    fn observe(&mut self, batch: &Batch) -> Result<()>;

    /// Told now and then how much of the input it has seen, 0 to 1, where that is known.
    fn on_progress(&mut self, _share: f64) {}

    /// What was learned, for [`BuildContext::fitted`](super::BuildContext::fitted) of every split of this run.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// What a split has next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always the large one, moved once a batch")]
pub enum Poll {
    /// Records and dead letters, both in the order of their origins.
    Rows(Batch, Vec<DeadLetter>),
    /// `until` came first.
    Idle,
    /// The split has ended.
    End,
}

/// One partition of a source. Owned by one thread, blocking.
pub trait SplitReader: Send {
    /// The next records: at most `max`, dead letters included, of one set of fields. An empty batch is allowed where
    /// there are dead letters. Returns [`Poll::Idle`] soon after `until`.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll>;

    /// Where the next record starts. It may move over what is no record, and is committed then too.
    fn position(&self) -> Position;

    /// What it needs besides the position `at` to go on there: known fields and their kinds, what the input is known
    /// again by. `at` never goes back; it may lie before [`position`](Self::position) where not all was released or
    /// carried that was read.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn snapshot_state(&self, _at: Position) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Whether where it begins is committed at once, though nothing was read: asked of a split of which nothing was
    /// committed yet. For a source whose beginning is another place tomorrow.
    fn commits_at_start(&self) -> bool {
        false
    }

    /// Whether coming to its end changed what it carries, which is then committed though nothing was read since.
    fn commits_at_end(&self) -> bool {
        false
    }

    /// Records known to wait behind the position, where that is known.
    fn lag(&self) -> Option<u64> {
        None
    }

    /// The place, for a person, of the record that starts at `at`, where that says more: `data.csv:17`.
    fn describe_offset(&mut self, _offset: u64) -> Option<String> {
        None
    }

    /// What the bytes of its records need to be read once more, where they are not enough: the names of columns. It is
    /// kept with each dead letter, and handed to [`DeadLetterDecoder::decode`](super::DeadLetterDecoder::decode) when that is replayed.
    fn raw_schema(&self) -> Option<Arc<str>> {
        None
    }

    /// How much of its input lies before the position, 0 to 1, where that is known.
    fn progress(&self) -> Option<f64> {
        None
    }
}

/// Where a split goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    /// The end of its last checkpoint.
    pub position: Position,
    /// The number of that checkpoint among those that end there (see [`OffsetRange::sequence`]).
    pub sequence: u32,
    /// What was saved there: the split's [`carry`](SplitReader::snapshot_state), then each transform's state. Empty where the position
    /// is known and the state is not.
    pub state: Vec<Vec<u8>>,
}

/// A split of the run that was interrupted, as its last commit noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSplit {
    /// Its name.
    pub id: SplitId,
    /// Where it goes on.
    pub start: SplitState,
    /// How many rows transforms hold back there.
    pub held: u64,
    /// Whether its input had ended: nothing of it is left to do.
    pub ended: bool,
}

/// The engine, as a source sees it.
pub trait SourceContext: Send + Sync {
    /// The splits that the interrupted run of a pipeline noted which runs alone, for a source that has to find out which
    /// of its inputs is which of them. Empty for a run that begins anew, and where splits are shared with others.
    ///
    /// # Errors
    /// Where the commit log cannot be read.
    fn recorded_splits(&self) -> Result<Vec<RecordedSplit>> {
        Ok(Vec::new())
    }

    /// Where splits stand that may be others' now, to be looked at and not to be opened.
    ///
    /// # Errors
    /// Where the commit log cannot be read.
    fn peek_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>> {
        self.split_states(ids)
    }

    /// Where splits go on; `None` for one that starts at the beginning. A source that is its pipeline's alone asks for all
    /// its splits at once, and goes on with all that the interrupted run had not ended.
    ///
    /// # Errors
    /// Where the commit log cannot be read, or a split that the interrupted run had not ended is not among them.
    fn split_states(&self, ids: &[SplitId]) -> Result<Vec<Option<SplitState>>>;

    /// Starts a split on a thread of its own. `split` is already at `at`, and has its carry; the engine restores the
    /// transforms. A split that others may take over has a fence.
    ///
    /// # Errors
    /// Where the split is open already, or a stage cannot be built.
    fn open(
        &self,
        id: SplitId,
        split: Box<dyn SplitReader>,
        at: Option<SplitState>,
        fence: Option<FencingToken>,
    ) -> Result<()>;

    /// Ends splits before their input has ended: drained to a barrier and committed, or, where `lost`, forgotten, for
    /// somebody else has them. Returns when that is done, at the latest at `until`.
    ///
    /// # Errors
    /// Where a split could not be drained in time. It is then forgotten.
    fn close(&self, ids: &[SplitId], lost: bool, until: Instant) -> Result<()>;

    /// The splits that have not come to their end, those included whose commit was refused: they wait to be closed.
    fn running(&self) -> Vec<SplitId>;

    /// Waits until a split ends, a stop is asked for, or `until`.
    fn wait(&self, until: Instant);

    /// Whether the source is to end: close its splits and return.
    fn stopping(&self) -> bool;
}

/// A source. Runs on a thread of its own, opens splits and returns when there will be no more; the engine waits for
/// the splits.
pub trait Source: Send {
    /// The fields that the input really has, before the first row, where the source can know them.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(None)
    }

    /// Splits over the whole input, without pacing and limits, for transforms that survey it. Only called for a
    /// bounded source.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        Ok(Vec::new())
    }

    /// Where the source itself keeps positions (a consumer group), which are told of every commit.
    fn offset_store(&self) -> Option<Arc<dyn OffsetStore>> {
        None
    }

    /// What it reads, the same however it is spelt in the configuration: for files, their directory without links and how
    /// their names go. Nothing where the options say all.
    ///
    /// # Errors
    /// Where the input cannot be looked at.
    fn input_identity(&self) -> Result<String> {
        Ok(String::new())
    }

    /// In which way the input is not what the completed run carried whose splits these are: `in.csv has 120 bytes more`.
    ///
    /// # Errors
    /// Where the input cannot be looked at.
    fn input_changes(&self, _completed: &[RecordedSplit]) -> Result<Option<String>> {
        Ok(None)
    }

    /// Who can decide commits of what this source reads.
    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        None
    }

    /// Opens and closes splits until there is nothing more to open, or [`SourceContext::stopping`].
    ///
    /// # Errors
    /// Stops the pipeline.
    fn run(self: Box<Self>, splits: Arc<dyn SourceContext>) -> Result<()>;
}

/// Positions that a source keeps itself.
pub trait OffsetStore: Send + Sync {
    /// Who keeps them: a consumer group's name.
    fn group(&self) -> String;

    /// Notes that everything before these positions is done; returns whether that was taken. It is not where others have
    /// the splits by now: they read the same again.
    ///
    /// # Errors
    /// Where that could not be noted: the pipeline then ends, for another member may read the same again.
    fn commit(&self, offsets: &[(SplitId, Position)]) -> Result<bool>;

    /// What was noted last.
    ///
    /// # Errors
    /// Where that cannot be read.
    fn committed(&self, ids: &[SplitId]) -> Result<Vec<Option<u64>>>;

    /// Forgets what was noted: the next start is the beginning.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn reset(&self) -> Result<()>;
}

/// Where output goes. Two are the same where either of their names is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// As the configuration names it, for messages: the topic `air-quality-data`, the files `batch_*` in `out`.
    pub name: String,
    /// The same however it is spelt: a path without links.
    pub canonical: String,
}

impl Destination {
    /// Whether both are one place.
    #[must_use]
    pub fn is_same(&self, other: &Destination) -> bool {
        self.name == other.name || self.canonical == other.canonical
    }
}

/// What both kinds of end have in common: output that is prepared, and then either made visible or undone.
pub trait TwoPhaseCommit: Send + Sync {
    /// Makes prepared output visible. Idempotent: recovery calls it again.
    ///
    /// # Errors
    /// Stops the pipeline; the next start tries again.
    fn commit(&self, _prepared: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Removes prepared output. Idempotent.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn abort(&self, _prepared: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Whether [`commit`](Self::commit) finds what was prepared, hidden or visible already. It does not where that is on
    /// another disk.
    ///
    /// # Errors
    /// Where nobody can look.
    fn is_staged(&self, _prepared: &[u8]) -> Result<bool> {
        Ok(true)
    }

    /// The [writers](super::BuildContext::writer_id) that left hidden output of this pipeline and run no more. They are kept
    /// from starting again until the next [`sweep`](Self::remove_orphans).
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        Ok(Vec::new())
    }

    /// Removes the hidden output of writers that run no more, without what is `decided`: what those prepared whose
    /// commits were. Called only where it is known of these writers what was decided.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn remove_orphans(&self, _writers: &[Arc<str>], _decided: &[Vec<u8>]) -> Result<()> {
        Ok(())
    }

    /// Removes the output that this pipeline wrote (`--fresh`).
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn reset(&self) -> Result<()> {
        Ok(())
    }

    /// Checks, before anything runs, that the output can be written, and claims it for this pipeline.
    ///
    /// # Errors
    /// Stops the pipeline before it starts.
    fn acquire(&self) -> Result<()> {
        Ok(())
    }

    /// Where the output goes, where that outlives the run.
    fn destination(&self) -> Option<Destination> {
        None
    }

    /// What identifies the cluster that the output goes to, once it is claimed and where there is one.
    ///
    /// # Errors
    /// Where it cannot be asked.
    fn cluster_id(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Whether nothing is there that this pipeline has claimed: what it wrote, if it did, is gone.
    ///
    /// # Errors
    /// Where nobody can look.
    fn is_unclaimed(&self) -> Result<bool> {
        Ok(false)
    }

    /// Told before any split opens which run of the pipeline this is, from 1: one that is run again from the beginning
    /// reads the same positions once more.
    fn on_run_start(&self, _run: u64) {}

    /// The ends of the visible output of splits, where that can be seen: no later output of theirs may start before it.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn committed_offsets(&self, splits: &[SplitId]) -> Result<Vec<Option<u64>>> {
        Ok(vec![None; splits.len()])
    }

    /// Who can decide commits that this output is part of.
    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        None
    }

    /// Waits until everything is out, at the end of a run, until the instant at the latest.
    ///
    /// # Errors
    /// Where something is still waiting.
    fn close(&self, _until: Instant) -> Result<()> {
        Ok(())
    }
}

/// A sink: shared, opened once a split.
pub trait Sink: TwoPhaseCommit {
    /// A split's share. `epoch` counts how often this process opened a split.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn open(&self, split: &SplitId, epoch: u64) -> Result<Box<dyn Writer>>;
}

/// A split's share of a sink.
pub trait Writer: Send {
    /// Takes a batch. A row that cannot be carried becomes a dead letter.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn write(&mut self, batch: Batch, dead: &mut Vec<DeadLetter>) -> Result<()>;

    /// Makes what was written since the last call durable but not visible, or ready to become part of a transaction.
    /// The call is the barrier: later rows belong to the next cut.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared>;

    /// Whether so much waits that the split is to be cut.
    fn is_full(&self) -> bool {
        false
    }
}

/// Where dead letters go.
pub trait DeadLetterSink: TwoPhaseCommit {
    /// A split's share.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn open(&self, split: &SplitId, epoch: u64) -> Result<Box<dyn DeadLetterWriter>>;
}

/// A split's share of the dead letters.
pub trait DeadLetterWriter: Send {
    /// Takes dead letters.
    ///
    /// # Errors
    /// Stops the pipeline.
    fn write(&mut self, letters: Vec<DeadLetter>) -> Result<()>;

    /// As [`Writer::prepare`].
    ///
    /// # Errors
    /// Stops the pipeline.
    fn prepare(&mut self, range: OffsetRange) -> Result<Prepared>;

    /// Whether so much waits that the split is to be cut.
    fn is_full(&self) -> bool {
        false
    }
}
