//! From text to instants by the formats of `strftime`, with a fast path for formats of digits alone.

use jiff::civil::{Date, Time, date};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use crate::civil_date::epoch_days;
use crate::codec::text::parse_timestamp;

const SECOND_MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// A part of a format on the fast path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FormatStep {
    /// Digits: the index of year, month, day, hour, minute or second.
    Digits(usize),
    /// A byte as it is.
    Literal(u8),
    /// Blanks, or none.
    Blanks,
    /// The separator of date and time in ISO 8601: `T` or a blank.
    DateTimeSeparator,
}

const YEAR: usize = 0;
const DIRECTIVES: [u8; 6] = *b"YmdHMS";

/// How the timestamps of a source are written.
#[derive(Clone, Debug)]
pub(super) struct TimeFormat {
    /// `None`: ISO 8601 or RFC 3339.
    format: Option<String>,
    /// The format for the fast path, if it qualifies.
    steps: Option<Vec<FormatStep>>,
    /// Minutes east of UTC of times without an offset.
    zone: i16,
    /// The last date and its days since 1970: most rows share it with their neighbours.
    cached_day: ([u32; 3], i64),
}

impl TimeFormat {
    /// A format of `strftime`, or ISO 8601. Times without an offset are by a clock `zone` minutes east of UTC.
    ///
    /// # Errors
    /// Where the format has a directive that no time can be read by, or is not enough for a date.
    pub(super) fn new(format: Option<&str>, zone: i16) -> Result<TimeFormat, String> {
        let steps = match format {
            Some(format) => compile(format),
            None => compile("%Y-%m-%d %H:%M:%S").map(|mut steps| {
                steps
                    .iter_mut()
                    .filter(|step| **step == FormatStep::Blanks)
                    .for_each(|step| *step = FormatStep::DateTimeSeparator);
                steps
            }),
        };
        let made = TimeFormat { format: format.map(str::to_owned), steps, zone, cached_day: ([1970, 1, 1], 0) };
        if let Some(format) = format {
            made.check_round_trip(format)?;
        }
        Ok(made)
    }

    /// Writes a time by the format and parses it: a format that fails with this text fails with any.
    fn check_round_trip(&self, format: &str) -> Result<(), String> {
        if format.contains("%Q") || format.contains("%:Q") {
            return Err("`%Q` (a zone's name) is not read; an offset is, by `%z` or `%:z`".to_owned());
        }
        let instant = Offset::UTC.to_timestamp(date(2004, 11, 23).at(18, 45, 37, 0)).map_err(|e| e.to_string())?;
        let text = BrokenDownTime::from(instant).to_string(format).map_err(|e| e.to_string())?;
        self.by_directives(format, text.as_bytes()).map(|_| ())
    }

    /// The instant of a text in microseconds since 1970 UTC, and the minutes east of UTC of its clock.
    ///
    /// # Errors
    /// Why it is no time of this format.
    #[inline]
    pub(super) fn parse(&mut self, text: &[u8]) -> Result<(i64, i16), String> {
        if let Some(steps) = &self.steps
            && let Some(parts) = parse_fast(steps, text)
            && let Some(seconds) = seconds(parts, &mut self.cached_day)
        {
            return Ok(((seconds - i64::from(self.zone) * 60) * SECOND_MICROS, self.zone));
        }
        self.parse_slow(text)
    }

    #[cold]
    fn parse_slow(&self, text: &[u8]) -> Result<(i64, i16), String> {
        match &self.format {
            Some(format) => self.by_directives(format, text),
            None => self.by_iso(text),
        }
    }

    fn by_directives(&self, format: &str, text: &[u8]) -> Result<(i64, i16), String> {
        let time = BrokenDownTime::parse(format, text).map_err(|e| e.to_string())?;
        let offset = time.offset();
        if let Some(instant) = time.timestamp() {
            return Ok((instant.as_microsecond(), offset.map_or(self.zone, minutes)));
        }
        let civil = time.to_datetime().map_err(|e| e.to_string())?;
        self.instant(civil.date(), civil.time(), offset)
    }

    fn by_iso(&self, text: &[u8]) -> Result<(i64, i16), String> {
        if let Ok(time) = parse_timestamp(text) {
            return Ok(time);
        }
        let pieces = Pieces::parse(text).map_err(|e| e.to_string())?;
        let offset = pieces.to_numeric_offset();
        if offset.is_none() && pieces.time_zone_annotation().is_some() {
            return Err("it names a zone and no offset".to_owned());
        }
        self.instant(pieces.date(), pieces.time().unwrap_or_default(), offset)
    }

    fn instant(&self, date: Date, time: Time, offset: Option<Offset>) -> Result<(i64, i16), String> {
        let zone = || Offset::from_seconds(i32::from(self.zone) * 60).map_err(|e| e.to_string());
        let offset = offset.map_or_else(zone, Ok)?;
        let instant = offset.to_timestamp(date.to_datetime(time)).map_err(|e| e.to_string())?;
        Ok((instant.as_microsecond(), minutes(offset)))
    }

    /// What a text should be, for messages.
    pub(super) fn expectation(&self) -> String {
        match &self.format {
            Some(format) => format!("a time of the format `{format}`"),
            None => "a time of ISO 8601 such as `2004-03-10T18:00:00`".to_owned(),
        }
    }
}

fn minutes(offset: Offset) -> i16 {
    // An offset is less than 26 hours.
    offset.seconds().div_euclid(60) as i16
}

/// The steps of a format on the fast path: digits and literals alone, each part at most once, and a full date.
fn compile(format: &str) -> Option<Vec<FormatStep>> {
    let expanded = format.replace("%T", "%H:%M:%S").replace("%F", "%Y-%m-%d").replace("%R", "%H:%M");
    let mut steps = Vec::new();
    let mut bytes = expanded.bytes();
    while let Some(byte) = bytes.next() {
        steps.push(match byte {
            b'%' => {
                let directive = bytes.next()?;
                FormatStep::Digits(DIRECTIVES.iter().position(|cached_day| *cached_day == directive)?)
            }
            blank if blank.is_ascii_whitespace() => FormatStep::Blanks,
            literal => FormatStep::Literal(literal),
        });
    }
    let times = |part: usize| steps.iter().filter(|step| **step == FormatStep::Digits(part)).count();
    let dated = (0..3).all(|part| times(part) == 1);
    // An hour is needed for a minute, and a minute for a second: other formats take the slow path.
    let timed = (3..6).all(|part| times(part) <= 1 && (part == 3 || times(part) <= times(part - 1)));
    (dated && timed).then_some(steps)
}

/// Year to second, each with at most its number of digits; whether such a time exists is not checked.
#[inline]
fn parse_fast(steps: &[FormatStep], text: &[u8]) -> Option<[u32; 6]> {
    let mut parts = [0u32; 6];
    let mut rest = text;
    for step in steps {
        match step {
            FormatStep::Digits(part) => {
                let most = if *part == YEAR { 4 } else { 2 };
                let mut number = 0;
                let mut digits = 0;
                while digits < most && digits < rest.len() && rest[digits].is_ascii_digit() {
                    number = number * 10 + u32::from(rest[digits] - b'0');
                    digits += 1;
                }
                if digits == 0 || (*part == YEAR && digits < 4) {
                    return None;
                }
                parts[*part] = number;
                rest = &rest[digits..];
            }
            FormatStep::Literal(byte) => match rest {
                [first, others @ ..] if first == byte => rest = others,
                _ => return None,
            },
            FormatStep::Blanks => rest = rest.trim_ascii_start(),
            FormatStep::DateTimeSeparator => match rest {
                [b'T' | b't' | b' ', others @ ..] => rest = others,
                _ => return None,
            },
        }
    }
    rest.is_empty().then_some(parts)
}

/// Seconds since 1970 by the clock of the parts, if such a time exists.
#[inline]
fn seconds(parts: [u32; 6], cached_day: &mut ([u32; 3], i64)) -> Option<i64> {
    let [year, month, day, hour, minute, second] = parts;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if cached_day.0 != [year, month, day] {
        *cached_day = ([year, month, day], epoch_days(year, month, day)?);
    }
    Some(cached_day.1 * DAY_SECONDS + i64::from(hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests;
