//! The values of commit metadata. The transaction that commits output writes them too, so that they are neither ahead of the
//! output nor behind it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, RunRecord};
use super::key::Key;
use super::split_change::SplitChange;
use crate::error::{Error, Result};
use crate::metrics::Counts;
use crate::record::OffsetRange;
use crate::run::sinks::Staged;
use crate::stage::{CommitMetadata, SplitState};

/// The version of the values' format.
const METADATA_FORMAT_VERSION: u8 = 5;

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
    /// Without the entries of its transforms: each has a key of its own, so that a transaction writes those that changed.
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

/// The changes that write what checkpoints changed of a split's state, and delete what is gone. `before` is its last value.
pub(super) fn put_split(
    metadata: &CommitMetadata,
    group: &str,
    value: &mut SplitValue,
    before: Option<&SplitValue>,
    change: &SplitChange,
) -> Result<Vec<Change>> {
    let SplitChange { position, sequence, reader, transforms } = change;
    let headers = transforms.iter().map(|(stage, changes)| (stage.clone(), changes.header())).collect();
    value.state = SplitState { position: *position, sequence: *sequence, reader: reader.clone(), transforms: headers };
    let split = value.split.clone();
    let mut all = vec![put(&Key::Split { group: group.to_owned(), split: split.clone() }, value)?];
    for (stage, changes) in transforms {
        let prefix = Key::entries(group, &split, stage);
        if changes.is_whole() {
            // Both in the order of their keys.
            let mut there = changes.entries().map(|(entry, _)| entry).peekable();
            let gone = entries(metadata, &prefix).map(|(entry, _)| entry).filter(|entry| {
                while there.next_if(|there| there < entry).is_some() {}
                there.peek() != Some(entry)
            });
            all.extend(gone.map(|entry| (format!("{prefix}{entry}"), None)));
        }
        all.extend(changes.entries().map(|(entry, bytes)| (format!("{prefix}{entry}"), bytes.map(<[u8]>::to_vec))));
    }
    let gone =
        before.iter().flat_map(|value| value.state.transforms.keys()).filter(|stage| !transforms.contains_key(*stage));
    for stage in gone {
        let prefix = Key::entries(group, &split, stage);
        all.extend(entries(metadata, &prefix).map(|(entry, _)| (format!("{prefix}{entry}"), None)));
    }
    Ok(all)
}

/// The state of a split with the entries of its transforms.
pub(in crate::run) fn split_state(metadata: &CommitMetadata, group: &str, value: &SplitValue) -> SplitState {
    let mut state = value.state.clone();
    for (stage, saved) in &mut state.transforms {
        let prefix = Key::entries(group, &value.split, stage);
        entries(metadata, &prefix).for_each(|(entry, bytes)| saved.put_back(entry, bytes));
    }
    state
}

/// The entries of a stage with their keys, which come behind the prefix.
fn entries<'a>(metadata: &'a CommitMetadata, prefix: &str) -> impl Iterator<Item = (&'a str, &'a Vec<u8>)> {
    metadata.range(prefix.to_owned()..).map_while(move |(key, bytes)| Some((key.strip_prefix(prefix)?, bytes)))
}

/// All keys that this version knows, but for those of entries.
pub(in crate::run) fn keys(metadata: &CommitMetadata) -> impl Iterator<Item = Key> {
    metadata.keys().filter(|key| !Key::is_entry(key)).filter_map(|key| key.parse().ok())
}

/// The staged output that is not known to be visible, by transaction.
pub(in crate::run) fn staged(metadata: &CommitMetadata) -> impl Iterator<Item = Result<(u64, StagedValue)>> {
    let of = |key: &Key| match key {
        Key::Staged { id } => Some(*id),
        _ => None,
    };
    values(metadata, of)
}

/// The splits of all groups, with the group of each.
pub(in crate::run) fn splits(metadata: &CommitMetadata) -> impl Iterator<Item = Result<(String, SplitValue)>> {
    let of = |key: &Key| match key {
        Key::Split { group, .. } => Some(group.clone()),
        _ => None,
    };
    values(metadata, of)
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
    metadata.iter().filter(|(text, _)| !Key::is_entry(text)).filter_map(move |(text, bytes)| {
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
