//! Commit metadata as records of a compacted topic: values by key, of which the last one counts.
//!
//! The key of a record is `PIPELINE/CHUNK/KEY`: a value that is larger than a record may be is cut into chunks. Each chunk
//! has the id of the transaction that wrote it, its index and the number of chunks, so that chunks of different
//! transactions never make one value. All keys of a pipeline are in one partition, which its name decides.

use std::collections::BTreeMap;

use aqpipe_engine::stage::CommitMetadata;

/// The most bytes of a value in one record: well below what topics take by default.
const CHUNK_BYTES_MAX: usize = 512 << 10;
/// The format version of a record's value.
const RECORD_FORMAT_VERSION: u8 = 1;
/// Format version, transaction id, index of the chunk, number of chunks.
const RECORD_HEADER_BYTES: usize = 1 + 8 + 2 + 2;

/// The partition of the commit topic that holds the metadata of a pipeline.
pub(super) fn metadata_partition(pipeline: &str, partitions: usize) -> i32 {
    let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(crc32fast::hash(pipeline.as_bytes()) % partitions).unwrap_or_default()
}

/// Key and value of a record; one without a value is a tombstone.
pub(super) type MetadataRecord = (String, Option<Vec<u8>>);

/// The records that write a value; without one, the tombstones of the `chunks_before` that it has.
pub(super) fn records(
    pipeline: &str,
    key: &str,
    value: Option<&[u8]>,
    txn_id: u64,
    chunks_before: usize,
) -> Vec<MetadataRecord> {
    let name = |chunk: usize| format!("{pipeline}/{chunk}/{key}");
    let Some(value) = value else { return (0..chunks_before.max(1)).map(|chunk| (name(chunk), None)).collect() };
    let count = value.len().div_ceil(CHUNK_BYTES_MAX).max(1);
    let chunk = |chunk: usize| {
        let part = &value[chunk * CHUNK_BYTES_MAX..value.len().min((chunk + 1) * CHUNK_BYTES_MAX)];
        let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + part.len());
        bytes.push(RECORD_FORMAT_VERSION);
        bytes.extend(txn_id.to_le_bytes());
        bytes.extend((chunk as u16).to_le_bytes());
        bytes.extend((count as u16).to_le_bytes());
        bytes.extend(part);
        (name(chunk), Some(bytes))
    };
    // Later chunks of a longer value before it stay, and are never read: their transaction id is another one.
    (0..count).map(chunk).collect()
}

/// The metadata of one pipeline, as a compacted read of the topic gives it.
#[derive(Debug, Default)]
pub(super) struct CompactedView {
    /// By key, the chunks that were read, of values that have several or are not whole. The others are in `metadata` alone.
    chunks: BTreeMap<String, BTreeMap<u16, Chunk>>,
    metadata: CommitMetadata,
    /// Values of keys that begin with a point: numbers that transactions write about themselves.
    transaction_numbers: CommitMetadata,
}

#[derive(Debug)]
struct Chunk {
    txn_id: u64,
    count: u16,
    /// Its bytes, until the value is whole.
    part: Option<Vec<u8>>,
}

impl CompactedView {
    /// Applies a record; returns the key whose value changed. Records of other pipelines and of other format versions
    /// change nothing.
    pub(super) fn apply<'a>(&mut self, pipeline: &str, key: &'a [u8], value: Option<&[u8]>) -> Option<&'a str> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(pipeline)?.strip_prefix('/')?;
        let (chunk, key) = key.split_once('/')?;
        let chunk: u16 = chunk.parse().ok()?;
        let metadata = if key.starts_with('.') { &mut self.transaction_numbers } else { &mut self.metadata };
        let Some(value) = value else {
            if let Some(chunks) = self.chunks.get_mut(key) {
                chunks.remove(&chunk);
                if chunks.is_empty() {
                    self.chunks.remove(key);
                }
            }
            return (chunk == 0).then(|| {
                metadata.remove(key);
                key
            });
        };
        let read = parse(value)?;
        if let (1, 0, None) = (read.count, chunk, self.chunks.get(key)) {
            let value = read.part.unwrap_or_default();
            match metadata.get_mut(key) {
                Some(before) => *before = value,
                None => drop(metadata.insert(key.to_owned(), value)),
            }
            return Some(key);
        }
        let chunks = self.chunks.entry(key.to_owned()).or_default();
        chunks.insert(chunk, read);
        // Else the other chunks of this transaction may follow.
        metadata.insert(key.to_owned(), whole(chunks)?);
        Some(key)
    }

    pub(super) fn metadata(&self) -> &CommitMetadata {
        &self.metadata
    }

    pub(super) fn into_metadata(self) -> CommitMetadata {
        self.metadata
    }

    /// A number that transactions wrote under a key that begins with a point.
    pub(super) fn transaction_number(&self, key: &str) -> Option<u64> {
        self.transaction_numbers.get(key)?.as_slice().try_into().ok().map(u64::from_le_bytes)
    }

    /// How many chunks a key has.
    pub(super) fn chunks(&self, key: &str) -> usize {
        let last = self.chunks.get(key).and_then(|chunks| chunks.keys().last());
        last.map_or(usize::from(self.metadata.contains_key(key)), |last| usize::from(*last) + 1)
    }
}

fn parse(value: &[u8]) -> Option<Chunk> {
    let (head, part) = value.split_at_checked(RECORD_HEADER_BYTES)?;
    let txn_id = u64::from_le_bytes(head[1..9].try_into().ok()?);
    let count = u16::from_le_bytes(head[11..13].try_into().ok()?);
    (head[0] == RECORD_FORMAT_VERSION).then(|| Chunk { txn_id, count, part: Some(part.to_vec()) })
}

/// Takes the value, once all chunks of one transaction are there.
fn whole(chunks: &mut BTreeMap<u16, Chunk>) -> Option<Vec<u8>> {
    let &Chunk { txn_id, count, .. } = chunks.get(&0)?;
    let is_there = |chunk: &Chunk| chunk.txn_id == txn_id && chunk.part.is_some();
    if !(0..count).all(|chunk| chunks.get(&chunk).is_some_and(is_there)) {
        return None;
    }
    Some((0..count).filter_map(|chunk| chunks.get_mut(&chunk)?.part.take()).flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply_all(view: &mut CompactedView, records: &[MetadataRecord]) {
        for (key, value) in records {
            view.apply("p", key.as_bytes(), value.as_deref());
        }
    }

    #[test]
    fn values_of_any_length_come_back_whole_and_the_last_one_counts() {
        let mut view = CompactedView::default();
        let (long, longer) = (vec![7; CHUNK_BYTES_MAX + 1], vec![8; 2 * CHUNK_BYTES_MAX + 1]);
        for value in [&b""[..], b"short", &longer, &long, b"short again"] {
            let records = records("p", "split/t/0", Some(value), value.len() as u64, view.chunks("split/t/0"));
            assert_eq!(records.len(), value.len().div_ceil(CHUNK_BYTES_MAX).max(1));
            apply_all(&mut view, &records);
            assert_eq!(view.metadata().get("split/t/0").map(Vec::as_slice), Some(value));
        }
        let gone = records("p", "split/t/0", None, 9, view.chunks("split/t/0"));
        apply_all(&mut view, &gone);
        assert!(view.metadata().is_empty());
    }

    #[test]
    fn chunks_of_two_transactions_make_no_value() {
        let mut view = CompactedView::default();
        let old = records("p", "k", Some(&vec![1; 2 * CHUNK_BYTES_MAX]), 1, 0);
        let new = records("p", "k", Some(&vec![2; 2 * CHUNK_BYTES_MAX]), 2, 2);
        apply_all(&mut view, &old);
        apply_all(&mut view, &new[..1]);
        assert_eq!(view.metadata()["k"][0], 1, "the old one counts until the new one is whole");
        apply_all(&mut view, &new[1..]);
        assert_eq!((view.metadata()["k"][0], view.metadata()["k"].len()), (2, 2 * CHUNK_BYTES_MAX));
    }

    #[test]
    fn what_belongs_to_others_or_to_no_version_is_passed_over() {
        let mut view = CompactedView::default();
        for key in [&b"pp/0/k"[..], b"p/x/k", b"p", b"p/0", b"\xff/0/k", b"q/0/k"] {
            assert_eq!(view.apply("p", key, Some(&[RECORD_FORMAT_VERSION; 20])), None);
        }
        assert_eq!(view.apply("p", b"p/0/k", Some(b"no")), None);
        assert!(view.metadata().is_empty());
    }
}
