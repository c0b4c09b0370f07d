//! What a text says of a time.

use std::ops::RangeInclusive;

/// Microseconds of a second.
pub(super) const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;
/// The first and the last microsecond of the years 0 to 9999, which RFC 3339 can write.
pub(super) const YEARS_MICROS: RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

/// What a text says of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Microseconds since 1970 UTC.
    Instant(i64),
    /// Microseconds since 1970 by a clock, and the seconds that it is east of UTC where the text says so.
    Clock(i64, Option<i32>),
}

/// The whole minutes of an offset from UTC in seconds, as batches have them.
pub(super) fn minutes(offset: i32) -> i16 {
    // An offset is less than 26 hours.
    offset.div_euclid(60) as i16
}

/// Years of times that a format reads. One that begins with a zero was typed wrongly, and one of 2200 or later is one that a
/// format makes of other digits, as numbers since 1970 are refused from there on.
pub(super) const YEARS: RangeInclusive<u32> = 1_000..=2_199;
/// Years of times that no format says how to read: before 1900 nothing was measured by a clock that writes ISO 8601, and digits
/// that begin so are those of another time (`19030521` has hours of 2019, `18:…` is an hour).
pub(super) const YEARS_WITHOUT_FORMAT: RangeInclusive<u32> = 1_900..=2_199;

/// # Errors
/// Where no time of that year can be meant.
pub(super) fn plausible_year(year: u32, years: RangeInclusive<u32>) -> Result<(), String> {
    match (years.start(), years.end()) {
        (first, _) if year < *first => Err(format!("a year before {first} is a typing error, or no year")),
        (_, last) if year > *last => Err(format!("a year after {last} is a typing error, or no year")),
        _ => Ok(()),
    }
}
