//! Fills by the median of the last so many observed values.

use aqpipe_engine::Result;

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::keyed_batch::KeyedBatch;
use super::running_median::{RunningSample, Saving, fill_by_running_median};
use super::saved_entries::StepEntries;
use super::value_pieces::{self, ValuePieces};
use super::window::{Scratch, Window};

/// Fills by the median of the last so many observed values.
pub(super) struct WindowMedian {
    length: usize,
    series: Vec<Vec<RecentValues>>,
    pieces: ValuePieces,
    policy: FillPolicy,
    scratch: Scratch,
}

#[derive(Default)]
struct RecentValues {
    values: Window,
    /// The median until another value comes: every row of a gap asks for it.
    median: Option<f64>,
    saving: Saving,
}

impl WindowMedian {
    pub(super) fn new(length: usize, policy: FillPolicy) -> WindowMedian {
        WindowMedian { length, series: Vec::new(), pieces: ValuePieces::default(), policy, scratch: Scratch::default() }
    }
}

impl RunningSample for RecentValues {
    type Scratch = Scratch;

    fn median(&mut self, scratch: &mut Scratch) -> Option<f64> {
        if self.median.is_none() {
            self.median = self.values.median(scratch);
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
        self.values.write_last(self.saving.open(), out);
    }

    fn write_all(&self, out: &mut Vec<u8>) {
        self.values.write_last(usize::MAX, out);
    }
}

impl RecentValues {
    fn add(&mut self, value: f64, length: usize) {
        self.values.push(value, length);
        self.median = None;
        self.saving.add();
    }
}

impl Imputer for WindowMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let (length, keys) = (self.length, names.keys.len());
        let add = |recent: &mut RecentValues, value| {
            recent.add(value, length);
            Ok(())
        };
        fill_by_running_median(&mut self.series, &mut rows, keys, self.policy, &mut self.scratch, add)?;
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
