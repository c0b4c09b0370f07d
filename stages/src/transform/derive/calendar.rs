//! Hours, days and months of instants, by arithmetic on whole columns.

/// Microseconds in a minute, an hour and a day.
const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What the local clock and calendar show at each instant.
pub(super) struct Calendar {
    /// 0 to 23.
    pub(super) hour: Vec<u8>,
    /// 0 (Monday) to 6.
    pub(super) day_of_week: Vec<u8>,
    /// 1 to 12.
    pub(super) month: Vec<u8>,
}

impl Calendar {
    /// Of instants in microseconds since 1970 UTC and clocks in minutes east of it.
    pub(super) fn of(time: &[i64], offset: &[i16]) -> Calendar {
        let rows = time.len();
        let (mut hour, mut day_of_week, mut month) = (vec![0; rows], vec![0; rows], vec![0; rows]);
        // Records mostly come in the order of time, so the day seldom changes.
        let mut today = Day::of(0);
        let steps = hour.iter_mut().zip(&mut day_of_week).zip(&mut month);
        for (((hour, day_of_week), month), (time, offset)) in steps.zip(time.iter().zip(offset)) {
            let local = time.saturating_add(i64::from(*offset) * MINUTE);
            let mut into_day = local.wrapping_sub(today.start) as u64;
            if into_day >= DAY as u64 {
                today = Day::of(local.div_euclid(DAY));
                into_day = local.rem_euclid(DAY) as u64;
            }
            *hour = (into_day / HOUR as u64) as u8;
            *day_of_week = today.day_of_week;
            *month = today.month;
        }
        Calendar { hour, day_of_week, month }
    }
}

/// A day of the local calendar.
struct Day {
    /// Its first microsecond since 1970, as the local clock counts.
    start: i64,
    day_of_week: u8,
    month: u8,
}

impl Day {
    /// The day counted from 1970-01-01, which was a Thursday.
    fn of(day: i64) -> Day {
        Day { start: day.wrapping_mul(DAY), day_of_week: (day + 3).rem_euclid(7) as u8, month: month_of(day) }
    }
}

/// The month (1 to 12) of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts from 1 March of year 0, so that the leap day ends a year: 400 years have 146,097 days, and from March on
/// the first day of month m of such a year is ⌊(153·m + 2) / 5⌋.
fn month_of(day: i64) -> u8 {
    const DAYS_FROM_MARCH_0000: i64 = 719_468;
    let day_of_era = (day + DAYS_FROM_MARCH_0000).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 }) as u8
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::{Offset, TimeZone};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn clock_and_calendar_agree_with_jiff(
            rows in prop::collection::vec((-60_000_000_000_000_000_i64..250_000_000_000_000_000, -1_080_i16..1_080), 1..50)
        ) {
            let (time, offset): (Vec<i64>, Vec<i16>) = rows.into_iter().unzip();
            let calendar = Calendar::of(&time, &offset);
            for row in 0..time.len() {
                let zone = TimeZone::fixed(Offset::from_seconds(i32::from(offset[row]) * 60).expect("in range"));
                let local = zone.to_datetime(Timestamp::from_microsecond(time[row]).expect("in range"));
                prop_assert_eq!(calendar.hour[row], local.hour() as u8);
                prop_assert_eq!(calendar.day_of_week[row], local.weekday().to_monday_zero_offset() as u8);
                prop_assert_eq!(calendar.month[row], local.month() as u8);
            }
        }
    }

    #[test]
    fn instants_at_the_ends_of_the_range_are_no_panic() {
        let calendar = Calendar::of(&[i64::MIN, i64::MAX], &[i16::MIN, i16::MAX]);
        assert!(calendar.month.iter().all(|month| (1..=12).contains(month)));
        assert!(calendar.hour.iter().all(|hour| *hour < 24));
    }
}
