//! Fills by the median of the values so far, whichever values a sample keeps.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{CellQuality, Numbers, Provenance};
use arrow_array::Array;

use super::fill_policy::FillPolicy;
use super::keyed_batch::KeyedBatch;
use super::median_fit::counts_for_median;
use super::row_set::RowSet;

/// The observed values of a key and field so far.
pub(super) trait RunningSample: Default + Send {
    /// Memory that all samples of a step share.
    type Scratch;

    /// The median of the values so far.
    fn median(&mut self, scratch: &mut Self::Scratch) -> Option<f64>;

    /// How many values are kept.
    fn kept(&self) -> usize;

    /// What is saved of them.
    fn saving(&self) -> Saving;

    /// Everything was saved that came so far. The next values go into another piece where this one is full.
    fn saved(&mut self, is_full: bool);

    /// Writes the values of the open piece, those that are not saved yet included.
    fn write_open(&self, out: &mut Vec<u8>);

    /// Writes all values that are kept.
    fn write_all(&self, out: &mut Vec<u8>);
}

/// How many values came since something was saved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saving {
    /// Since the open piece was begun. Of more than these, the window that they fall out of is saved anew.
    open: u32,
    /// Since the last save.
    unsaved: u32,
}

impl Saving {
    /// Another value came.
    pub(super) fn add(&mut self) {
        self.open = self.open.saturating_add(1);
        self.unsaved = self.unsaved.saturating_add(1);
    }

    /// The values of the open piece.
    pub(super) fn open(self) -> usize {
        self.open as usize
    }

    /// The values that are not saved yet.
    pub(super) fn unsaved(self) -> usize {
        self.unsaved as usize
    }

    /// See [`RunningSample::saved`].
    pub(super) fn saved(&mut self, is_full: bool) {
        self.unsaved = 0;
        if is_full {
            self.open = 0;
        }
    }
}

/// Goes over the rows of each key in order: adds observed values to their sample by `take`, and fills missing ones by the sample's median.
pub(super) fn fill_by_running_median<S: RunningSample>(
    series: &mut Vec<Vec<S>>,
    rows: &mut KeyedBatch,
    keys: usize,
    policy: FillPolicy,
    scratch: &mut S::Scratch,
    mut take: impl FnMut(&mut S, f64) -> Result<()>,
) -> Result<()> {
    let columns = Arc::clone(&rows.columns);
    if series.len() < columns.fields() {
        series.resize_with(columns.fields(), Vec::new);
    }
    let order = &rows.order;
    let starts = order.starts();
    for (field, column) in columns.iter() {
        let samples = &mut series[field];
        if samples.len() < keys {
            samples.resize_with(keys, S::default);
        }
        rows.batch.change_numbers(column, |numbers| {
            let missing = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0).map(RowSet::valid);
            let Some(before) = missing else {
                let (values, quality) = (numbers.values.values(), &numbers.quality);
                // Key by key: what is kept of a key is far from that of the next one in memory.
                for (key, start) in &starts {
                    let sample = &mut samples[*key as usize];
                    for row in std::iter::successors(Some(*start), |row| order.next(*row)) {
                        if counts_for_median(quality[row]) {
                            take(sample, values[row])?;
                        }
                    }
                }
                return Ok(numbers);
            };
            let (mut values, _, mut quality) = numbers.into_vecs();
            let mut valid = before.clone();
            for (key, start) in &starts {
                let sample = &mut samples[*key as usize];
                for row in std::iter::successors(Some(*start), |row| order.next(*row)) {
                    if before.has(row) {
                        if counts_for_median(quality[row]) {
                            take(sample, values[row])?;
                        }
                    } else if policy.takes(CellQuality(quality[row]))
                        && let Some(median) = sample.median(scratch)
                    {
                        values[row] = median;
                        quality[row] = policy.filled(CellQuality(quality[row]), Provenance::Median, 0).0;
                        valid.insert(row);
                    }
                }
            }
            Ok(Numbers::from_vecs(values, valid.into_nulls(), quality))
        })?;
    }
    Ok(())
}
