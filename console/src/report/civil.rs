//! Days, months and seasons by the clock of the records.

use std::fmt;

use jiff::civil::Date;
use jiff::{Span, civil};
use serde::{Serialize, Serializer};

/// Microseconds in a second: the unit of times in batches.
pub(super) const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds in a day.
pub(super) const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;
/// Microseconds in an hour.
pub(super) const HOUR_MICROS: i64 = 3_600 * SECOND_MICROS;
/// Days from 1970 to the years -8000 and 9900: a calendar knows no others.
const DAYS_MIN: i64 = -3_600_000;
const DAYS_MAX: i64 = 2_900_000;

/// A moment by the clock that wrote it: microseconds since 1970-01-01T00:00:00 of that clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(pub i64);

/// A day: how many lie between it and 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A month: twelve times its year and how many come before it in that year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i32);

impl LocalTime {
    /// The moment of an instant (microseconds since 1970 UTC) on a clock so many minutes east of UTC.
    #[must_use]
    pub fn of(instant: i64, offset_minutes: i16) -> LocalTime {
        LocalTime(instant.saturating_add(i64::from(offset_minutes) * 60 * SECOND_MICROS))
    }

    /// Its day.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_MICROS).clamp(DAYS_MIN, DAYS_MAX) as i32)
    }

    /// Its hour, 0 to 23.
    #[must_use]
    pub fn hour(self) -> usize {
        (self.0.rem_euclid(DAY_MICROS) / HOUR_MICROS) as usize
    }

    /// Seconds since 1970 by its clock.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / SECOND_MICROS as f64
    }
}

impl Day {
    /// The day in the calendar.
    #[must_use]
    pub fn date(self) -> Date {
        let since = Span::new().try_days(i64::from(self.0)).unwrap_or_default();
        civil::date(1970, 1, 1).saturating_add(since)
    }

    /// The day of a date.
    #[must_use]
    pub fn of(date: Date) -> Day {
        let since = civil::date(1970, 1, 1).duration_until(date).as_secs() / 86_400;
        Day(since.clamp(DAYS_MIN, DAYS_MAX) as i32)
    }

    /// Its beginning.
    #[must_use]
    pub fn start(self) -> LocalTime {
        LocalTime(i64::from(self.0) * DAY_MICROS)
    }

    /// 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> usize {
        // 1970-01-01 was a Thursday.
        (i64::from(self.0) + 3).rem_euclid(7) as usize
    }

    /// Its month.
    #[must_use]
    pub fn month(self) -> Month {
        let date = self.date();
        Month(i32::from(date.year()) * 12 + i32::from(date.month()) - 1)
    }
}

impl Month {
    /// Its year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    /// 0 for January to 11 for December.
    #[must_use]
    pub fn of_year(self) -> usize {
        self.0.rem_euclid(12) as usize
    }

    /// Its season: 0 for December to February, to 3 for September to November; December counts for the year that follows.
    #[must_use]
    pub fn season(self) -> (i32, usize) {
        let shifted = self.0.saturating_add(1);
        (shifted.div_euclid(12), shifted.rem_euclid(12) as usize / 3)
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Day {
        let year = i16::try_from(self.year()).unwrap_or(i16::MAX).clamp(-9_000, 9_900);
        Day::of(civil::date(year, self.of_year() as i8 + 1, 1))
    }

    /// The month behind it.
    #[must_use]
    pub fn next(self) -> Month {
        Month(self.0.saturating_add(1))
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.rem_euclid(DAY_MICROS) / SECOND_MICROS;
        write!(f, "{}T{:02}:{:02}:{:02}", self.day(), second / 3_600, second / 60 % 60, second % 60)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.of_year() + 1)
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_taken_apart_by_its_own_clock() {
        let time = LocalTime::of(1_078_938_000_000_000, 60);
        assert_eq!(time.to_string(), "2004-03-10T18:00:00");
        assert_eq!((time.hour(), time.day().weekday(), time.day().to_string()), (18, 2, "2004-03-10".to_owned()));
        assert_eq!(time.day().month().to_string(), "2004-03");
        assert_eq!(time.day().month().first_day().to_string(), "2004-03-01");
        assert_eq!(LocalTime(-1).to_string(), "1969-12-31T23:59:59");
        assert_eq!(Day::of(time.day().date()), time.day());
    }

    #[test]
    fn winter_belongs_to_the_year_of_its_january() {
        let month = |year: i32, month: i32| Month(year * 12 + month - 1);
        assert_eq!(month(2004, 12).season(), (2005, 0));
        assert_eq!(month(2005, 2).season(), (2005, 0));
        assert_eq!(month(2005, 3).season(), (2005, 1));
        assert_eq!(month(2005, 11).season(), (2005, 3));
    }

    #[test]
    fn times_that_no_calendar_has_end_at_its_ends() {
        for time in [i64::MIN, i64::MAX] {
            let day = LocalTime::of(time, 60).day();
            assert!(!day.to_string().is_empty() && day.month().first_day() <= day);
        }
    }
}
