//! Fills by the median of all values observed so far.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

use aqpipe_engine::{Error, Result};

use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames, StepState};
use super::keyed_batch::KeyedBatch;
use super::running_median::{RunningSample, fill_by_running_median};

/// Distinct values of a split, over all keys and fields: some tens of megabytes in memory, and ten saved with each commit.
const DISTINCT_VALUES_MAX: usize = 1_000_000;

/// Fills by the median of all values observed so far.
#[derive(Default)]
pub(super) struct ExpandingMedian {
    series: Vec<Vec<RunningMedian>>,
    distinct: usize,
    policy: FillPolicy,
}

/// The median of all values so far: their lower and upper half, as counts by value. The lower half has as many values as the
/// upper or one more.
#[derive(Default)]
struct RunningMedian {
    low: BTreeMap<Ordered, u64>,
    high: BTreeMap<Ordered, u64>,
    /// How many more values the lower half has than the upper.
    excess: i64,
}

/// A number with a total order.
#[derive(Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl ExpandingMedian {
    pub(super) fn new(policy: FillPolicy) -> ExpandingMedian {
        ExpandingMedian { policy, ..ExpandingMedian::default() }
    }
}

impl RunningMedian {
    /// The median of ascending values with their counts.
    fn of(counts: Vec<(f64, u64)>) -> RunningMedian {
        let mut median = RunningMedian::default();
        let total = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let mut room = total.div_ceil(2);
        median.excess = (total % 2) as i64;
        for (value, count) in counts {
            let below = count.min(room);
            room -= below;
            for (half, count) in [(&mut median.low, below), (&mut median.high, count - below)] {
                if count > 0 {
                    half.insert(Ordered(value), count);
                }
            }
        }
        median
    }

    /// Adds a value; returns whether it is a new one.
    fn add(&mut self, value: f64) -> bool {
        // Adding 0 makes one value of the two zeros.
        let value = Ordered(value + 0.0);
        let known = self.low.contains_key(&value) || self.high.contains_key(&value);
        let lower = self.low.last_key_value().is_none_or(|(most, _)| value <= *most);
        let half = if lower { &mut self.low } else { &mut self.high };
        *half.entry(value).or_default() += 1;
        self.excess += if lower { 1 } else { -1 };
        self.balance();
        !known
    }

    /// Moves a value from a half that became too large.
    fn balance(&mut self) {
        if self.excess > 1 {
            if let Some(most) = pop(self.low.last_entry()) {
                *self.high.entry(most).or_default() += 1;
                self.excess -= 2;
            }
        } else if self.excess < 0
            && let Some(least) = pop(self.high.first_entry())
        {
            *self.low.entry(least).or_default() += 1;
            self.excess += 2;
        }
    }
}

/// Removes one of a counted value.
fn pop(entry: Option<OccupiedEntry<'_, Ordered, u64>>) -> Option<Ordered> {
    let mut entry = entry?;
    let value = *entry.key();
    if *entry.get() > 1 {
        *entry.get_mut() -= 1;
    } else {
        entry.remove();
    }
    Some(value)
}

impl RunningSample for RunningMedian {
    fn median(&mut self) -> Option<f64> {
        let (low, _) = self.low.last_key_value()?;
        match self.high.first_key_value() {
            Some((high, _)) if self.excess == 0 => Some(low.0.midpoint(high.0)),
            _ => Some(low.0),
        }
    }
}

impl Imputer for ExpandingMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let distinct = &mut self.distinct;
        fill_by_running_median(&mut self.series, &mut rows, names.keys.len(), self.policy, |median, value| {
            *distinct += usize::from(median.add(value));
            if *distinct <= DISTINCT_VALUES_MAX {
                return Ok(());
            }
            let message =
                format!("the median of all values so far has met more than {DISTINCT_VALUES_MAX} distinct values");
            Err(Error::config(message).help(
                "use `window = N` with the median, `over = \"all\"` where the source ends, or the method `constant`",
            ))
        })?;
        out.push(rows);
        Ok(())
    }

    fn save(&self) -> Result<SavedStep> {
        let counts = |median: &RunningMedian| {
            let mut counts: BTreeMap<Ordered, u64> = median.low.clone();
            median.high.iter().for_each(|(value, count)| *counts.entry(*value).or_default() += count);
            counts.into_iter().map(|(value, count)| (value.0, count)).collect()
        };
        let state = self.series.iter().map(|keys| keys.iter().map(counts).collect()).collect();
        Ok(SavedStep { state: StepState::Expanding(state), held: Vec::new() })
    }

    fn restore(&mut self, state: StepState, _held: Vec<KeyedBatch>) -> Result<()> {
        let StepState::Expanding(state) = state else { return Err(StepState::foreign()) };
        self.distinct = 0;
        let mut median = |counts: Vec<(f64, u64)>| {
            self.distinct += counts.len();
            RunningMedian::of(counts)
        };
        self.series = state.into_iter().map(|keys| keys.into_iter().map(&mut median).collect()).collect();
        Ok(())
    }
}
