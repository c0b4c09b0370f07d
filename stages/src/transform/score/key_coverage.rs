//! Which of the fields that are listed for a key its records ever had.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Batch, CellQuality, Flag};

/// Keys that a split tells apart: keys of records may be without limit, and what is said of them is for people.
const KEYS_MAX: usize = 10_000;

/// Tells the metrics of keys whose records lack listed fields, and of those that have them after all.
pub(super) struct KeyCoverage {
    metrics: Arc<Metrics>,
    keys: HashMap<String, Lacking>,
    /// A key that lacks nothing: records of one key follow each other.
    complete: Option<String>,
}

/// The listed fields that records of a key never had, by their index in the list.
type Lacking = Vec<usize>;

impl KeyCoverage {
    pub(super) fn new(metrics: &Arc<Metrics>) -> KeyCoverage {
        KeyCoverage { metrics: Arc::clone(metrics), keys: HashMap::new(), complete: None }
    }

    /// Sees a record, whose key has these fields listed, each with its column.
    pub(super) fn observe(
        &mut self,
        batch: &Batch,
        row: usize,
        key: Option<&str>,
        listed: &[(Arc<str>, Option<usize>)],
    ) {
        let key = key.unwrap_or_default();
        if listed.is_empty() || self.complete.as_deref() == Some(key) {
            return;
        }
        let is_new = !self.keys.contains_key(key);
        if is_new {
            if self.keys.len() >= KEYS_MAX {
                return;
            }
            self.keys.insert(key.to_owned(), (0..listed.len()).collect());
        }
        let Some(lacking) = self.keys.get_mut(key) else { return };
        let before = lacking.len();
        lacking.retain(|field| !listed[*field].1.is_some_and(|column| has_value_of_source(batch, row, column)));
        if is_new || lacking.len() < before {
            let names = listed.iter().enumerate().map(|(at, (name, _))| (name, !lacking.contains(&at)));
            self.metrics.record_key_fields(key, names);
        }
        if lacking.is_empty() {
            // Its room is used again.
            key.clone_into(self.complete.get_or_insert_default());
        }
    }
}

/// Whether the source had something in a cell, be it a value that a check emptied.
fn has_value_of_source(batch: &Batch, row: usize, column: usize) -> bool {
    let quality = batch.numbers(column).map(|numbers| CellQuality(numbers.quality[row]));
    quality.is_some_and(|quality| quality.flag() != Flag::Missing && !quality.provenance().is_fill())
}
