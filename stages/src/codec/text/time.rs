//! RFC 3339, written and parsed by hand: once a record, which a time zone library is too slow for.

use std::fmt;

use crate::civil_date::{CivilDate, epoch_days};

const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// Appends a time as RFC 3339 by the clock of its source: `2004-03-10T18:00:00+01:00`, with `Z` for an offset of
/// zero and a fraction only if it is not zero.
///
/// `time` is in microseconds since 1970-01-01T00:00:00Z, `offset` in minutes east of UTC. Years before 0 or after 9999,
/// which RFC 3339 does not know, get a sign and six digits as in ISO 8601.
pub fn write_timestamp(out: &mut Vec<u8>, time: i64, offset: i16) {
    let local = time.saturating_add(i64::from(offset) * 60 * SECOND_MICROS);
    let (seconds, micros) = (local.div_euclid(SECOND_MICROS), local.rem_euclid(SECOND_MICROS) as u32);
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS) as u32);
    let CivilDate { year, month, day } = CivilDate::from_epoch_days(days);
    if (0..=9999).contains(&year) {
        let year = year as u32;
        let [[y0, y1], [y2, y3]] = [pair(year / 100), pair(year % 100)];
        out.extend_from_slice(&[y0, y1, y2, y3]);
    } else {
        let sign = if year < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{sign}{:06}", year.unsigned_abs()).as_bytes());
    }
    let [[m0, m1], [d0, d1]] = [pair(month), pair(day)];
    let [[h0, h1], [i0, i1], [s0, s1]] = [pair(second / 3600), pair(second / 60 % 60), pair(second % 60)];
    out.extend_from_slice(&[b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1]);
    if micros != 0 {
        write_fraction(out, micros);
    }
    if offset == 0 {
        out.push(b'Z');
    } else {
        let minutes = u32::from(offset.unsigned_abs());
        let [[h0, h1], [m0, m1]] = [pair(minutes / 60), pair(minutes % 60)];
        out.extend_from_slice(&[if offset < 0 { b'-' } else { b'+' }, h0, h1, b':', m0, m1]);
    }
}

fn write_fraction(out: &mut Vec<u8>, micros: u32) {
    let [[a, b], [c, d], [e, f]] = [pair(micros / 10_000), pair(micros / 100 % 100), pair(micros % 100)];
    let fraction = [b'.', a, b, c, d, e, f];
    let end = fraction.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    out.extend_from_slice(&fraction[..=end]);
}

/// The two digits of a number below 100.
#[inline]
fn pair(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

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
/// A space may stand for the `T`. Digits beyond the microsecond are cut off. A leap second counts as the second before it,
/// as by POSIX clocks.
///
/// # Errors
/// Where the text is something else.
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
    if hour > 23 || minute > 59 || second > 60 {
        return Err(TimestampError::Range);
    }
    let second = i64::from(hour * 3600 + minute * 60 + second.min(59));
    let local = days * DAY_SECONDS + second;
    Ok(((local - i64::from(offset) * 60) * SECOND_MICROS + i64::from(micros), offset))
}

fn two_digits(tens: u8, ones: u8) -> Result<u32, TimestampError> {
    let [tens, ones] = [tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0')];
    if tens < 10 && ones < 10 { Ok(u32::from(tens) * 10 + u32::from(ones)) } else { Err(TimestampError::Shape) }
}

fn fraction(text: &[u8]) -> Result<(u32, &[u8]), TimestampError> {
    let Some(digits) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(TimestampError::Shape);
    }
    let digit = |place: usize| if place < count { u32::from(digits[place] - b'0') } else { 0 };
    Ok(((0..6).fold(0, |micros, place| micros * 10 + digit(place)), &digits[count..]))
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
    use super::*;
    use proptest::prelude::*;

    fn written(time: i64, offset: i16) -> String {
        let mut out = Vec::new();
        write_timestamp(&mut out, time, offset);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_keep_the_clock_of_their_source() {
        let time = 1_078_938_000_000_000;
        assert_eq!(written(time, 60), "2004-03-10T18:00:00+01:00");
        assert_eq!(written(time, 0), "2004-03-10T17:00:00Z");
        assert_eq!(written(time, -570), "2004-03-10T07:30:00-09:30");
        assert_eq!(written(time + 120_000, 0), "2004-03-10T17:00:00.12Z");
        assert_eq!(written(-1, 0), "1969-12-31T23:59:59.999999Z");
    }

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
            ("2004-03-10T24:00:00Z", TimestampError::Range),
            ("2004-03-10T18:00:00+24:00", TimestampError::Range),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), Err(why), "{text}");
        }
        assert!(parse_timestamp(b"2004-02-29 18:00:60.1234567z").is_ok());
    }

    #[test]
    fn years_beyond_four_digits_are_written_in_the_expanded_form() {
        assert_eq!(written(i64::MAX, 0), "+294247-01-10T04:00:54.775807Z");
        assert!(written(i64::MIN, -1).starts_with("-290308-"));
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back_as_it_was_and_jiff_agrees(
            time in -62_135_596_800_000_000i64..253_402_200_000_000_000,
            whole in any::<bool>(),
            offset in -1439i16..=1439,
        ) {
            let time = if whole { time / SECOND_MICROS * SECOND_MICROS } else { time };
            let local = time + i64::from(offset) * 60 * SECOND_MICROS;
            prop_assume!((-62_135_596_800_000_000..253_402_300_800_000_000).contains(&local));
            let text = written(time, offset);
            prop_assert_eq!(parse_timestamp(text.as_bytes()), Ok((time, offset)), "{}", &text);
            let instant: jiff::Timestamp = text.parse().expect("RFC 3339");
            prop_assert_eq!(instant.as_microsecond(), time);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9TZtz:. +-]{0,40}") {
            let ours = parse_timestamp(text.as_bytes());
            if ours.is_ok() {
                prop_assert!(text.parse::<jiff::Timestamp>().is_ok(), "{}", &text);
            }
        }
    }
}
