//! Dates of the proleptic Gregorian calendar, without a time zone library: once a record.
//!
//! Years are counted from March, so that the leap day is the last of its year; 400 years have 146,097 days (H. Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms").

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

/// A date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CivilDate {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u32,
    /// 1 to 31.
    pub(crate) day: u32,
}

impl CivilDate {
    /// The date of a day counted from 1970-01-01.
    #[inline]
    pub(crate) fn from_epoch_days(days: i64) -> CivilDate {
        let shifted = days + EPOCH_DAYS;
        let era = shifted.div_euclid(ERA_DAYS);
        let day_of_era = shifted.rem_euclid(ERA_DAYS) as u32;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        CivilDate { year: i64::from(year_of_era) + era * 400 + i64::from(month <= 2), month, day }
    }
}

/// The day of a date counted from 1970-01-01; `None` for a date that does not exist.
#[inline]
pub(crate) fn epoch_days(year: u32, month: u32, day: u32) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + i64::from(day_of_year);
    Some(era * ERA_DAYS + day_of_era - EPOCH_DAYS)
}

fn month_days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dates_are_those_of_jiff_and_read_back(days in -4_371_000i64..2_932_000) {
            let date = CivilDate::from_epoch_days(days);
            let instant = jiff::Timestamp::from_second(days * 86_400).expect("in range");
            let expected = Offset::UTC.to_datetime(instant).date();
            let parts = (date.year, date.month, date.day);
            prop_assert_eq!(parts, (i64::from(expected.year()), expected.month() as u32, expected.day() as u32));
            if let Ok(year) = u32::try_from(date.year) {
                prop_assert_eq!(epoch_days(year, date.month, date.day), Some(days));
            }
        }

        #[test]
        fn a_date_exists_where_jiff_says_so(year in 0u32..=9999, month in 0u32..=14, day in 0u32..=33) {
            let expected = Date::new(year as i16, month as i8, day as i8);
            prop_assert_eq!(epoch_days(year, month, day).is_some(), expected.is_ok());
        }
    }
}
