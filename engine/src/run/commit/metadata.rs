//! The values of commit metadata. The transaction that commits output writes them too, so that they are neither ahead of the
//! output nor behind it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, RunRecord};
use super::key::Key;
use crate::error::{Error, Result};
use crate::metrics::Counts;
use crate::record::OffsetRange;
use crate::run::sinks::Staged;
use crate::stage::{CommitMetadata, SplitState};

/// The version of the values' format.
const METADATA_FORMAT_VERSION: u8 = 4;

/// A change of metadata; without a value, the key is deleted.
pub(super) type Change = (String, Option<Vec<u8>>);

/// How a writer's last run began, and whether its input has ended.
#[derive(Serialize, Deserialize)]
pub(in crate::run) struct RunValue {
    pub(in crate::run) record: RunRecord,
    pub(in crate::run) completed: bool,
}

/// What a writer's run counted up to its last transaction.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in crate::run) struct ProgressValue {
    pub(in crate::run) counts: Counts,
    /// When that transaction was, in milliseconds since 1970.
    pub(in crate::run) time_ms: u64,
}

/// The staged output of a transaction that was committed. Whichever process comes next can make it visible.
#[derive(Serialize, Deserialize)]
pub(in crate::run) struct StagedValue {
    /// The process that staged it.
    pub(in crate::run) writer: String,
    pub(in crate::run) checkpoints: Vec<StagedCheckpoint>,
}

/// The staged output of a checkpoint.
#[derive(Serialize, Deserialize)]
pub(in crate::run) struct StagedCheckpoint {
    pub(in crate::run) split: String,
    pub(in crate::run) range: OffsetRange,
    pub(in crate::run) staged: Staged,
}

/// Where a split goes on.
#[derive(Serialize, Deserialize)]
pub(in crate::run) struct SplitValue {
    pub(in crate::run) split: String,
    /// The run that it belongs to, for a completed run may be repeated.
    pub(in crate::run) run: u64,
    pub(in crate::run) state: SplitState,
    /// The number of rows that transforms hold back.
    pub(in crate::run) held: u64,
    /// Whether its input had ended.
    pub(in crate::run) ended: bool,
    /// When it was committed, in milliseconds since 1970.
    pub(in crate::run) time_ms: u64,
    /// Whether a ledger committed it, which may be ahead of the group's offsets.
    pub(in crate::run) from_ledger: bool,
}

impl StagedValue {
    /// The staged output of checkpoints.
    pub(super) fn of(checkpoints: &[Checkpoint], writer: &str) -> StagedValue {
        let staged = checkpoints.iter().map(|checkpoint| StagedCheckpoint {
            split: checkpoint.split.to_string(),
            range: checkpoint.range,
            staged: checkpoint.output.staged(),
        });
        let checkpoints = staged.filter(|checkpoint| !checkpoint.staged.is_empty()).collect();
        StagedValue { writer: writer.to_owned(), checkpoints }
    }
}

/// The change that writes a value.
pub(super) fn put<T: Serialize>(key: &Key, value: &T) -> Result<Change> {
    let bytes = postcard::to_extend(value, vec![METADATA_FORMAT_VERSION])
        .map_err(|e| Error::bug("commit metadata that cannot be written").because(e))?;
    Ok((key.to_string(), Some(bytes)))
}

/// The change that deletes a key.
pub(super) fn delete(key: &Key) -> Change {
    (key.to_string(), None)
}

/// The value of a key.
pub(in crate::run) fn get<T: DeserializeOwned>(metadata: &CommitMetadata, key: &Key) -> Result<Option<T>> {
    let text = key.to_string();
    metadata.get(&text).map(|bytes| decode(&text, bytes)).transpose()
}

/// All keys that this version knows.
pub(in crate::run) fn keys(metadata: &CommitMetadata) -> impl Iterator<Item = Key> {
    metadata.keys().filter_map(|key| key.parse().ok())
}

/// The staged output that is not known to be visible, by transaction.
pub(in crate::run) fn staged(metadata: &CommitMetadata) -> impl Iterator<Item = Result<(u64, StagedValue)>> {
    let of = |key: &Key| match key {
        Key::Staged { id } => Some(*id),
        _ => None,
    };
    values(metadata, of)
}

/// The splits of all groups.
pub(in crate::run) fn splits(metadata: &CommitMetadata) -> impl Iterator<Item = Result<SplitValue>> {
    values(metadata, |key: &Key| matches!(key, Key::Split { .. }).then_some(()))
        .map(|value| value.map(|((), value)| value))
}

/// The writers that ever began a run.
pub(in crate::run) fn writers(metadata: &CommitMetadata) -> impl Iterator<Item = String> {
    keys(metadata).filter_map(|key| match key {
        Key::Run { writer } => Some(writer),
        _ => None,
    })
}

fn values<K, T: DeserializeOwned>(
    metadata: &CommitMetadata,
    of: impl Fn(&Key) -> Option<K>,
) -> impl Iterator<Item = Result<(K, T)>> {
    metadata.iter().filter_map(move |(text, bytes)| {
        let key = of(&text.parse().ok()?)?;
        Some(decode(text, bytes).map(|value| (key, value)))
    })
}

fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    let unreadable = || {
        Error::new(format!("the commit metadata `{key}` cannot be read"))
            .help("was it written by another version of aqpipe? `--fresh` deletes it and starts from the beginning")
    };
    match bytes.split_first() {
        Some((&METADATA_FORMAT_VERSION, bytes)) => postcard::from_bytes(bytes).map_err(|e| unreadable().because(e)),
        _ => Err(unreadable()),
    }
}
