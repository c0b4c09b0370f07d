//! ISO 8601 in its usual spellings: with `T` or blanks between date and time, with and without separators, seconds, a fraction and
//! an offset.

use super::bare_date;
use super::clock_time::{ClockTime, fraction_micros, leading_digits};
use super::moment::{DAY_MICROS, Moment, YEARS_WITHOUT_FORMAT, plausible_year};
use super::offset;
use crate::civil_date::epoch_days;

/// The time that a text is.
///
/// # Errors
/// Why it is none.
pub(super) fn parse(text: &[u8]) -> Result<Moment, String> {
    let (year, days, rest) = date(text)?;
    let midnight = days * DAY_MICROS;
    let rest = match rest {
        [] if bare_date::digits(text).is_some() => return bare_date::parse(text, year, midnight),
        [] => return by_clock(year, midnight),
        [b'T' | b't', rest @ ..] => rest,
        [b' ' | b'\t', ..] => rest.trim_ascii_start(),
        _ => return Err("a `T` or a blank has to come behind its date".to_owned()),
    };
    let (time, rest) = time(rest)?;
    let micros = midnight + time.micros().ok_or_else(|| time.problem())?;
    let rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return by_clock(year, micros);
    }
    match offset::parse(rest) {
        Some((seconds, [])) => Ok(Moment::Clock(micros, Some(seconds))),
        // The offset decides: the name of a zone behind it says why there is such an offset.
        Some((seconds, [b'[', .., b']'])) => Ok(Moment::Clock(micros, Some(seconds))),
        None if rest.starts_with(b"[") => Err("it names a zone and no offset".to_owned()),
        _ => Err(format!("`{}` is no offset from UTC", String::from_utf8_lossy(rest))),
    }
}

/// A time without an offset. One with an offset was written by a program, whatever its year is.
fn by_clock(year: u32, micros: i64) -> Result<Moment, String> {
    plausible_year(year, YEARS_WITHOUT_FORMAT).map(|()| Moment::Clock(micros, None))
}

/// The year of a date, its day since 1970, and what follows it.
fn date(text: &[u8]) -> Result<(u32, i64, &[u8]), String> {
    let shape = || "it does not begin with a date such as `2004-03-10`".to_owned();
    let (year, rest) = number(text, 4).ok_or_else(shape)?;
    let extended = rest.strip_prefix(b"-");
    let (month, rest) = number(extended.unwrap_or(rest), 2).ok_or_else(shape)?;
    if extended.is_some() && rest.is_empty() && (1..=12).contains(&month) {
        return Err("it is a month, and no day of it: `%Y-%m` reads it as its first day".to_owned());
    }
    let rest = if extended.is_some() { rest.strip_prefix(b"-").ok_or_else(shape)? } else { rest };
    let (day, rest) = number(rest, 2).ok_or_else(shape)?;
    let days = epoch_days(year, month, day);
    days.map(|days| (year, days, rest)).ok_or_else(|| "there is no such date".to_owned())
}

fn time(text: &[u8]) -> Result<(ClockTime, &[u8]), String> {
    let shape = || "a time such as `18:00:00` has to come behind its date".to_owned();
    let (hour, rest) = number(text, 2).ok_or_else(shape)?;
    let mut time = ClockTime { hour, ..ClockTime::default() };
    let extended = rest.starts_with(b":");
    let part = |rest: &'_ [u8]| -> Option<(u32, usize)> {
        let digits = if extended { rest.strip_prefix(b":")? } else { rest };
        let (found, left) = number(digits, 2)?;
        Some((found, rest.len() - left.len()))
    };
    let Some((minute, taken)) = part(rest) else {
        return if extended { Err(shape()) } else { Ok((time, rest)) };
    };
    time.minute = minute;
    let rest = &rest[taken..];
    let Some((second, taken)) = part(rest) else {
        return if extended && rest.starts_with(b":") { Err(shape()) } else { Ok((time, rest)) };
    };
    time.second = second;
    let mut rest = &rest[taken..];
    if let [b'.' | b',', digits @ ..] = rest {
        let (digits, left) = leading_digits(digits);
        if digits.is_empty() {
            return Err("a point without a fraction comes behind its seconds".to_owned());
        }
        time.micros = fraction_micros(digits);
        rest = left;
    }
    Ok((time, rest))
}

/// A number of exactly so many digits; in a row of digits, the first of them.
fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    head.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?)).map(|number| (number, rest))
}
