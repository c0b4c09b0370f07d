//! Fills by the median of the last so many observed values.

use std::collections::VecDeque;

use aqpipe_engine::Result;

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames, StepState};
use super::keyed_batch::KeyedBatch;
use super::running_median::{RunningSample, fill_by_running_median};

/// Fills by the median of the last so many observed values.
pub(super) struct WindowMedian {
    length: usize,
    series: Vec<Vec<RecentValues>>,
    policy: FillPolicy,
}

#[derive(Default)]
struct RecentValues {
    values: VecDeque<f64>,
    /// The median until another value comes: every row of a gap asks for it.
    median: Option<f64>,
}

impl WindowMedian {
    pub(super) fn new(length: usize, policy: FillPolicy) -> WindowMedian {
        WindowMedian { length, series: Vec::new(), policy }
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
}

impl RecentValues {
    fn add(&mut self, value: f64, length: usize) {
        while self.values.len() >= length {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.median = None;
    }
}

impl Imputer for WindowMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let length = self.length;
        fill_by_running_median(&mut self.series, &mut rows, names.keys.len(), self.policy, |recent, value| {
            recent.add(value, length);
            Ok(())
        })?;
        out.push(rows);
        Ok(())
    }

    fn save(&self) -> Result<SavedStep> {
        let values = |recent: &RecentValues| recent.values.iter().copied().collect();
        let state = self.series.iter().map(|keys| keys.iter().map(values).collect()).collect();
        Ok(SavedStep { state: StepState::Window(state), held: Vec::new() })
    }

    fn restore(&mut self, state: StepState, _held: Vec<KeyedBatch>) -> Result<()> {
        let StepState::Window(state) = state else { return Err(StepState::foreign()) };
        let recent = |values: Vec<f64>| {
            let mut recent = RecentValues::default();
            values.into_iter().for_each(|value| recent.add(value, self.length));
            recent
        };
        self.series = state.into_iter().map(|keys| keys.into_iter().map(recent).collect()).collect();
        Ok(())
    }
}
