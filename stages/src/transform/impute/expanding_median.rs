//! Fills by the median of all values observed so far.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

use aqpipe_engine::{Error, Result};

use super::damaged::damaged;
use super::fill_policy::FillPolicy;
use super::imputer::{Imputer, SavedStep, SeriesNames};
use super::keyed_batch::KeyedBatch;
use super::running_median::{RunningSample, Saving, fill_by_running_median};
use super::saved_entries::StepEntries;
use super::saved_numbers::{Numbers, write_number, write_values};
use super::value_pieces::{self, ValuePieces};

/// Distinct values of a split, over all keys and fields: some tens of megabytes in memory, and ten saved.
const DISTINCT_VALUES_MAX: usize = 1_000_000;

/// Fills by the median of all values observed so far.
#[derive(Default)]
pub(super) struct ExpandingMedian {
    series: Vec<Vec<RunningMedian>>,
    pieces: ValuePieces,
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
    /// How many values there are in both.
    distinct: usize,
    /// The values of the open piece.
    recent: Vec<f64>,
    saving: Saving,
}

/// What a piece has of a field: values as they came, or values with their counts.
const VALUES: u64 = 0;
const COUNTS: u64 = 1;

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
        median.distinct = counts.len();
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
        self.distinct += usize::from(!known);
        !known
    }

    /// Adds a value that is not saved yet.
    fn observe(&mut self, value: f64) -> bool {
        self.recent.push(value);
        self.saving.add();
        self.add(value)
    }

    /// Takes over what a piece has.
    fn read(&mut self, numbers: &mut Numbers<'_>) -> Result<()> {
        match numbers.number()? {
            VALUES => numbers.values()?.into_iter().for_each(|value| {
                self.add(value);
            }),
            COUNTS => {
                let values = numbers.values()?;
                let counts =
                    values.into_iter().map(|value| Ok((value, numbers.number()?))).collect::<Result<Vec<_>>>()?;
                let ascends = counts.windows(2).all(|two| Ordered(two[0].0) < Ordered(two[1].0));
                if !ascends || self.distinct > 0 || counts.iter().any(|(_, count)| *count == 0) {
                    return Err(damaged());
                }
                *self = RunningMedian::of(counts);
            }
            _ => return Err(damaged()),
        }
        Ok(())
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
    type Scratch = ();

    fn median(&mut self, _: &mut ()) -> Option<f64> {
        let (low, _) = self.low.last_key_value()?;
        match self.high.first_key_value() {
            Some((high, _)) if self.excess == 0 => Some(low.0.midpoint(high.0)),
            _ => Some(low.0),
        }
    }

    fn kept(&self) -> usize {
        self.distinct
    }

    fn saving(&self) -> Saving {
        self.saving
    }

    fn saved(&mut self, is_full: bool) {
        self.saving.saved(is_full);
        if is_full {
            self.recent.clear();
        }
    }

    fn write_open(&self, out: &mut Vec<u8>) {
        write_number(VALUES, out);
        write_values(self.recent.iter().copied(), out);
    }

    fn write_all(&self, out: &mut Vec<u8>) {
        let mut counts: BTreeMap<Ordered, u64> = self.low.clone();
        self.high.iter().for_each(|(value, count)| *counts.entry(*value).or_default() += count);
        write_number(COUNTS, out);
        write_values(counts.keys().map(|value| value.0), out);
        counts.values().for_each(|count| write_number(*count, out));
    }
}

impl Imputer for ExpandingMedian {
    fn apply(&mut self, mut rows: KeyedBatch, names: &SeriesNames<'_>, out: &mut Vec<KeyedBatch>) -> Result<()> {
        let distinct = &mut self.distinct;
        let keys = names.keys.len();
        fill_by_running_median(
            &mut self.series,
            &mut rows,
            keys,
            self.policy,
            &mut (),
            |median: &mut RunningMedian, value| {
                *distinct += usize::from(median.observe(value));
                if *distinct <= DISTINCT_VALUES_MAX {
                    return Ok(());
                }
                let message =
                    format!("the median of all values so far has met more than {DISTINCT_VALUES_MAX} distinct values");
                Err(Error::config(message).help(
                "use `window = N` with the median, `over = \"all\"` where the source ends, or the method `constant`",
            ))
            },
        )?;
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
        self.series = value_pieces::read(&saved.pieces, saved.fields, RunningMedian::read)?;
        self.distinct = self.series.iter().flatten().map(RunningSample::kept).sum();
        Ok(())
    }
}
