//! Stretches without a valid value.

use serde::Serialize;

use super::cell::{Cell, CellCounts};
use super::civil::{LocalTime, SECOND_MICROS};

/// Gaps of a series that are listed: the longest.
pub(super) const LISTED_MAX: usize = 20;

/// A stretch of expected readings of which none is there and valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The last valid value before it; null where the period begins with it.
    pub from: Option<LocalTime>,
    /// The first valid value behind it; null where the period ends with it.
    pub to: Option<LocalTime>,
    /// The seconds between these, or from the beginning or to the end of the period.
    pub seconds: i64,
    /// The cells in it, by what they are. Where their sum is less than `readings`, records are not there at all.
    pub cells: CellCounts,
    /// The readings that the sampling step expects in it.
    pub readings: u64,
}

/// A reading of a station: how many are expected before it, and when it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) number: u64,
    pub(super) instant: i64,
    pub(super) local: LocalTime,
}

/// Finds them among readings in order.
#[derive(Clone, Debug, Default)]
pub(super) struct GapFinder {
    last_valid: Option<Reading>,
    since: CellCounts,
    count: u64,
    /// The longest, in no order.
    longest: Vec<Gap>,
}

impl GapFinder {
    /// Takes the cell of a reading; `begin` is the first instant of the period.
    #[inline]
    pub(super) fn add(&mut self, reading: Reading, cell: Option<Cell>, begin: i64) {
        match cell {
            Some(Cell::Observed(_, flag)) if flag != aqpipe_engine::record::Flag::Fail => {
                let expected = reading.number.saturating_sub(self.before());
                if expected > 0 {
                    self.push(expected, reading.instant, Some(reading.local), begin);
                }
                self.since = CellCounts::default();
                self.last_valid = Some(reading);
            }
            Some(cell) => self.since.add(cell),
            None => {}
        }
    }

    /// How many readings are expected up to the last valid one.
    fn before(&self) -> u64 {
        self.last_valid.map_or(0, |last| last.number.saturating_add(1))
    }

    fn push(&mut self, readings: u64, until: i64, to: Option<LocalTime>, begin: i64) {
        self.count += 1;
        let since = self.last_valid.map_or(begin, |last| last.instant);
        let seconds = until.saturating_sub(since).max(0) / SECOND_MICROS;
        let from = self.last_valid.map(|last| last.local);
        self.longest.push(Gap { from, to, seconds, cells: self.since, readings });
        if self.longest.len() >= 2 * LISTED_MAX {
            self.keep_longest();
        }
    }

    fn keep_longest(&mut self) {
        self.longest.sort_by_key(|gap| (std::cmp::Reverse((gap.seconds, gap.readings)), gap.from));
        self.longest.truncate(LISTED_MAX);
    }

    /// The longest gaps, and how many there are. `expected` readings are all there should be in the period from `begin` to `end`.
    pub(super) fn finish(&mut self, expected: u64, (begin, end): (i64, i64)) -> (Vec<Gap>, u64) {
        let behind = expected.saturating_sub(self.before());
        if behind > 0 {
            self.push(behind, end, None, begin);
        }
        self.keep_longest();
        (std::mem::take(&mut self.longest), self.count)
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::{Flag, Provenance};

    use super::*;
    use crate::report::civil::HOUR_MICROS;

    fn reading(number: u64, hour: i64) -> Reading {
        Reading { number, instant: hour * HOUR_MICROS, local: LocalTime(hour * HOUR_MICROS) }
    }

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
        cells.into_iter().for_each(|(hour, cell)| finder.add(reading(hour as u64, hour), Some(cell), 0));
        let (gaps, count) = finder.finish(10, (0, 9 * HOUR_MICROS));
        let listed: Vec<_> = gaps
            .iter()
            .map(|gap| (gap.from.map(|at| at.0 / HOUR_MICROS), gap.to.map(|at| at.0 / HOUR_MICROS), gap.readings))
            .collect();
        assert_eq!(listed, [(Some(1), Some(4), 2), (Some(4), Some(7), 2), (None, Some(1), 1), (Some(8), None, 1)]);
        assert_eq!((count, gaps[2].seconds, gaps[3].seconds), (4, 3_600, 3_600));
        assert_eq!(gaps[0].cells, CellCounts { observed: 1, failed: 1, filled: 1, ..CellCounts::default() });
        assert_eq!(gaps[1].cells, CellCounts::default());
        assert_eq!((gaps[2].cells.missing, gaps[3].cells.unreadable), (1, 1));
    }

    #[test]
    fn a_series_without_any_value_is_one_gap_and_one_without_gaps_has_none() {
        let mut finder = GapFinder::default();
        (0..5).for_each(|hour| finder.add(reading(hour as u64, hour), Some(Cell::Missing), 0));
        let (gaps, count) = finder.finish(5, (0, 4 * HOUR_MICROS));
        assert_eq!((gaps.len(), count, gaps[0].readings, gaps[0].cells.missing), (1, 1, 5, 5));
        assert_eq!((gaps[0].from, gaps[0].to), (None, None));
        let mut finder = GapFinder::default();
        let good = Some(Cell::Observed(1.0, Flag::Good));
        (0..5_000).for_each(|hour| finder.add(reading(hour as u64, hour), good, 0));
        assert_eq!(finder.finish(5_000, (0, 4_999 * HOUR_MICROS)), (Vec::new(), 0));
        let mut finder = GapFinder::default();
        (0..5_000).for_each(|hour| finder.add(reading(2 * hour as u64, 2 * hour), good, 0));
        let (gaps, count) = finder.finish(9_999, (0, 9_998 * HOUR_MICROS));
        assert_eq!((gaps.len(), count), (LISTED_MAX, 4_999));
    }
}
