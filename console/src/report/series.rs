//! What is gathered of a series: one field at one station.

use std::collections::BTreeMap;

use aqpipe_engine::record::{CellQuality, Flag, Provenance};

use super::cell::{Cell, CellCounts};
use super::civil::{Day, LocalTime, Month};
use super::exceedances::Exceedances;
use super::gaps::GapFinder;
use super::origin::Threshold;
use super::trend::Trend;
use super::values::Values;

/// What is gathered of one series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) station: usize,
    pub(super) field: usize,
    pub(super) total: CellCounts,
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
    pub(super) fn new(station: usize, field: usize, is_detailed: bool) -> Series {
        Series {
            station,
            field,
            total: CellCounts::default(),
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

    /// Takes a cell. `tests` are the numbers of tests by their bits, `days_left` how many more days may be kept apart.
    #[inline]
    pub(super) fn add(
        &mut self,
        (time, day): (LocalTime, Day),
        cell: Cell,
        quality: CellQuality,
        tests: &[usize],
        threshold: Option<&Threshold>,
        days_left: &mut usize,
    ) {
        match &mut self.day {
            Some((current, counts)) if *current == day => counts.add(cell),
            _ => {
                self.flush(days_left);
                let mut counts = CellCounts::default();
                counts.add(cell);
                self.day = Some((day, counts));
            }
        }
        self.gaps.add(time, cell);
        self.flags[flag_index(quality.flag())] += 1;
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
        match cell {
            Cell::Filled(fill) => self.fills[fill as usize & 15] += 1,
            Cell::Observed(value, flag) => {
                if quality.provenance() == Provenance::Censored {
                    self.fills[Provenance::Censored as usize & 15] += 1;
                }
                self.observe(time, day, value, flag);
                if let Some(threshold) = threshold {
                    self.exceedances.add(threshold, time, value);
                }
            }
            Cell::Unreadable | Cell::Emptied | Cell::Missing | Cell::Derived => {}
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
        self.months.entry(day.month()).or_default().add_all(&counts);
        if let Some(known) = self.days.get_mut(&day) {
            known.add_all(&counts);
        } else if *days_left > 0 {
            *days_left -= 1;
            self.days.insert(day, counts);
        }
    }
}

/// The place of a flag among [`Flag::ALL`].
fn flag_index(flag: Flag) -> usize {
    match flag {
        Flag::Good => 0,
        Flag::Unknown => 1,
        Flag::Suspect => 2,
        Flag::Fail => 3,
        Flag::Missing => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_counted_in_their_order() {
        for (at, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(flag_index(flag), at);
        }
    }

    #[test]
    fn days_beyond_the_bound_are_still_in_their_months() {
        let mut series = Series::new(0, 0, true);
        let mut left = 2;
        for day in 0..4 {
            let time = Day(day).start();
            let cell = Cell::Observed(f64::from(day), Flag::Fail);
            let quality = CellQuality::OBSERVED.checked(Flag::Fail, 1);
            series.add((time, Day(day)), cell, quality, &[0, 3], None, &mut left);
        }
        series.flush(&mut left);
        assert_eq!((series.days.len(), left, series.total.failed), (2, 0, 4));
        assert_eq!(series.months.values().map(|month| month.failed).sum::<u32>(), 4);
        assert_eq!((series.flags, series.tests), ([0, 0, 0, 4, 0], vec![0, 0, 0, 4]));
    }
}
