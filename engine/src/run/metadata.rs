//! What a pipeline notes with a coordinator: in the transaction that decides it, so that it is never ahead of the
//! output nor behind it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, RunRecord};
use super::ledger::now_ms;
use super::sinks::Staged;
use crate::error::{Error, Result};
use crate::monitor::Counts;
use crate::record::OffsetRange;
use crate::stage::{CommitMetadata, SplitState};

/// The version of the notes' form.
const VERSION: u8 = 3;

/// How a writer's last run began, and whether its input has ended.
#[derive(Serialize, Deserialize)]
pub(super) struct RunNote {
    pub(super) begin: RunRecord,
    pub(super) done: bool,
}

/// What a writer's run counted up to its last transaction.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct LastNote {
    pub(super) counts: Counts,
    /// When, in milliseconds since 1970.
    pub(super) time_ms: u64,
}

/// What lies beside a transaction that was decided: whoever comes next can make it visible, whatever became of the process
/// that prepared it.
#[derive(Serialize, Deserialize)]
pub(super) struct DecidedNote {
    /// The process that prepared it.
    pub(super) writer: String,
    pub(super) checkpoints: Vec<DecidedCheckpoint>,
}

/// A checkpoint of such a transaction.
#[derive(Serialize, Deserialize)]
pub(super) struct DecidedCheckpoint {
    pub(super) split: String,
    pub(super) span: OffsetRange,
    /// The output that it staged.
    pub(super) staged: Staged,
}

impl DecidedNote {
    pub(super) fn of(checkpoints: &[Checkpoint], writer: &str) -> DecidedNote {
        let checkpoint = |checkpoint: &Checkpoint| DecidedCheckpoint {
            split: checkpoint.split.to_string(),
            span: checkpoint.span,
            staged: checkpoint.output.staged(),
        };
        let beside = checkpoints.iter().filter(|checkpoint| !checkpoint.output.staged().is_empty());
        DecidedNote { writer: writer.to_owned(), checkpoints: beside.map(checkpoint).collect() }
    }
}

/// Where a split goes on.
#[derive(Serialize, Deserialize)]
pub(super) struct SplitRecord {
    pub(super) split: String,
    /// The run that it belongs to, where a completed run is begun anew.
    pub(super) run: u64,
    /// The stages that the state belongs to.
    pub(super) shape: String,
    pub(super) start: SplitState,
    /// Records held back there.
    pub(super) held: u64,
    /// Whether its input had ended.
    pub(super) ended: bool,
    pub(super) time_ms: u64,
    /// Whether a ledger decided it, which may be ahead of the source's own positions.
    pub(super) from_ledger: bool,
}

impl SplitRecord {
    pub(super) fn of(checkpoint: &Checkpoint, run: u64, shape: &str) -> SplitRecord {
        SplitRecord {
            split: checkpoint.split.to_string(),
            run,
            shape: shape.to_owned(),
            start: checkpoint.start(),
            held: checkpoint.counts.held_after,
            ended: checkpoint.ended,
            time_ms: now_ms(),
            from_ledger: false,
        }
    }
}

pub(super) fn run_key(writer: &str) -> String {
    format!("run/{writer}")
}

pub(super) fn last_key(writer: &str) -> String {
    format!("last/{writer}")
}

/// Says that a transaction was decided that has output beside it, and which. It stays until all of that is visible:
/// whoever commits meanwhile, and under whatever name, cannot make it forgotten.
pub(super) fn decided_key(id: u64) -> String {
    format!("decided/{id:016x}")
}

/// The transactions with output beside them that is not known to be visible, by number.
pub(super) fn decided(notes: &CommitMetadata) -> impl Iterator<Item = Result<(u64, DecidedNote)>> {
    notes.iter().filter_map(|(key, bytes)| {
        let id = u64::from_str_radix(key.strip_prefix("decided/")?, 16).ok()?;
        Some(decode(key, bytes).map(|note| (id, note)))
    })
}

/// Says that somebody forgot everything on purpose.
pub(super) const FORGOTTEN: &str = "forgotten";

/// The key of a split, and of who keeps positions of it besides: another consumer group reads it by itself.
pub(super) fn split_key(keeper: &str, split: &str) -> String {
    format!("split/{keeper}/{split}")
}

/// The splits among some notes.
pub(super) fn splits(notes: &CommitMetadata) -> impl Iterator<Item = Result<SplitRecord>> {
    notes.iter().filter(|(key, _)| key.starts_with("split/")).map(|(key, bytes)| decode(key, bytes))
}

pub(super) fn encode<T: Serialize>(note: &T) -> Result<Vec<u8>> {
    postcard::to_extend(note, vec![VERSION]).map_err(|e| Error::bug("a note that cannot be written").because(e))
}

/// The note with that key, where there is one.
pub(super) fn find<T: DeserializeOwned>(notes: &CommitMetadata, key: &str) -> Result<Option<T>> {
    notes.get(key).map(|bytes| decode(key, bytes)).transpose()
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    let unreadable = || {
        Error::new(format!("what was noted of `{key}` cannot be read"))
            .help("was it noted by another version of aqpipe? `--fresh` forgets it")
    };
    match bytes.split_first() {
        Some((&VERSION, bytes)) => postcard::from_bytes(bytes).map_err(|e| unreadable().because(e)),
        _ => Err(unreadable()),
    }
}
