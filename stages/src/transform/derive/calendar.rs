//! Hours, days and months of instants, for whole columns.

use crate::civil_date::CivilDate;

const MINUTE_MICROS: i64 = 60_000_000;
const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// Hour, weekday and month of each instant, by its local clock.
pub(super) struct Calendar {
    /// 0 to 23.
    pub(super) hour: Vec<u8>,
    /// 0 (Monday) to 6.
    pub(super) day_of_week: Vec<u8>,
    /// 1 to 12.
    pub(super) month: Vec<u8>,
}

impl Calendar {
    /// The calendar of instants in microseconds since 1970 UTC, by clocks in minutes east of UTC.
    pub(super) fn of(time: &[i64], offset: &[i16]) -> Calendar {
        let rows = time.len();
        let (mut hour, mut day_of_week, mut month) = (vec![0; rows], vec![0; rows], vec![0; rows]);
        // Records mostly come in order of time, so that the day seldom changes.
        let mut today = Day::of(0);
        let steps = hour.iter_mut().zip(&mut day_of_week).zip(&mut month);
        for (((hour, day_of_week), month), (time, offset)) in steps.zip(time.iter().zip(offset)) {
            let local = time.saturating_add(i64::from(*offset) * MINUTE_MICROS);
            let mut into_day = local.wrapping_sub(today.start) as u64;
            if into_day >= DAY_MICROS as u64 {
                today = Day::of(local.div_euclid(DAY_MICROS));
                into_day = local.rem_euclid(DAY_MICROS) as u64;
            }
            *hour = (into_day / HOUR_MICROS as u64) as u8;
            *day_of_week = today.day_of_week;
            *month = today.month;
        }
        Calendar { hour, day_of_week, month }
    }
}

/// A day of the local calendar.
struct Day {
    /// Its first microsecond since 1970, by the local clock.
    start: i64,
    day_of_week: u8,
    month: u8,
}

impl Day {
    /// The day counted from 1970-01-01, which was a Thursday.
    fn of(day: i64) -> Day {
        Day {
            start: day.wrapping_mul(DAY_MICROS),
            day_of_week: (day + 3).rem_euclid(7) as u8,
            month: CivilDate::from_epoch_days(day).month as u8,
        }
    }
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
