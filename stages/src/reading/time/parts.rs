//! The parts of a time that a pattern reads, and the time that they make.

use super::clock_time::ClockTime;
use super::moment::{DAY_MICROS, Moment, YEARS, plausible_year};
use crate::civil_date::epoch_days;

/// A part that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    YearOfCentury,
    Century,
    Month,
    Day,
    DayOfYear,
    Hour,
    Hour12,
    Minute,
    Second,
    /// From 1, Monday, to 7; and from 0, Sunday, to 6.
    Weekday,
    IsoYear,
    IsoYearOfCentury,
    IsoWeek,
    /// Weeks that begin on Sundays, and on Mondays.
    SundayWeek,
    MondayWeek,
}

/// How many there are.
pub(super) const PARTS: usize = Part::MondayWeek as usize + 1;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub(super) numbers: [Option<u32>; PARTS],
    pub(super) afternoon: Option<bool>,
    pub(super) fraction_micros: u32,
    /// Seconds east of UTC.
    pub(super) offset: Option<i32>,
    /// Microseconds since 1970.
    pub(super) epoch: Option<i64>,
}

impl Parts {
    fn get(&self, part: Part) -> Option<u32> {
        self.numbers[part as usize]
    }

    /// The time of the parts.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn moment(&self) -> Result<Moment, String> {
        if let Some(epoch) = self.epoch {
            return Ok(Moment::Instant(epoch));
        }
        for year in [self.year(), self.iso_year()].into_iter().flatten() {
            plausible_year(year, YEARS)?;
        }
        let days = self.days().ok_or_else(|| "there is no such date".to_owned())?;
        // 1970-01-01 was a Thursday.
        let weekday = (days + 3).rem_euclid(7) as u32 + 1;
        if self.get(Part::Weekday).is_some_and(|named| named != weekday) {
            return Err("it is another day of the week".to_owned());
        }
        let time = self.time()?;
        let micros = time.micros().ok_or_else(|| time.problem())?;
        Ok(Moment::Clock(days * DAY_MICROS + micros, self.offset))
    }

    fn time(&self) -> Result<ClockTime, String> {
        let part = |part| self.get(part).unwrap_or(0);
        let hour = match self.get(Part::Hour12) {
            Some(hour @ 1..=12) => hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 },
            Some(hour) => return Err(format!("a clock of 12 hours has no hour {hour}")),
            None => part(Part::Hour),
        };
        let (minute, second) = (part(Part::Minute), part(Part::Second));
        Ok(ClockTime { hour, minute, second, micros: self.fraction_micros })
    }

    /// The day, counted from 1970-01-01.
    fn days(&self) -> Option<i64> {
        if let (Some(year), Some(week)) = (self.iso_year(), self.get(Part::IsoWeek)) {
            return self.iso_week_day(year, week);
        }
        let year = self.year()?;
        if let Some(month) = self.get(Part::Month) {
            return epoch_days(year, month, self.get(Part::Day).unwrap_or(1));
        }
        let first = epoch_days(year, 1, 1)?;
        let days = match (self.get(Part::DayOfYear), self.get(Part::SundayWeek), self.get(Part::MondayWeek)) {
            (Some(day), ..) => first + i64::from(day) - 1,
            // The days before the first Sunday (or Monday) of a year are its week 0.
            (_, Some(week), _) => {
                let first_sunday = first + (-(first + 4)).rem_euclid(7);
                first_sunday + (i64::from(week) - 1) * 7 + i64::from(self.get(Part::Weekday)? % 7)
            }
            (_, _, Some(week)) => {
                let first_monday = first + (-(first + 3)).rem_euclid(7);
                first_monday + (i64::from(week) - 1) * 7 + i64::from(self.get(Part::Weekday)?) - 1
            }
            _ => return None,
        };
        (first..=epoch_days(year, 12, 31)?).contains(&days).then_some(days)
    }

    fn iso_week_day(&self, year: u32, week: u32) -> Option<i64> {
        // The 4th of January is in week 1.
        let monday_of = |year: u32| {
            let fourth = epoch_days(year, 1, 4)?;
            Some(fourth - (fourth + 3).rem_euclid(7))
        };
        let monday = monday_of(year)? + (i64::from(week) - 1) * 7;
        let is_in_year = week >= 1 && monday < monday_of(year + 1)?;
        is_in_year.then_some(monday + i64::from(self.get(Part::Weekday)?) - 1)
    }

    fn year(&self) -> Option<u32> {
        let short = self.get(Part::YearOfCentury);
        self.get(Part::Year).or_else(|| match self.get(Part::Century) {
            Some(century) => Some(century * 100 + short?),
            None => short.map(full_year),
        })
    }

    fn iso_year(&self) -> Option<u32> {
        self.get(Part::IsoYear).or_else(|| self.get(Part::IsoYearOfCentury).map(full_year))
    }
}

/// Two digits are a year from 1969 to 2068, as for POSIX.
fn full_year(year: u32) -> u32 {
    if year < 69 { 2000 + year } else { 1900 + year }
}
