//! What is gathered of a series: one field at one station.

use std::collections::BTreeMap;

use aqpipe_engine::record::{CellQuality, Flag};

use super::cell::{Cell, CellCounts};
use super::cell_code::{CellCode, flag_index};
use super::civil::{Day, LocalTime, Month};
use super::exceedances::Exceedances;
use super::expected::MONTHS_MAX;
use super::gaps::GapFinder;
use super::origin::Threshold;
use super::trend::Trend;
use super::values::Values;

/// What is gathered of one series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) station: usize,
    pub(super) field: usize,
    /// Its place among the series of its station.
    pub(super) slot: usize,
    pub(super) total: CellCounts,
    /// Cells of times for which there was no room: in no day, no month and no gap.
    pub(super) beyond: CellCounts,
    /// Readings at a time that has another one.
    pub(super) doubled: u64,
    /// By [`Flag::ALL`].
    pub(super) flags: [u64; 5],
    /// By the number of the provenance.
    pub(super) fills: [u64; 16],
    /// By the number of the test in the report.
    pub(super) tests: Vec<u64>,
    pub(super) months: BTreeMap<Month, CellCounts>,
    pub(super) days: BTreeMap<Day, CellCounts>,
    pub(super) gaps: GapFinder,
    pub(super) values: Values,
    pub(super) exceedances: Exceedances,
    pub(super) detail: Option<Box<Detail>>,
    /// The day that is being counted.
    day: Option<(Day, CellCounts)>,
}

/// What is gathered of the first series alone: their profiles and their course.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    pub(super) hours: Vec<Values>,
    pub(super) weekdays: Vec<Values>,
    pub(super) months: Vec<Values>,
    pub(super) trend: Trend,
}

impl Default for Detail {
    fn default() -> Self {
        let profile = |points: usize| (0..points).map(|_| Values::of_profile()).collect();
        Detail { hours: profile(24), weekdays: profile(7), months: profile(12), trend: Trend::default() }
    }
}

impl Series {
    pub(super) fn new(station: usize, field: usize, slot: usize, is_detailed: bool) -> Series {
        Series {
            station,
            field,
            slot,
            total: CellCounts::default(),
            beyond: CellCounts::default(),
            doubled: 0,
            flags: [0; 5],
            fills: [0; 16],
            tests: Vec::new(),
            months: BTreeMap::new(),
            days: BTreeMap::new(),
            gaps: GapFinder::default(),
            values: Values::of_series(),
            exceedances: Exceedances::default(),
            detail: is_detailed.then(Box::default),
            day: None,
        }
    }

    /// Takes a cell that is the first of its time, or one that counts in place of `instead`. `tests` are the numbers of tests by their bits.
    #[inline]
    pub(super) fn add(
        &mut self,
        (time, day): (LocalTime, Day),
        (cell, code, instead): (Cell, CellCode, CellCode),
        quality: CellQuality,
        tests: &[usize],
        threshold: Option<&Threshold>,
    ) {
        if let Some(flag) = instead.flag_index() {
            self.flags[flag] = self.flags[flag].saturating_sub(1);
        }
        if let Some(fill) = instead.fill() {
            self.fills[fill] = self.fills[fill].saturating_sub(1);
        }
        self.flags[flag_index(quality.flag())] += 1;
        if let Some(fill) = code.fill() {
            self.fills[fill] += 1;
        }
        let mut objections = quality.tests();
        while objections != 0 {
            let bit = objections.trailing_zeros() as usize;
            objections &= objections - 1;
            let Some(test) = tests.get(bit) else { continue };
            if self.tests.len() <= *test {
                self.tests.resize(*test + 1, 0);
            }
            self.tests[*test] += 1;
        }
        // Of two values of a time one is in profiles and distributions: a value cannot be taken out of them.
        if let (Cell::Observed(value, flag), false) = (cell, matches!(instead.cell(), Some(Cell::Observed(..)))) {
            self.observe(time, day, value, flag);
            if let Some(threshold) = threshold {
                self.exceedances.add(threshold, time, value);
            }
        }
    }

    /// Counts a cell in its day. Cells come in the order of their times; `days_left` says how many more days may be kept apart.
    #[inline]
    pub(super) fn count(&mut self, day: Day, cell: Cell, days_left: &mut usize) {
        match &mut self.day {
            Some((current, counts)) if *current == day => counts.add(cell),
            _ => {
                self.flush(days_left);
                let mut counts = CellCounts::default();
                counts.add(cell);
                self.day = Some((day, counts));
            }
        }
    }

    #[inline]
    fn observe(&mut self, time: LocalTime, day: Day, value: f64, flag: Flag) {
        self.values.add(value);
        if let Some(detail) = &mut self.detail {
            detail.hours[time.hour()].add(value);
            detail.weekdays[day.weekday()].add(value);
            detail.months[day.month().of_year()].add(value);
            detail.trend.add(time, value, flag);
        }
    }

    /// Puts the day that is being counted to the others.
    pub(super) fn flush(&mut self, days_left: &mut usize) {
        let Some((day, counts)) = self.day.take() else { return };
        self.total.add_all(&counts);
        let month = day.month();
        if self.months.len() < 2 * MONTHS_MAX || self.months.contains_key(&month) {
            self.months.entry(month).or_default().add_all(&counts);
        }
        if let Some(known) = self.days.get_mut(&day) {
            known.add_all(&counts);
        } else if *days_left > 0 {
            *days_left -= 1;
            self.days.insert(day, counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_beyond_the_bound_are_still_in_their_months() {
        let mut series = Series::new(0, 0, 0, true);
        let mut left = 2;
        for day in 0..4 {
            let time = Day(day).start();
            let cell = Cell::Observed(f64::from(day), Flag::Fail);
            let quality = CellQuality::OBSERVED.checked(Flag::Fail, 1);
            let code = CellCode::of(cell, quality);
            series.add((time, Day(day)), (cell, code, CellCode::default()), quality, &[0, 3], None);
            series.count(Day(day), cell, &mut left);
        }
        series.flush(&mut left);
        assert_eq!((series.days.len(), left, series.total.failed), (2, 0, 4));
        assert_eq!(series.months.values().map(|month| month.failed).sum::<u32>(), 4);
        assert_eq!((series.flags, series.tests), ([0, 0, 0, 4, 0], vec![0, 0, 0, 4]));
    }
}
