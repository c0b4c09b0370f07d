//! The topic of commits: values by key, the last of each counts.
//!
//! A key is `PIPELINE/CHUNK/KEY`, for a value larger than a record may be is cut into chunks. Each chunk carries a stamp
//! (the number of the transaction that wrote it), its place and how many there are, so that chunks of different
//! transactions never make one value. All keys of a pipeline are in one partition, which its name decides.

use std::collections::BTreeMap;

use aqpipe_engine::stage::CommitMetadata;

/// Bytes of a value in one record at most: well below what topics take by default.
const CHUNK: usize = 512 << 10;
/// Partitions of the topic where it is created: pipelines in one partition wait for each other's open transactions.
pub(super) const PARTITIONS: i32 = 16;
/// The version of a record's form.
const VERSION: u8 = 1;
/// The version, the stamp, the chunk's place and the number of chunks.
const HEAD: usize = 1 + 8 + 2 + 2;

/// The partition of a pipeline.
pub(super) fn partition_of(pipeline: &str, partitions: usize) -> i32 {
    let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(crc32fast::hash(pipeline.as_bytes()) % partitions).unwrap_or_default()
}

/// A record of the topic.
pub(super) type Record = (String, Option<Vec<u8>>);

/// The records that note a value, or that remove one which has so many chunks.
pub(super) fn records(
    pipeline: &str,
    key: &str,
    value: Option<&[u8]>,
    stamp: u64,
    chunks_before: usize,
) -> Vec<Record> {
    let name = |chunk: usize| format!("{pipeline}/{chunk}/{key}");
    let Some(value) = value else { return (0..chunks_before.max(1)).map(|chunk| (name(chunk), None)).collect() };
    let count = value.len().div_ceil(CHUNK).max(1);
    let chunk = |chunk: usize| {
        let part = &value[chunk * CHUNK..value.len().min((chunk + 1) * CHUNK)];
        let mut bytes = Vec::with_capacity(HEAD + part.len());
        bytes.push(VERSION);
        bytes.extend(stamp.to_le_bytes());
        bytes.extend((chunk as u16).to_le_bytes());
        bytes.extend((count as u16).to_le_bytes());
        bytes.extend(part);
        (name(chunk), Some(bytes))
    };
    // Chunks of a longer value that was there before stay, and belong to nothing.
    (0..count).map(chunk).collect()
}

/// What was read of the topic for one pipeline.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The chunks that are there, by key.
    chunks: BTreeMap<String, BTreeMap<u16, Chunk>>,
    notes: CommitMetadata,
    /// Those whose key begins with a point: what the transactions note of themselves.
    own: CommitMetadata,
}

#[derive(Debug)]
struct Chunk {
    stamp: u64,
    count: u16,
    part: Vec<u8>,
}

impl Shelf {
    /// Takes a record; those of other pipelines and of other versions are passed over. Returns the key whose value
    /// changed.
    pub(super) fn take<'a>(&mut self, pipeline: &str, key: &'a [u8], value: Option<&[u8]>) -> Option<&'a str> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(pipeline)?.strip_prefix('/')?;
        let (chunk, key) = key.split_once('/')?;
        let chunk: u16 = chunk.parse().ok()?;
        let chunks = self.chunks.entry(key.to_owned()).or_default();
        match value {
            None => {
                chunks.remove(&chunk);
            }
            Some(value) => {
                chunks.insert(chunk, parse(value)?);
            }
        }
        let notes = if key.starts_with('.') { &mut self.own } else { &mut self.notes };
        match whole(chunks) {
            Some(value) => notes.insert(key.to_owned(), value),
            // Some of its chunks may still come.
            None if chunks.contains_key(&0) => return None,
            None => notes.remove(key),
        };
        if chunks.is_empty() {
            self.chunks.remove(key);
        }
        Some(key)
    }

    pub(super) fn notes(&self) -> &CommitMetadata {
        &self.notes
    }

    pub(super) fn into_notes(self) -> CommitMetadata {
        self.notes
    }

    /// A number that the transactions noted of themselves.
    pub(super) fn own(&self, key: &str) -> Option<u64> {
        self.own.get(key)?.as_slice().try_into().ok().map(u64::from_le_bytes)
    }

    /// How many chunks a key has.
    pub(super) fn chunks(&self, key: &str) -> usize {
        self.chunks.get(key).and_then(|chunks| chunks.keys().last()).map_or(0, |last| usize::from(*last) + 1)
    }
}

fn parse(value: &[u8]) -> Option<Chunk> {
    let (head, part) = value.split_at_checked(HEAD)?;
    let stamp = u64::from_le_bytes(head[1..9].try_into().ok()?);
    let count = u16::from_le_bytes(head[11..13].try_into().ok()?);
    (head[0] == VERSION).then(|| Chunk { stamp, count, part: part.to_vec() })
}

/// The value, where all chunks of one transaction are there.
fn whole(chunks: &BTreeMap<u16, Chunk>) -> Option<Vec<u8>> {
    let first = chunks.get(&0)?;
    let mut value = Vec::new();
    for chunk in 0..first.count {
        let chunk = chunks.get(&chunk).filter(|chunk| chunk.stamp == first.stamp)?;
        value.extend_from_slice(&chunk.part);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(shelf: &mut Shelf, records: &[Record]) {
        for (key, value) in records {
            shelf.take("p", key.as_bytes(), value.as_deref());
        }
    }

    #[test]
    fn values_of_any_length_come_back_whole_and_the_last_one_counts() {
        let mut shelf = Shelf::default();
        let (long, longer) = (vec![7; CHUNK + 1], vec![8; 2 * CHUNK + 1]);
        for value in [&b""[..], b"short", &longer, &long, b"short again"] {
            let records = records("p", "split/t/0", Some(value), value.len() as u64, shelf.chunks("split/t/0"));
            assert_eq!(records.len(), value.len().div_ceil(CHUNK).max(1));
            put(&mut shelf, &records);
            assert_eq!(shelf.notes().get("split/t/0").map(Vec::as_slice), Some(value));
        }
        let gone = records("p", "split/t/0", None, 9, shelf.chunks("split/t/0"));
        put(&mut shelf, &gone);
        assert!(shelf.notes().is_empty());
    }

    #[test]
    fn chunks_of_two_transactions_make_no_value() {
        let mut shelf = Shelf::default();
        let old = records("p", "k", Some(&vec![1; 2 * CHUNK]), 1, 0);
        let new = records("p", "k", Some(&vec![2; 2 * CHUNK]), 2, 2);
        put(&mut shelf, &old);
        put(&mut shelf, &new[..1]);
        assert_eq!(shelf.notes()["k"][0], 1, "the old one counts until the new one is whole");
        put(&mut shelf, &new[1..]);
        assert_eq!((shelf.notes()["k"][0], shelf.notes()["k"].len()), (2, 2 * CHUNK));
    }

    #[test]
    fn what_belongs_to_others_or_to_no_version_is_passed_over() {
        let mut shelf = Shelf::default();
        for key in [&b"pp/0/k"[..], b"p/x/k", b"p", b"p/0", b"\xff/0/k", b"q/0/k"] {
            assert_eq!(shelf.take("p", key, Some(&[VERSION; 20])), None);
        }
        assert_eq!(shelf.take("p", b"p/0/k", Some(b"no")), None);
        assert!(shelf.notes().is_empty());
    }
}
