//! Fills by the median of the last so many observed values.

use std::collections::VecDeque;

use aqpipe_engine::Result;

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::keyed_batch::KeyedBatch;
use super::running_median::{RunningSample, Saving, fill_by_running_median};
use super::saved_entries::StepEntries;
use super::value_pieces::{self, ValuePieces, write_values};

/// Fills by the median of the last so many observed values.
pub(super) struct WindowMedian {
    length: usize,
    series: Vec<Vec<RecentValues>>,
    pieces: ValuePieces,
    policy: FillPolicy,
}

#[derive(Default)]
struct RecentValues {
    values: VecDeque<f64>,
    /// The median until another value comes: every row of a gap asks for it.
    median: Option<f64>,
    saving: Saving,
}

impl WindowMedian {
    pub(super) fn new(length: usize, policy: FillPolicy) -> WindowMedian {
        WindowMedian { length, series: Vec::new(), pieces: ValuePieces::default(), policy }
    }
}

impl RunningSample for RecentValues {
    fn median(&mut self) -> Option<f64> {
        if self.median.is_none() && !self.values.is_empty() {
            let mut values: Vec<f64> = self.values.iter().copied().collect();
            let middle = values.len() / 2;
            let even = values.len().is_multiple_of(2);
            let (below, high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
            let low = if even { below.iter().copied().max_by(f64::total_cmp) } else { None };
            self.median = Some(low.unwrap_or(*high).midpoint(*high));
        }
        self.median
    }

    fn kept(&self) -> usize {
        self.values.len()
    }

    fn saving(&self) -> Saving {
        self.saving
    }

    fn saved(&mut self, is_full: bool) {
        self.saving.saved(is_full);
    }

    fn write_open(&self, out: &mut Vec<u8>) {
        let first = self.values.len().saturating_sub(self.saving.open);
        write_values(self.values.range(first..).copied(), out);
    }

    fn write_all(&self, out: &mut Vec<u8>) {
        write_values(self.values.iter().copied(), out);
    }
}

impl RecentValues {
    fn add(&mut self, value: f64, length: usize) {
        while self.values.len() >= length {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.median = None;
        self.saving.add();
    }
}

impl Imputer for WindowMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let length = self.length;
        fill_by_running_median(&mut self.series, &mut rows, names.keys.len(), self.policy, |recent, value| {
            recent.add(value, length);
            Ok(())
        })?;
        rows.order.ends().iter().for_each(|(key, _)| self.pieces.changed(*key));
        out.push(rows);
        Ok(())
    }

    fn save_changes(&mut self, whole: bool, out: &mut StepEntries<'_>) -> Result<()> {
        self.pieces.save_changes(&mut self.series, whole, out);
        Ok(())
    }

    fn save_all(&self, out: &mut StepEntries<'_>) -> Result<()> {
        value_pieces::save_all(&self.series, out);
        Ok(())
    }

    fn restore(&mut self, saved: SavedStep<'_>) -> Result<()> {
        let length = self.length;
        self.series = value_pieces::read(&saved.pieces, saved.fields, |recent: &mut RecentValues, numbers| {
            numbers.values()?.into_iter().for_each(|value| recent.add(value, length));
            Ok(())
        })?;
        Ok(())
    }
}
