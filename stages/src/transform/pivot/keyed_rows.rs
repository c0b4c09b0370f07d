//! The rows of all keys that are not complete.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::record::Batch;
use arrow_array::Array as _;

use super::departures::Departure;
use super::open_rows::{KeyRows, OpenRow};

/// A row, with its key.
pub(super) type KeyedRow = (Option<Arc<str>>, OpenRow);
/// Rows that leave.
pub(super) type Ready = Vec<KeyedRow>;

/// The keys, each with its rows.
#[derive(Default)]
pub(super) struct KeyedRows {
    keys: Vec<(Option<Arc<str>>, KeyRows)>,
    ids: HashMap<Option<Arc<str>>, usize, foldhash::fast::RandomState>,
}

impl KeyedRows {
    /// The number of a record's key.
    pub(super) fn key(&mut self, batch: &Batch, row: usize) -> usize {
        let key = batch.key().filter(|keys| keys.is_valid(row)).map(|keys| Arc::from(keys.value(row)));
        self.ids.get(&key).copied().unwrap_or_else(|| self.add(key, KeyRows::default()))
    }

    /// Adds a key, with its rows.
    pub(super) fn add(&mut self, key: Option<Arc<str>>, rows: KeyRows) -> usize {
        self.ids.insert(key.clone(), self.keys.len());
        self.keys.push((key, rows));
        self.keys.len() - 1
    }

    /// The rows of a key, by its number.
    pub(super) fn of(&mut self, key: usize) -> &mut KeyRows {
        &mut self.keys[key].1
    }

    /// The name of a key, by its number.
    pub(super) fn name(&self, key: usize) -> Option<Arc<str>> {
        self.keys[key].0.clone()
    }

    /// All keys with their rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<&str>, &KeyRows)> {
        self.keys.iter().map(|(key, rows)| (key.as_deref(), rows))
    }

    /// The row of a key and time leaves: it is complete.
    pub(super) fn complete(&mut self, key: usize, time: i64, ready: &mut Ready) {
        let (name, rows) = &mut self.keys[key];
        ready.extend(rows.take(time, Departure::Complete).map(|row| (name.clone(), row)));
    }

    /// Rows of a key leave that are earlier than `time` by more than `lateness` microseconds.
    pub(super) fn release_before(&mut self, key: usize, time: i64, lateness: u64, ready: &mut Ready) {
        let (name, rows) = &mut self.keys[key];
        while let Some((first, _)) = rows.open.first_key_value()
            && *first < time
            && time.abs_diff(*first) > lateness
        {
            let first = *first;
            ready.extend(rows.take(first, Departure::Incomplete).map(|row| (name.clone(), row)));
        }
    }

    /// The rows that are asked for leave: keys in the order in which their records came, the rows of each by time.
    pub(super) fn release(&mut self, ready: &mut Ready, leaves: impl Fn(&OpenRow) -> bool) {
        let mut rows: Vec<(u64, KeyedRow)> = Vec::new();
        for (name, of_key) in &mut self.keys {
            let times: Vec<i64> = of_key.open.values().filter(|row| leaves(row)).map(|row| row.time).collect();
            let of_key: Vec<OpenRow> =
                times.into_iter().filter_map(|time| of_key.take(time, Departure::Incomplete)).collect();
            let mut places: Vec<u64> = of_key.iter().map(OpenRow::source_offset).collect();
            places.sort_unstable();
            rows.extend(places.into_iter().zip(of_key.into_iter().map(|row| (name.clone(), row))));
        }
        rows.sort_by_key(|(place, _)| *place);
        ready.extend(rows.into_iter().map(|(_, row)| row));
    }
}
