//! What a pipeline notes with a coordinator: in the transaction that decides it, so that it is never ahead of the
//! output nor behind it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cut::{Begin, Cut};
use super::ledger::now_ms;
use crate::error::{Error, Result};
use crate::monitor::Counts;
use crate::record::Span;
use crate::stage::{Notes, Start};

/// The version of the notes' form.
const VERSION: u8 = 2;

/// How a writer's last run began, and whether its input has ended.
#[derive(Serialize, Deserialize)]
pub(super) struct RunNote {
    pub(super) begin: Begin,
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
    pub(super) cuts: Vec<DecidedCut>,
}

/// A cut of such a transaction.
#[derive(Serialize, Deserialize)]
pub(super) struct DecidedCut {
    pub(super) lane: String,
    pub(super) span: Span,
    /// What its ends prepared apart, the sink's first.
    pub(super) prepared: Vec<Vec<u8>>,
}

impl DecidedNote {
    pub(super) fn of(cuts: &[Cut], writer: &str) -> DecidedNote {
        let cut = |cut: &Cut| DecidedCut {
            lane: cut.lane.to_string(),
            span: cut.span,
            prepared: cut.apart().map(<[u8]>::to_vec).collect(),
        };
        let beside = cuts.iter().filter(|cut| cut.apart().any(|prepared| !prepared.is_empty()));
        DecidedNote { writer: writer.to_owned(), cuts: beside.map(cut).collect() }
    }
}

/// Where a lane goes on.
#[derive(Serialize, Deserialize)]
pub(super) struct LaneNote {
    pub(super) lane: String,
    /// The run that it belongs to, where a completed run is begun anew.
    pub(super) run: u64,
    /// The stages that the state belongs to.
    pub(super) shape: String,
    pub(super) start: Start,
    /// Records held back there.
    pub(super) held: u64,
    /// Whether its input had ended.
    pub(super) ended: bool,
    pub(super) time_ms: u64,
    /// Whether a ledger decided it, which may be ahead of the source's own positions.
    pub(super) from_ledger: bool,
}

impl LaneNote {
    pub(super) fn of(cut: &Cut, run: u64, shape: &str) -> LaneNote {
        LaneNote {
            lane: cut.lane.to_string(),
            run,
            shape: shape.to_owned(),
            start: cut.start(),
            held: cut.counts.held_after,
            ended: cut.ended,
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
pub(super) fn decided(notes: &Notes) -> impl Iterator<Item = Result<(u64, DecidedNote)>> {
    notes.iter().filter_map(|(key, bytes)| {
        let id = u64::from_str_radix(key.strip_prefix("decided/")?, 16).ok()?;
        Some(decode(key, bytes).map(|note| (id, note)))
    })
}

/// Says that somebody forgot everything on purpose.
pub(super) const FORGOTTEN: &str = "forgotten";

/// The key of a lane, and of who keeps positions of it besides: another consumer group reads it by itself.
pub(super) fn lane_key(keeper: &str, lane: &str) -> String {
    format!("lane/{keeper}/{lane}")
}

/// The lanes among some notes.
pub(super) fn lanes(notes: &Notes) -> impl Iterator<Item = Result<LaneNote>> {
    notes.iter().filter(|(key, _)| key.starts_with("lane/")).map(|(key, bytes)| decode(key, bytes))
}

pub(super) fn encode<T: Serialize>(note: &T) -> Result<Vec<u8>> {
    postcard::to_extend(note, vec![VERSION]).map_err(|e| Error::bug("a note that cannot be written").because(e))
}

/// The note with that key, where there is one.
pub(super) fn find<T: DeserializeOwned>(notes: &Notes, key: &str) -> Result<Option<T>> {
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
