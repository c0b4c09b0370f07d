//! Stretches without a valid value, found while values pass by.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::{Cell, CellCounts};
use super::civil::{LocalTime, SECOND_MICROS};

/// Gaps of a series that are listed: the longest.
pub(super) const LISTED_MAX: usize = 20;
/// Lengths that are told apart, for the number of gaps: a series without a regular step has as many as values.
const LENGTHS_MAX: usize = 500;

/// A stretch without a valid value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last valid value before it, or where the period begins.
    pub from: LocalTime,
    /// The first valid value behind it, or where the period ends.
    pub to: LocalTime,
    /// Its length in seconds.
    pub seconds: i64,
    /// The cells in it, by what they are. Where their sum is less than `readings`, records are not there at all.
    pub cells: CellCounts,
    /// The readings that the sampling step expects in it.
    pub readings: u64,
}

/// Finds them. Values come in the order of their times; one that comes later than a newer one changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct GapFinder {
    last_valid: Option<LocalTime>,
    since: CellCounts,
    /// The longest distances between valid values, in no order.
    longest: Vec<Gap>,
    lengths: BTreeMap<i64, u64>,
    /// The distances that had no room among `lengths`, by their first three digits.
    more_lengths: BTreeMap<i64, u64>,
}

impl GapFinder {
    #[inline]
    pub(super) fn add(&mut self, time: LocalTime, cell: Cell) {
        if !matches!(cell, Cell::Observed(_, flag) if flag != aqpipe_engine::record::Flag::Fail) {
            self.since.add(cell);
            return;
        }
        let since = std::mem::take(&mut self.since);
        match self.last_valid {
            Some(last) if time.0 <= last.0 => {}
            Some(last) => {
                self.last_valid = Some(time);
                self.distance(last, time, since);
            }
            None => {
                self.last_valid = Some(time);
                // What came before the first valid value belongs to the gap from the beginning of the period.
                self.longest.push(Gap {
                    from: LocalTime(i64::MIN),
                    to: time,
                    seconds: i64::MAX,
                    cells: since,
                    readings: 0,
                });
            }
        }
    }

    fn distance(&mut self, from: LocalTime, to: LocalTime, cells: CellCounts) {
        let seconds = to.0.saturating_sub(from.0) / SECOND_MICROS;
        if self.lengths.len() < LENGTHS_MAX || self.lengths.contains_key(&seconds) {
            *self.lengths.entry(seconds).or_default() += 1;
        } else {
            *self.more_lengths.entry(coarse(seconds)).or_default() += 1;
        }
        if self.longest.len() > LISTED_MAX {
            let shortest = self.longest.iter().enumerate().min_by_key(|(_, gap)| gap.seconds);
            match shortest.map(|(at, gap)| (at, gap.seconds)) {
                Some((at, length)) if length < seconds => _ = self.longest.swap_remove(at),
                _ => return,
            }
        }
        self.longest.push(Gap { from, to, seconds, cells, readings: 0 });
    }

    /// The longest gaps, and how many there are: distances of more than one and a half steps, and what lies between the ends of the
    /// period and the values. `period` begins with the first reading and ends with the last one.
    pub(super) fn finish(&self, step_micros: i64, period: (LocalTime, LocalTime)) -> (Vec<Gap>, u64) {
        let limit = step_micros.saturating_add(step_micros / 2);
        let mut gaps = Vec::new();
        let mut ends = 0;
        for gap in &self.longest {
            let mut gap = gap.clone();
            let is_first = gap.seconds == i64::MAX;
            if is_first {
                gap.from = LocalTime(period.0.0.saturating_sub(step_micros));
            }
            if set_length(&mut gap, step_micros) > limit {
                ends += u64::from(is_first);
                gaps.push(gap);
            }
        }
        let from = self.last_valid.unwrap_or(LocalTime(period.0.0.saturating_sub(step_micros)));
        let to = LocalTime(period.1.0.saturating_add(step_micros));
        let mut last = Gap { from, to, seconds: 0, cells: self.since, readings: 0 };
        if set_length(&mut last, step_micros) > limit {
            ends += 1;
            gaps.push(last);
        }
        gaps.sort_by_key(|gap| (std::cmp::Reverse(gap.seconds), gap.from));
        gaps.truncate(LISTED_MAX);
        let lengths = self.lengths.iter().chain(&self.more_lengths);
        let long = lengths.filter(|(seconds, _)| seconds.saturating_mul(SECOND_MICROS) > limit);
        (gaps, ends + long.map(|(_, count)| count).sum::<u64>())
    }
}

/// A length with three digits, so that there are few of them, whatever the times.
fn coarse(seconds: i64) -> i64 {
    let unit = 10_i64.pow(seconds.max(1).ilog10().saturating_sub(2));
    seconds / unit * unit
}

/// Sets what follows from the ends of a gap; returns its length in microseconds.
fn set_length(gap: &mut Gap, step_micros: i64) -> i64 {
    let length = gap.to.0.saturating_sub(gap.from.0);
    gap.seconds = length / SECOND_MICROS;
    let steps = (length as f64 / step_micros.max(1) as f64).round() as u64;
    gap.readings = steps.saturating_sub(1);
    length
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::{Flag, Provenance};

    use super::*;

    const HOUR: i64 = 3_600 * SECOND_MICROS;

    #[test]
    fn gaps_are_where_no_valid_value_is_whatever_stands_there() {
        let mut finder = GapFinder::default();
        let good = Cell::Observed(1.0, Flag::Good);
        let fill = Cell::Filled(Provenance::Median);
        let bad = Cell::Observed(9.0, Flag::Fail);
        // Hours 5 and 6 have no record.
        let cells = [
            (0, Cell::Missing),
            (1, good),
            (2, fill),
            (3, bad),
            (4, good),
            (7, good),
            (8, good),
            (9, Cell::Unreadable),
        ];
        cells.into_iter().for_each(|(hour, cell)| finder.add(LocalTime(hour * HOUR), cell));
        let (gaps, count) = finder.finish(HOUR, (LocalTime(0), LocalTime(9 * HOUR)));
        let listed: Vec<_> = gaps.iter().map(|gap| (gap.from.0 / HOUR, gap.to.0 / HOUR, gap.readings)).collect();
        assert_eq!(listed, [(1, 4, 2), (4, 7, 2), (-1, 1, 1), (8, 10, 1)]);
        assert_eq!(count, 4);
        assert_eq!(gaps[0].cells, CellCounts { observed: 1, failed: 1, filled: 1, ..CellCounts::default() });
        assert_eq!(gaps[1].cells, CellCounts::default());
        assert_eq!((gaps[2].cells.missing, gaps[3].cells.unreadable), (1, 1));
    }

    #[test]
    fn many_different_lengths_are_gaps_only_where_they_are_long() {
        assert_eq!([0, 7, 999, 4_799, 5_401, 123_456].map(coarse), [0, 7, 999, 4_790, 5_400, 123_000]);
    }

    #[test]
    fn a_series_without_any_value_is_one_gap_and_one_without_gaps_has_none() {
        let mut finder = GapFinder::default();
        (0..5).for_each(|hour| finder.add(LocalTime(hour * HOUR), Cell::Missing));
        let (gaps, count) = finder.finish(HOUR, (LocalTime(0), LocalTime(4 * HOUR)));
        assert_eq!((gaps.len(), count, gaps[0].readings, gaps[0].cells.missing), (1, 1, 5, 5));
        let mut finder = GapFinder::default();
        (0..5_000).for_each(|hour| finder.add(LocalTime(hour * HOUR), Cell::Observed(1.0, Flag::Good)));
        assert_eq!(finder.finish(HOUR, (LocalTime(0), LocalTime(4_999 * HOUR))), (Vec::new(), 0));
        assert!(finder.longest.len() <= LISTED_MAX + 1);
    }
}
