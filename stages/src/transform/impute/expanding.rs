//! The median of all values observed so far, for what is missing.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

use aqpipe_engine::{Error, Result};

use super::chain::{Pass, Saved, Seen, State};
use super::median::{Sample, run};
use super::rows::Rows;

/// How many distinct values are kept in a split at most, over all keys and fields: some tens of megabytes, and ten that are
/// saved with each commit.
const DISTINCT_MAX: usize = 1_000_000;

/// Fills by the median of all values observed so far.
#[derive(Default)]
pub(super) struct Expanding {
    series: Vec<Vec<Halves>>,
    distinct: usize,
}

/// The lower and the upper half of values, as counts by value; the lower has as many as the upper or one more.
#[derive(Default)]
struct Halves {
    low: BTreeMap<Ordered, u64>,
    high: BTreeMap<Ordered, u64>,
    /// How many more values the lower half has than the upper.
    excess: i64,
}

/// A number in its order.
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

impl Halves {
    /// The halves of values in order, with their counts.
    fn of(counts: Vec<(f64, u64)>) -> Halves {
        let mut halves = Halves::default();
        let total = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let mut room = total.div_ceil(2);
        halves.excess = (total % 2) as i64;
        for (value, count) in counts {
            let below = count.min(room);
            room -= below;
            for (half, count) in [(&mut halves.low, below), (&mut halves.high, count - below)] {
                if count > 0 {
                    half.insert(Ordered(value), count);
                }
            }
        }
        halves
    }

    /// Takes in a value; returns whether it is a new one.
    fn take(&mut self, value: f64) -> bool {
        // Adding 0 makes one value of the two zeros.
        let value = Ordered(value + 0.0);
        let known = self.low.contains_key(&value) || self.high.contains_key(&value);
        let lower = self.low.last_key_value().is_none_or(|(most, _)| value <= *most);
        let half = if lower { &mut self.low } else { &mut self.high };
        *half.entry(value).or_default() += 1;
        self.excess += if lower { 1 } else { -1 };
        self.level();
        !known
    }

    /// Moves one value over where a half became too large.
    fn level(&mut self) {
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

/// Takes one of a counted value away.
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

impl Sample for Halves {
    fn median(&mut self) -> Option<f64> {
        let (low, _) = self.low.last_key_value()?;
        match self.high.first_key_value() {
            Some((high, _)) if self.excess == 0 => Some(low.0.midpoint(high.0)),
            _ => Some(low.0),
        }
    }
}

impl Pass for Expanding {
    fn apply(&mut self, mut rows: Rows, seen: &Seen<'_>, out: &mut Vec<Rows>) -> Result<()> {
        let distinct = &mut self.distinct;
        run(&mut self.series, &mut rows, seen.keys.len(), |halves, value| {
            *distinct += usize::from(halves.take(value));
            if *distinct <= DISTINCT_MAX {
                return Ok(());
            }
            let message = format!("the median of all values so far has met more than {DISTINCT_MAX} distinct values");
            Err(Error::config(message).help(
                "use `window = N` with the median, `over = \"all\"` where the source ends, or the method `constant`",
            ))
        })?;
        out.push(rows);
        Ok(())
    }

    fn save(&self) -> Result<Saved> {
        let counts = |halves: &Halves| {
            let mut counts: BTreeMap<Ordered, u64> = halves.low.clone();
            halves.high.iter().for_each(|(value, count)| *counts.entry(*value).or_default() += count);
            counts.into_iter().map(|(value, count)| (value.0, count)).collect()
        };
        let state = self.series.iter().map(|keys| keys.iter().map(counts).collect()).collect();
        Ok(Saved { state: State::Expanding(state), held: Vec::new() })
    }

    fn restore(&mut self, state: State, _held: Vec<Rows>) -> Result<()> {
        let State::Expanding(state) = state else { return Err(State::foreign()) };
        self.distinct = 0;
        let mut halves = |counts: Vec<(f64, u64)>| {
            self.distinct += counts.len();
            Halves::of(counts)
        };
        self.series = state.into_iter().map(|keys| keys.into_iter().map(&mut halves).collect()).collect();
        Ok(())
    }
}
