//! RFC 3339, parsed by hand: once a record, which a time zone library is too slow for.

use std::fmt;

use super::clock_time::{ClockTime, fraction_micros, leading_digits};
use super::moment::{DAY_MICROS, SECOND_MICROS};
use crate::civil_date::epoch_days;

/// Why a text is not an RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampError {
    /// It does not look like one.
    Shape,
    /// It has no offset from UTC, so it is no instant.
    NoOffset,
    /// A part is out of range: month 13, 31 April.
    Range,
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimestampError::Shape => "is not an RFC 3339 time such as `2004-03-10T18:00:00+01:00`",
            TimestampError::NoOffset => "has no offset from UTC such as `+01:00` or `Z`",
            TimestampError::Range => "does not exist in the calendar",
        })
    }
}

/// The instant of an RFC 3339 time in microseconds since 1970 UTC, and its offset in minutes east of UTC.
///
/// A space may stand for the `T`. A fraction is rounded to microseconds. Hour 24 is hour 0 of the next day. A leap second
/// counts as the second before it, as by POSIX clocks.
///
/// # Errors
/// Where the text is something else.
#[inline]
pub fn parse_timestamp(text: &[u8]) -> Result<(i64, i16), TimestampError> {
    let Some((head, rest)) = text.split_first_chunk::<19>() else { return Err(TimestampError::Shape) };
    let separators = [head[4], head[7], head[10], head[13], head[16]];
    if !matches!(separators, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return Err(TimestampError::Shape);
    }
    let two = |at: usize| two_digits(head[at], head[at + 1]);
    let [century, year, month, day] = [two(0)?, two(2)?, two(5)?, two(8)?];
    let [hour, minute, second] = [two(11)?, two(14)?, two(17)?];
    let year = century * 100 + year;
    let (micros, rest) = fraction(rest)?;
    let offset = offset_minutes(rest)?;
    let days = epoch_days(year, month, day).ok_or(TimestampError::Range)?;
    let time = ClockTime { hour, minute, second, micros }.micros().ok_or(TimestampError::Range)?;
    Ok((days * DAY_MICROS + time - i64::from(offset) * 60 * SECOND_MICROS, offset))
}

fn two_digits(tens: u8, ones: u8) -> Result<u32, TimestampError> {
    let [tens, ones] = [tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0')];
    if tens < 10 && ones < 10 { Ok(u32::from(tens) * 10 + u32::from(ones)) } else { Err(TimestampError::Shape) }
}

#[inline]
fn fraction(text: &[u8]) -> Result<(u32, &[u8]), TimestampError> {
    let Some(digits) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let (digits, rest) = leading_digits(digits);
    if digits.is_empty() { Err(TimestampError::Shape) } else { Ok((fraction_micros(digits), rest)) }
}

fn offset_minutes(text: &[u8]) -> Result<i16, TimestampError> {
    match text {
        [] => Err(TimestampError::NoOffset),
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (two_digits(*h0, *h1)?, two_digits(*m0, *m1)?);
            if hours > 23 || minutes > 59 {
                return Err(TimestampError::Range);
            }
            let east = (hours * 60 + minutes) as i16;
            Ok(if *sign == b'-' { -east } else { east })
        }
        _ => Err(TimestampError::Shape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_a_time_is_refused_for_its_own_reason() {
        for (text, why) in [
            ("", TimestampError::Shape),
            ("2004-03-10", TimestampError::Shape),
            ("2004-03-10T18:00:00", TimestampError::NoOffset),
            ("2004-03-10T18:00:00.", TimestampError::Shape),
            ("2004-03-10T18:00:00+1:00", TimestampError::Shape),
            ("10/03/2004 18.00.00Z", TimestampError::Shape),
            ("2004-13-10T18:00:00Z", TimestampError::Range),
            ("2003-02-29T18:00:00Z", TimestampError::Range),
            ("2004-03-10T24:00:01Z", TimestampError::Range),
            ("2004-03-10T25:00:00Z", TimestampError::Range),
            ("2004-03-10T18:00:00+24:00", TimestampError::Range),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), Err(why), "{text}");
        }
        assert!(parse_timestamp(b"2004-02-29 18:00:60.1234567z").is_ok());
        assert_eq!(parse_timestamp(b"2004-02-28T24:00:00Z"), parse_timestamp(b"2004-02-29T00:00:00Z"));
        assert_eq!(parse_timestamp(b"2004-02-28T23:59:59.9999996Z"), parse_timestamp(b"2004-02-29T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9TZtz:. +-]{0,40}") {
            let ours = parse_timestamp(text.as_bytes());
            if ours.is_ok() && !text[11..].starts_with("24") {
                prop_assert!(text.parse::<jiff::Timestamp>().is_ok(), "{}", &text);
            }
        }
    }
}
