//! Entries by key, in flat memory: thousands of small ones are written, joined, sent on and saved as a few stretches of bytes.
//!
//! An entry is the length of its key, the key, the length of its value plus one (zero where the entry is gone) and the value;
//! lengths have seven bits a byte, lowest first. A run has entries in the order of their keys, each key once. A set of entries has a
//! few runs, older ones first: what is added is a run of its own, and is joined with the run before it once it is half as large. So
//! an entry is copied a few times, however many there are and however few change at once.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Entries by key: values, and marks of entries that are gone. A copy shares their memory.
#[derive(Clone, Default)]
pub(super) struct Entries {
    /// Of a key that several runs have, the last one counts.
    runs: Vec<Arc<Run>>,
}

/// Entries in the order of their keys.
#[derive(Clone, Default)]
struct Run {
    bytes: Vec<u8>,
    /// Where the last key is.
    last: Range<usize>,
}

/// An entry, and the bytes behind it.
#[derive(Clone, Copy)]
struct Item<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    rest: &'a [u8],
}

impl<'a> Item<'a> {
    /// The first entry of some bytes; `None` where there is no whole one.
    fn first(bytes: &'a [u8]) -> Option<Item<'a>> {
        let (length, rest) = read_length(bytes)?;
        let (key, rest) = rest.split_at_checked(length)?;
        let (length, rest) = read_length(rest)?;
        let (value, rest) = rest.split_at_checked(length.saturating_sub(1))?;
        Some(Item { key, value: (length > 0).then_some(value), rest })
    }
}

impl Run {
    fn last_key(&self) -> &[u8] {
        self.bytes.get(self.last.clone()).unwrap_or_default()
    }

    /// Whether a key comes behind all others.
    fn takes(&self, key: &[u8]) -> bool {
        self.bytes.is_empty() || self.last_key() < key
    }

    /// Adds an entry behind all others.
    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        write_length(key.len(), &mut self.bytes);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.last = at..self.bytes.len();
        write_length(value.map_or(0, |value| value.len() + 1), &mut self.bytes);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    /// The run of some bytes; `None` where they are none.
    fn read(bytes: Vec<u8>) -> Option<Run> {
        let (mut rest, mut last) = (&bytes[..], 0..0);
        let mut before: Option<&[u8]> = None;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let item = Item::first(rest)?;
            if before.is_some_and(|before| before >= item.key) || std::str::from_utf8(item.key).is_err() {
                return None;
            }
            let from = at + length_bytes(item.key.len());
            (before, last, rest) = (Some(item.key), from..from + item.key.len(), item.rest);
        }
        Some(Run { last, bytes })
    }

    fn items(&self) -> Items<'_> {
        Items(&self.bytes)
    }

    /// Both as one. Marks of what is gone are dropped where nothing lies below.
    fn join(older: &Run, newer: &Run, is_lowest: bool) -> Run {
        let (mut a, mut b) = (&older.bytes[..], &newer.bytes[..]);
        let mut joined = Run { bytes: Vec::with_capacity(a.len() + b.len()), last: 0..0 };
        let (mut first, mut second) = (Item::first(a), Item::first(b));
        while let Some(new) = second {
            // The entries up to it as one stretch.
            let from = a;
            let mut last = None;
            while let Some(old) = first.filter(|old| old.key < new.key) {
                (last, a) = (Some(old), old.rest);
                first = Item::first(a);
            }
            if let Some(last) = last {
                joined.extend(&from[..from.len() - a.len()], last);
            }
            if let Some(old) = first.filter(|old| old.key == new.key) {
                a = old.rest;
                first = Item::first(a);
            }
            if new.value.is_some() || !is_lowest {
                joined.extend(&b[..b.len() - new.rest.len()], new);
            }
            b = new.rest;
            second = Item::first(b);
        }
        if !a.is_empty() {
            let at = joined.bytes.len() + older.last.start - (older.bytes.len() - a.len());
            joined.bytes.extend_from_slice(a);
            joined.last = at..at + older.last.len();
        }
        joined
    }

    /// Adds a stretch of entries of which this is the last.
    fn extend(&mut self, stretch: &[u8], last: Item<'_>) {
        self.bytes.extend_from_slice(stretch);
        let value = last.value.map_or(0, <[u8]>::len);
        let end = self.bytes.len() - value - length_bytes(last.value.map_or(0, |value| value.len() + 1));
        self.last = end - last.key.len()..end;
    }
}

struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let item = Item::first(self.0)?;
        self.0 = item.rest;
        Some(item)
    }
}

impl Entries {
    /// Adds an entry, or the mark that it is gone. `is_whole` says that nothing lies below these entries.
    pub(super) fn put(&mut self, key: &str, value: Option<&[u8]>, is_whole: bool) {
        let key = key.as_bytes();
        if let Some(last) = self.runs.last_mut().and_then(Arc::get_mut).filter(|last| last.takes(key)) {
            return last.push(key, value);
        }
        self.settle(is_whole);
        let mut run = Run::default();
        run.push(key, value);
        self.runs.push(Arc::new(run));
    }

    /// Adds entries that came later.
    pub(super) fn extend(&mut self, later: Entries, is_whole: bool) {
        for run in later.runs {
            self.runs.push(run);
            self.settle(is_whole);
        }
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }

    /// Joins the last runs while they are not much smaller than those before them.
    fn settle(&mut self, is_whole: bool) {
        while let [.., older, newer] = self.runs.as_slice()
            && older.bytes.len() / 2 <= newer.bytes.len()
        {
            let joined = Run::join(older, newer, is_whole && self.runs.len() == 2);
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(Arc::new(joined));
        }
    }

    /// Makes one run of all.
    pub(super) fn join_all(&mut self, is_whole: bool) {
        while let [.., older, newer] = self.runs.as_slice() {
            let joined = Run::join(older, newer, is_whole && self.runs.len() == 2);
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(Arc::new(joined));
        }
    }

    /// All as one run.
    fn as_one(&self) -> Cow<'_, [u8]> {
        match self.runs.as_slice() {
            [] => Cow::Borrowed(&[]),
            [one] => Cow::Borrowed(&one.bytes),
            [.., last] => {
                let mut joined = Cow::Borrowed(&**last);
                for older in self.runs.iter().rev().skip(1) {
                    joined = Cow::Owned(Run::join(older, &joined, false));
                }
                Cow::Owned(joined.into_owned().bytes)
            }
        }
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.bytes.len()).sum()
    }

    /// The value of a key. The entries before it are read on the way.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        let key = key.as_bytes();
        let found = |run: &'_ Arc<Run>| -> Option<Option<Range<usize>>> {
            let item = run.items().take_while(|item| item.key <= key).find(|item| item.key == key)?;
            let end = run.bytes.len() - item.rest.len();
            Some(item.value.map(|value| end - value.len()..end))
        };
        let (run, place) = self.runs.iter().rev().find_map(|run| Some((run, found(run)?)))?;
        run.bytes.get(place?)
    }

    /// All of them in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut runs: Vec<Items<'_>> = self.runs.iter().map(|run| run.items()).collect();
        let mut heads: Vec<Option<Item<'_>>> = runs.iter_mut().map(Iterator::next).collect();
        std::iter::from_fn(move || {
            let least = heads.iter().flatten().map(|item| item.key).min()?;
            let mut value = None;
            for (head, run) in heads.iter_mut().zip(&mut runs) {
                if let Some(item) = head.filter(|item| item.key == least) {
                    value = item.value;
                    *head = run.next();
                }
            }
            // Keys are texts: they come from one, or were looked at when they were read.
            Some((std::str::from_utf8(least).unwrap_or_default(), value))
        })
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.as_one())
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_byte_buf(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl Visitor<'_> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries in the order of their keys")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Entries, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Entries, E> {
        if bytes.is_empty() {
            return Ok(Entries::default());
        }
        let run = Run::read(bytes).ok_or_else(|| E::custom("entries that are no entries"))?;
        Ok(Entries { runs: vec![Arc::new(run)] })
    }
}

fn write_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (at, byte) in bytes.iter().take(length_bytes(usize::MAX)).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // One length has one form: what is read is written the same.
            let is_shortest = *byte != 0 || at == 0;
            return is_shortest.then_some((length, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Vec<Vec<(String, Option<Vec<u8>>)>>> {
        let value = option::of(prop_oneof![vec(any::<u8>(), 0..3), vec(any::<u8>(), 126..130)]);
        vec(vec(("[a-d]{0,2}|[ü-ÿ]{66}", value), 0..8), 0..8)
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_is(changes in changes(), is_whole in any::<bool>(), cut in 0_usize..8) {
            let (mut entries, mut map) = (Entries::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (number, changes) in changes.into_iter().enumerate() {
                let mut run = Entries::default();
                for (key, value) in changes {
                    if number < cut {
                        entries.put(&key, value.as_deref(), is_whole);
                    } else {
                        run.put(&key, value.as_deref(), false);
                    }
                    map.insert(key, value);
                }
                entries.extend(run, is_whole);
                copies.push((entries.clone(), map.clone()));
            }
            let mut joined = entries.clone();
            joined.join_all(is_whole);
            let bytes = postcard::to_stdvec(&entries).expect("saves");
            let back: Entries = postcard::from_bytes(&bytes).expect("reads");
            copies.extend([(joined, map.clone()), (back, map)]);
            for (entries, map) in copies {
                let is_there = |value: Option<&[u8]>| !is_whole || value.is_some();
                let found: Vec<_> = entries.iter().filter(|(_, value)| is_there(*value)).collect();
                let expected: Vec<_> = map.iter().map(|(key, value)| (key.as_str(), value.as_deref())).filter(|(_, value)| is_there(*value)).collect();
                prop_assert_eq!(found, expected);
                for key in ["", "a", "b", "cd", "d"] {
                    prop_assert_eq!(entries.get(key), map.get(key).and_then(Option::as_deref));
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic_and_what_is_read_is_written_the_same(
            bytes in vec(prop_oneof![0_u8..4, any::<u8>()], 0..40),
        ) {
            if let Some(run) = Run::read(bytes.clone()) {
                let mut again = Run::default();
                run.items().for_each(|item| again.push(item.key, item.value));
                prop_assert_eq!((&again.bytes, &again.last), (&bytes, &run.last));
            }
        }
    }

    #[test]
    fn many_small_changes_of_many_entries_are_copied_a_few_times_each() {
        let mut entries = Entries::default();
        (0..10_000).for_each(|key| entries.put(&format!("{key:08}"), Some(&[0; 10]), true));
        for round in 0..1_000 {
            let mut changes = Entries::default();
            changes.put(&format!("{:08}", round * 7 % 10_000), Some(&[1; 10]), false);
            entries.extend(changes, true);
            assert!(entries.runs.len() < 12, "{} runs", entries.runs.len());
        }
        assert_eq!(entries.iter().count(), 10_000);
        assert!(entries.bytes() < 2 * 10_000 * 20);
    }
}
