//! What a text says of a time.

/// Microseconds of a second.
pub(super) const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;
/// The first and the last microsecond of the years 0 to 9999, which RFC 3339 can write.
pub(super) const YEARS_MICROS: std::ops::RangeInclusive<i64> = -62_167_219_200_000_000..=253_402_300_799_999_999;

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

/// A year of four digits that begins with a zero was typed wrongly.
///
/// # Errors
/// Where it is such a year.
pub(super) fn plausible_year(year: u32) -> Result<(), String> {
    const YEAR_MIN: u32 = 1_000;
    if year < YEAR_MIN { Err("a year before 1000 is a typing error".to_owned()) } else { Ok(()) }
}
