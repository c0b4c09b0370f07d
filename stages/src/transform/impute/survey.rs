//! The exact medians of the whole input, counted before the run.

use std::collections::{BTreeMap, HashMap};

use aqpipe_engine::record::{Batch, Flag, Mark, Numbers, Provenance};
use aqpipe_engine::stage::Survey;
use aqpipe_engine::{Error, Result};
use arrow_array::Array;

use super::columns::{Binder, Choice};
use super::keys::Keys;

/// How many distinct values are counted at most, over all keys and fields: some tens of megabytes.
const DISTINCT_MAX: usize = 1_000_000;

/// The version of the survey's result.
const VERSION: u8 = 1;

/// Whether a value counts for a median: it was observed, and no check failed it.
#[inline]
pub(super) fn counts(mark: u32) -> bool {
    let mark = Mark(mark);
    mark.provenance() == Provenance::Observed && mark.flag() != Flag::Fail
}

type Counts = HashMap<u64, u32, foldhash::fast::RandomState>;

/// Counts the distinct values of each key and field.
pub(super) struct MedianSurvey {
    keys: Keys,
    binder: Binder,
    /// By field and key: how often each value, by its bits.
    counts: Vec<Vec<Counts>>,
    distinct: usize,
    distinct_max: usize,
}

impl MedianSurvey {
    pub(super) fn new(choice: Choice) -> MedianSurvey {
        Self::bounded(choice, DISTINCT_MAX)
    }

    pub(super) fn bounded(choice: Choice, distinct_max: usize) -> MedianSurvey {
        MedianSurvey {
            keys: Keys::default(),
            binder: Binder::new(choice),
            counts: Vec::new(),
            distinct: 0,
            distinct_max,
        }
    }

    fn count(&mut self, numbers: &Numbers, field: usize, key_of: impl Fn(usize) -> usize) {
        let counts = &mut self.counts[field];
        for (row, (value, mark)) in numbers.values.values().iter().zip(numbers.marks.iter()).enumerate() {
            if numbers.values.is_valid(row) && counts_value(*value, *mark) {
                // Adding 0 makes one value of the two zeros.
                let count = counts[key_of(row)].entry((value + 0.0).to_bits()).or_insert_with(|| {
                    self.distinct += 1;
                    0
                });
                *count = count.saturating_add(1);
            }
        }
    }
}

fn counts_value(value: f64, mark: u32) -> bool {
    counts(mark) && !value.is_nan()
}

impl Survey for MedianSurvey {
    fn observe(&mut self, batch: &Batch) -> Result<()> {
        let columns = self.binder.bind(batch.fields());
        let order = self.keys.order(batch);
        let keys = self.keys.names().len();
        self.counts.resize_with(columns.fields(), Vec::new);
        for (field, column) in columns.iter() {
            let Some(numbers) = batch.numbers(column) else { continue };
            self.counts[field].resize_with(keys, Counts::default);
            self.count(numbers, field, |row| order.key(row) as usize);
        }
        if self.distinct > self.distinct_max {
            let message =
                format!("the exact median would have to count more than {} distinct values", self.distinct_max);
            return Err(Error::config(message)
                .help("use `window = N` or `over = \"expanding\"` with the median, or the method `constant`"));
        }
        Ok(())
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
        postcard::to_extend(&self.0, vec![VERSION]).map_err(|e| Error::bug("survey of `impute`").because(e))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Medians> {
        let damaged = || Error::new("the saved survey of `impute` cannot be read");
        let Some((&VERSION, bytes)) = bytes.split_first() else {
            return Err(damaged().help("it was written by another version of aqpipe"));
        };
        Ok(Medians(postcard::from_bytes(bytes).map_err(|e| damaged().because(e))?))
    }
}
