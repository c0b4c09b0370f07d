//! The exact medians of the whole input, found before the run.

use std::collections::{BTreeMap, HashMap};

use aqpipe_engine::record::{Batch, CellQuality, Flag, Numbers, Provenance};
use aqpipe_engine::stage::Fitter;
use aqpipe_engine::{Error, Result};
use arrow_array::Array;

use super::field_binder::{FieldBinder, FieldSelection};
use super::key_table::KeyTable;

/// The help where the median over the whole input takes too much memory.
const MEMORY_HELP: &str = "raise `median_memory_mb`, use `window = N` or `over = \"expanding\"` with the median, or the method \
                        `constant`";
/// The share of the input that has to be counted before a forecast.
const FORECAST_SHARE_MIN: f64 = 0.05;

const MEDIANS_FORMAT_VERSION: u8 = 1;

/// Whether a value counts for a median: it was observed, be it as below a limit, and no check failed it.
#[inline]
pub(super) fn counts_for_median(quality: u32) -> bool {
    let quality = CellQuality(quality);
    matches!(quality.provenance(), Provenance::Observed | Provenance::Censored) && quality.flag() != Flag::Fail
}

type Counts = HashMap<u64, u32, foldhash::fast::RandomState>;

/// The bytes of a hash table with room for so many values. A slot has 16 bytes and one of its own; an eighth of the slots stays
/// empty, and their number is a power of two.
fn table_bytes(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * 17 }
}

/// Counts the distinct values of each key and field.
pub(super) struct MedianFitter {
    keys: KeyTable,
    binder: FieldBinder,
    /// By field and key: the count of each value, by its bits.
    counts: Vec<Vec<Counts>>,
    /// The bytes of the tables.
    bytes: usize,
    bytes_max: usize,
    memory_mb: u32,
    /// Whether a warning said that the whole input may take too much.
    warned: bool,
}

impl MedianFitter {
    /// A fit within so many megabytes.
    pub(super) fn new(choice: FieldSelection, memory_mb: u32) -> MedianFitter {
        MedianFitter {
            keys: KeyTable::default(),
            binder: FieldBinder::new(choice),
            counts: Vec::new(),
            bytes: 0,
            bytes_max: usize::try_from(u64::from(memory_mb) * 1_000_000).unwrap_or(usize::MAX),
            memory_mb,
            warned: false,
        }
    }

    /// A fit within so many bytes.
    #[cfg(test)]
    pub(super) fn bounded(choice: FieldSelection, bytes_max: usize) -> MedianFitter {
        MedianFitter { bytes_max, ..MedianFitter::new(choice, 1) }
    }

    /// The bytes that the whole input may take, judged by a share of it, if they are too many.
    pub(super) fn forecast_bytes(&self, share: f64) -> Option<usize> {
        let all = self.bytes as f64 / share;
        ((FORECAST_SHARE_MIN..1.0).contains(&share) && all > self.bytes_max as f64).then_some(all as usize)
    }

    fn count(&mut self, numbers: &Numbers, field: usize, key_of: impl Fn(usize) -> usize) {
        let counts = &mut self.counts[field];
        for (row, (value, quality)) in numbers.values.values().iter().zip(numbers.quality.iter()).enumerate() {
            if numbers.values.is_valid(row) && counts_value(*value, *quality) {
                let table = &mut counts[key_of(row)];
                let before = table.capacity();
                // Adding 0 makes one value of the two zeros.
                let count = table.entry((value + 0.0).to_bits()).or_default();
                *count = count.saturating_add(1);
                let capacity = table.capacity();
                if capacity != before {
                    self.bytes += table_bytes(capacity) - table_bytes(before);
                }
            }
        }
    }
}

fn counts_value(value: f64, quality: u32) -> bool {
    counts_for_median(quality) && !value.is_nan()
}

impl Fitter for MedianFitter {
    fn observe(&mut self, batch: &Batch) -> Result<()> {
        let columns = self.binder.bind(batch.fields());
        let order = self.keys.order(batch);
        let keys = self.keys.names().len();
        self.counts.resize_with(columns.fields(), Vec::new);
        for (field, column) in columns.iter() {
            let Some(numbers) = batch.numbers(column) else { continue };
            let known = self.counts[field].len();
            if known < keys {
                self.counts[field].resize_with(keys, Counts::default);
                self.bytes += (keys - known) * size_of::<Counts>();
            }
            self.count(numbers, field, |row| order.key(row) as usize);
        }
        if self.bytes > self.bytes_max {
            let (fields, keys) = (self.counts.len(), keys);
            return Err(Error::config(format!(
                "the exact median takes more than {} MB to count the distinct values of {fields} fields and {keys} keys",
                self.memory_mb
            ))
            .help(MEMORY_HELP));
        }
        Ok(())
    }

    fn on_progress(&mut self, share: f64) {
        if let Some(all) = self.forecast_bytes(share).filter(|_| !self.warned) {
            self.warned = true;
            tracing::warn!(
                "the exact median has read {:.0} % of the input and may take up to {} MB for all of it, which is more than the \
                 {} MB that it may: {MEMORY_HELP}",
                share * 100.0,
                all / 1_000_000,
                self.memory_mb
            );
        }
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        let mut medians = Medians::default();
        for (name, by_key) in self.binder.names().iter().zip(&self.counts) {
            for (key, counts) in self.keys.names().iter().zip(by_key) {
                if let Some(median) = median_of(counts) {
                    medians.0.entry(key.as_deref().map(str::to_owned)).or_default().insert(name.to_string(), median);
                }
            }
        }
        medians.to_bytes()
    }
}

fn median_of(counts: &Counts) -> Option<f64> {
    let mut values: Vec<(f64, u64)> = counts.iter().map(|(bits, n)| (f64::from_bits(*bits), u64::from(*n))).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: u64 = values.iter().map(|(_, count)| count).sum();
    let at = |rank: u64| {
        let mut behind = 0;
        values.iter().find(|(_, count)| {
            behind += count;
            behind > rank
        })
    };
    let (low, high) = (at(total.checked_sub(1)? / 2)?, at(total / 2)?);
    Some(low.0.midpoint(high.0))
}

/// Medians by key, then by field.
#[derive(Debug, Default)]
pub(super) struct Medians(pub(super) BTreeMap<Option<String>, BTreeMap<String, f64>>);

impl Medians {
    fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(&self.0, vec![MEDIANS_FORMAT_VERSION])
            .map_err(|e| Error::bug("the medians of `impute` cannot be written").because(e))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Medians> {
        let damaged = || Error::new("the saved medians of `impute` cannot be read");
        let Some((&MEDIANS_FORMAT_VERSION, bytes)) = bytes.split_first() else {
            return Err(damaged().help("it was written by another version of aqpipe"));
        };
        Ok(Medians(postcard::from_bytes(bytes).map_err(|e| damaged().because(e))?))
    }
}
