//! Data capture: the share of the expected readings that are there and valid, by month, season, year and as a whole.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::cell::CellCounts;
use super::civil::{DAY_MICROS, LocalTime, Month};
use super::expected::{Expected, MONTHS_MAX};

/// A period of the table. They sort by kind, then by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// All of it.
    Whole,
    /// A year.
    Year(i32),
    /// A season: its year, and 0 for December to February up to 3 for September to November.
    Season(i32, usize),
    /// A month.
    Month(Month),
}

/// The initials of the months of the seasons.
const SEASONS: [&str; 4] = ["DJF", "MAM", "JJA", "SON"];

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Whole => f.write_str("whole"),
            Period::Year(year) => write!(f, "{year:04}"),
            Period::Season(year, season) => write!(f, "{year:04}-{}", SEASONS[*season & 3]),
            Period::Month(month) => write!(f, "{month}"),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Period {
    /// What kind of period it is.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Period::Whole => "whole",
            Period::Year(_) => "year",
            Period::Season(..) => "season",
            Period::Month(_) => "month",
        }
    }

    /// Its months, from the first to the one behind the last; `None` for the whole.
    fn months(self) -> Option<(Month, Month)> {
        match self {
            Period::Whole => None,
            Period::Year(year) => {
                Some((Month(year.saturating_mul(12)), Month(year.saturating_mul(12).saturating_add(12))))
            }
            Period::Season(year, season) => {
                let first = year.saturating_mul(12).saturating_sub(1).saturating_add(season as i32 * 3);
                Some((Month(first), Month(first.saturating_add(3))))
            }
            Period::Month(month) => Some((month, month.next())),
        }
    }
}

/// The data capture of a series in a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// The period.
    pub period: Period,
    /// Whether only a part of it lies within the report.
    pub partial: bool,
    /// The readings that the sampling step expects within the part that does.
    pub expected: u64,
    /// The cells of the records, by what they are.
    pub cells: CellCounts,
    /// Valid values, that is observed ones that failed no test, for each expected reading: 0 to 1; null where none is expected.
    pub capture: Option<f64>,
}

/// Where the period of a report begins and ends by the clock of a station, and what lies within a step of them is not cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ends {
    /// The first reading.
    pub(super) from: LocalTime,
    /// The end: none is expected then any more.
    pub(super) end: LocalTime,
    /// Microseconds between readings.
    pub(super) step: i64,
}

impl Ends {
    /// Whether only a part of a stretch lies within.
    fn cut(&self, from: LocalTime, end: LocalTime) -> bool {
        let tolerance = self.step.min(DAY_MICROS);
        self.from.0.saturating_sub(tolerance) >= from.0 || self.end.0.saturating_add(tolerance) <= end.0
    }
}

/// The capture of a series in each period in which readings are expected, by kind and time.
pub(super) fn captures(
    months: &BTreeMap<Month, CellCounts>,
    total: &CellCounts,
    expected: &Expected,
    ends: &Ends,
) -> Vec<Capture> {
    let mut periods: BTreeMap<Period, (CellCounts, u64)> = BTreeMap::new();
    periods.insert(Period::Whole, (*total, expected.whole));
    for (month, readings) in expected.months.iter().take(2 * MONTHS_MAX) {
        let counts = months.get(month).copied().unwrap_or_default();
        let (year, season) = month.season();
        for period in [Period::Month(*month), Period::Season(year, season), Period::Year(month.year())] {
            let (cells, expected) = periods.entry(period).or_default();
            cells.add_all(&counts);
            *expected = expected.saturating_add(*readings);
        }
    }
    periods.into_iter().map(|(period, (cells, expected))| capture(period, cells, expected, ends)).collect()
}

fn capture(period: Period, cells: CellCounts, expected: u64, ends: &Ends) -> Capture {
    let months = period.months();
    let partial = months.is_some_and(|(from, end)| ends.cut(from.first_day().start(), end.first_day().start()));
    let share = (expected > 0).then(|| f64::from(cells.valid()) / expected as f64);
    Capture { period, partial, expected, cells, capture: share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::civil::HOUR_MICROS;
    use crate::report::expected::Moment;

    #[test]
    fn expected_readings_of_months_add_up_to_those_of_the_whole() {
        // The period of the UCI data set, of which the first and the last reading came.
        let hour = |day: i64, hour: i64| LocalTime((day * 24 + hour) * HOUR_MICROS);
        let ends = Ends { from: hour(12_487, 18), end: hour(12_877, 15), step: HOUR_MICROS };
        let mut expected = Expected::default();
        let moment = |time: LocalTime| Moment { instant: time.0, offset: 0 };
        expected.present(ends.from.day());
        expected.between(moment(ends.from), moment(hour(12_877, 14)), HOUR_MICROS);
        expected.present(ends.end.day());
        expected.finish();
        let total = CellCounts { observed: 9_000, failed: 643, filled: 357, ..CellCounts::default() };
        let found = captures(&BTreeMap::new(), &total, &expected, &ends);
        let sum =
            |kind: &str| -> u64 { found.iter().filter(|one| one.period.kind() == kind).map(|one| one.expected).sum() };
        assert_eq!((sum("whole"), sum("year"), sum("season"), sum("month")), (9_357, 9_357, 9_357, 9_357));
        assert_eq!(found[0].capture, Some(8_357.0 / 9_357.0));
        let names: Vec<String> = found.iter().map(|one| one.period.to_string()).collect();
        assert_eq!(names[..8], ["whole", "2004", "2005", "2004-MAM", "2004-JJA", "2004-SON", "2005-DJF", "2005-MAM"]);
        assert_eq!((names[8].as_str(), names.len()), ("2004-03", 8 + 14));
        let partial: Vec<&str> =
            names.iter().zip(&found).filter(|(_, one)| one.partial).map(|(name, _)| name.as_str()).collect();
        assert_eq!(partial, ["2004", "2005", "2004-MAM", "2005-MAM", "2004-03", "2005-04"]);
    }
}
