//! Dates of eight digits and nothing else, where no format says what they are: `20040310` is a day by ISO 8601, and `23030521` is
//! an hour to the networks that write YYMMDDHH.

use super::moment::{DAY_MICROS, Moment, SECOND_MICROS};
use crate::civil_date::epoch_days;

/// Years of eight digits that are days. 1901 to 1912 are hours of 2019 to others, and 2101 to 2112 those of 2021; months from 13
/// there are none.
const YEARS: std::ops::RangeInclusive<u32> = 1_913..=2_099;

/// Eight digits.
pub(super) fn digits(text: &[u8]) -> Option<&[u8; 8]> {
    <&[u8; 8]>::try_from(text).ok().filter(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// The day of eight digits.
///
/// # Errors
/// Where they are rather something else.
pub(super) fn parse(text: &[u8], year: u32, midnight: i64) -> Result<Moment, String> {
    if YEARS.contains(&year) {
        return Ok(Moment::Clock(midnight, None));
    }
    let year = String::from_utf8_lossy(text.get(..4).unwrap_or_default()).into_owned();
    Err(format!("a day of the year {year} can hardly be meant, and no format says what its digits are"))
}

/// The hour that eight digits are as YYMMDDHH, in microseconds since 1970 by its clock.
fn hour(text: &[u8; 8]) -> Option<i64> {
    let two = |at: usize| u32::from(text[at] - b'0') * 10 + u32::from(text[at + 1] - b'0');
    let year = if two(0) < 69 { 2000 + two(0) } else { 1900 + two(0) };
    let days = epoch_days(year, two(2), two(4))?;
    (two(6) <= 24).then_some(days * DAY_MICROS + i64::from(two(6)) * 3600 * SECOND_MICROS)
}

/// What is known of the eight digits of a split: days of 2000 to 2012 have the digits of hours of 2020.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BareDates {
    /// Some are no hours.
    days: bool,
    /// Some are no days.
    hours: bool,
    /// One that is both was read as a day.
    unsure: Option<[u8; 8]>,
    told: bool,
}

impl BareDates {
    /// Looks at a text that no format says how to read.
    ///
    /// # Errors
    /// Where it may be an hour, because one before it was one.
    pub(super) fn check(&mut self, text: &[u8], is_day: bool) -> Result<(), String> {
        let Some(digits) = digits(text) else { return Ok(()) };
        let is_hour = hour(digits).is_some();
        self.days |= is_day && !is_hour;
        self.hours |= is_hour && !is_day;
        if is_day && is_hour && self.hours && !self.days {
            return Err(
                "it is a day or an hour, for eight digits before it were no day but an hour (`%y%m%d%H`)".to_owned()
            );
        }
        if is_day && is_hour && self.unsure.is_none() {
            self.unsure = Some(*digits);
        }
        Ok(())
    }

    /// What is to be said, once, where nothing tells what they are.
    pub(super) fn take_warning(&mut self) -> Option<String> {
        let digits = self.unsure.filter(|_| !self.told && !self.days && !self.hours)?;
        self.told = true;
        let shown = String::from_utf8_lossy(&digits);
        Some(format!(
            "`{shown}` and the like are read as days, for no format says that they are hours: those of 2020 would need \
             `format = \"%y%m%d%H\"`, and days are sure with `format = \"%Y%m%d\"`"
        ))
    }
}
