//! Numbers the keys of records.

use std::collections::HashMap;

use aqpipe_engine::record::Batch;
use arrow_array::{Array, StringArray};

use super::key_id::KeyId;
use super::key_order::KeyOrder;

/// All keys seen so far. Records without a key are a series of their own.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    ids: HashMap<Box<str>, KeyId, foldhash::fast::RandomState>,
    keyless: Option<KeyId>,
    names: Vec<Option<Box<str>>>,
    /// The key that last followed each key; itself at first.
    successor: Vec<KeyId>,
}

impl KeyTable {
    /// The names of the keys, by their numbers.
    pub(super) fn names(&self) -> &[Option<Box<str>>] {
        &self.names
    }

    /// The number of a key, given out at its first mention.
    pub(super) fn id(&mut self, key: Option<&str>) -> KeyId {
        let known = match key {
            Some(key) => self.ids.get(key).copied(),
            None => self.keyless,
        };
        known.unwrap_or_else(|| self.add(key))
    }

    /// The number of the key in the row after one with the key `last`. Mostly it is the same key or the one that followed it before,
    /// so that stations that take turns need no look-up.
    fn id_after(&mut self, last: KeyId, key: Option<&str>) -> KeyId {
        let is = |id: KeyId| self.names[id as usize].as_deref() == key;
        let guess = self.successor[last as usize];
        if is(last) {
            last
        } else if is(guess) {
            guess
        } else {
            let id = self.id(key);
            self.successor[last as usize] = id;
            id
        }
    }

    fn add(&mut self, key: Option<&str>) -> KeyId {
        let id = self.names.len() as KeyId;
        self.names.push(key.map(Box::from));
        self.successor.push(id);
        match key {
            Some(key) => drop(self.ids.insert(key.into(), id)),
            None => self.keyless = Some(id),
        }
        id
    }

    /// The order of a batch's rows.
    pub(super) fn order(&mut self, batch: &Batch) -> KeyOrder {
        let rows = batch.rows();
        let Some(keys) = batch.key().filter(|keys| !keys.is_empty()) else {
            return KeyOrder::One { key: self.id(None), rows };
        };
        let key_of = |row: usize| keys.is_valid(row).then(|| keys.value(row));
        if all_the_same(keys) {
            return KeyOrder::One { key: self.id(key_of(0)), rows };
        }
        let mut last = self.id(key_of(0));
        let ids = (0..rows).map(|row| {
            last = self.id_after(last, key_of(row));
            last
        });
        KeyOrder::of(ids.collect())
    }
}

/// Whether all keys are the same: whether the column's bytes equal themselves, shifted by one key.
fn all_the_same(keys: &StringArray) -> bool {
    if keys.null_count() > 0 {
        return false;
    }
    let offsets = keys.value_offsets();
    let length = offsets[1] - offsets[0];
    if !offsets.windows(2).all(|pair| pair[1] - pair[0] == length) {
        return false;
    }
    let bytes = &keys.values().as_slice()[offsets[0] as usize..offsets[offsets.len() - 1] as usize];
    let length = length as usize;
    bytes[length..] == bytes[..bytes.len() - length]
}
