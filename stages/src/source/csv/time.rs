//! Timestamps as files write them.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// Microseconds since 1970 UTC, and minutes east of UTC of the clock that was read.
pub(super) type Instant = (i64, i16);

/// A clock at a fixed offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone(i16);

impl Zone {
    pub(super) const UTC: Zone = Zone(0);

    /// `UTC`, `Z`, or an offset such as `+01:00`.
    pub(crate) fn parse(text: &str) -> Result<Zone, String> {
        let wrong = || format!("`{text}` is neither UTC nor an offset");
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Ok(Zone::UTC);
        }
        let (sign, rest) = match text.as_bytes() {
            [b'+', rest @ ..] => (1, rest),
            [b'-', rest @ ..] => (-1, rest),
            _ => return Err(wrong()),
        };
        let (hours, minutes) = match rest {
            [a, b, b':', c, d] | [a, b, c, d] => (two(*a, *b), two(*c, *d)),
            [a, b] => (two(*a, *b), Some(0)),
            _ => (None, None),
        };
        let (hours, minutes) = hours.zip(minutes).filter(|(h, m)| *h < 24 && *m < 60).ok_or_else(wrong)?;
        Ok(Zone(sign * (hours as i16 * 60 + minutes as i16)))
    }

    /// Minutes east of UTC.
    pub(crate) const fn minutes(self) -> i16 {
        self.0
    }
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

/// Reads timestamps of one format.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: Zone,
    format: Format,
}

#[derive(Clone, Debug)]
enum Format {
    /// RFC 3339 or ISO 8601.
    Iso,
    /// Numbers and characters alone: read without a general parser.
    Digits(Vec<Part>),
    /// Anything else.
    General(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Clock {
    pub(super) fn new(format: Option<&str>, zone: Zone) -> Result<Clock, String> {
        let Some(format) = format else { return Ok(Clock { zone, format: Format::Iso }) };
        if let Some(parts) = digits(format) {
            return Ok(Clock { zone, format: Format::Digits(parts) });
        }
        // A moment with every part known shows whether the format is one, and whether it says enough.
        let moment = jiff::Timestamp::constant(1_078_943_415, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC);
        let text = jiff::fmt::strtime::format(format, &moment)
            .map_err(|reason| format!("this is no format of timestamps: {reason}"))?;
        let clock = Clock { zone, format: Format::General(format.to_owned()) };
        match clock.general(format, text.as_bytes()) {
            Ok(_) => Ok(clock),
            Err(reason) => Err(format!("a timestamp in this format does not say enough: {reason}")),
        }
    }

    /// Reads one.
    pub(super) fn read(&self, text: &[u8]) -> Result<Instant, String> {
        match &self.format {
            Format::Iso => self.iso(text),
            Format::Digits(parts) => self.digits(parts, text).ok_or_else(|| "it has another form".to_owned()),
            Format::General(format) => self.general(format, text),
        }
    }

    fn digits(&self, parts: &[Part], text: &[u8]) -> Option<Instant> {
        let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (0i64, 1u32, 1u32, 0u32, 0u32, 0u32);
        let mut at = 0;
        for part in parts {
            if let Part::Literal(byte) = part {
                if text.get(at) != Some(byte) {
                    return None;
                }
                at += 1;
                continue;
            }
            let most = if *part == Part::Year { 4 } else { 2 };
            let (mut value, from) = (0u32, at);
            while at < text.len() && at - from < most && text[at].is_ascii_digit() {
                value = value * 10 + u32::from(text[at] - b'0');
                at += 1;
            }
            if at == from || (*part == Part::Year && at - from != 4) {
                return None;
            }
            match part {
                Part::Year => year = i64::from(value),
                Part::Month => month = value,
                Part::Day => day = value,
                Part::Hour => hour = value,
                Part::Minute => minute = value,
                Part::Second => second = value,
                Part::Literal(_) => {}
            }
        }
        let valid = at == text.len() && hour < 24 && minute < 60 && second < 60;
        let valid = valid && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        let seconds = days_from_civil(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
        valid.then(|| ((seconds - i64::from(self.zone.0) * 60) * 1_000_000, self.zone.0))
    }

    fn iso(&self, text: &[u8]) -> Result<Instant, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
        let pieces = Pieces::parse(text).map_err(|e| e.to_string())?;
        let time = pieces.time().ok_or("it has no time of day")?;
        self.instant(pieces.date().to_datetime(time), pieces.to_numeric_offset())
    }

    fn general(&self, format: &str, text: &[u8]) -> Result<Instant, String> {
        let parts = BrokenDownTime::parse(format, text).map_err(|e| e.to_string())?;
        if let Some(offset) = parts.offset() {
            return self.instant(parts.to_datetime().map_err(|e| e.to_string())?, Some(offset));
        }
        match parts.to_datetime() {
            Ok(civil) => self.instant(civil, None),
            // Seconds since 1970 (`%s`) are no civil time.
            Err(error) => match parts.to_timestamp() {
                Ok(timestamp) => Ok((timestamp.as_microsecond(), self.zone.0)),
                Err(_) => Err(error.to_string()),
            },
        }
    }

    fn instant(&self, civil: DateTime, offset: Option<Offset>) -> Result<Instant, String> {
        let minutes = match offset {
            Some(offset) if offset.seconds() % 60 == 0 => (offset.seconds() / 60) as i16,
            Some(_) => return Err("its offset has seconds".to_owned()),
            None => self.zone.0,
        };
        let days = days_from_civil(civil.year().into(), civil.month() as u32, civil.day() as u32);
        let seconds =
            days * 86_400 + i64::from(civil.hour()) * 3600 + i64::from(civil.minute()) * 60 + i64::from(civil.second())
                - i64::from(minutes) * 60;
        Ok((seconds * 1_000_000 + i64::from(civil.subsec_nanosecond() / 1_000), minutes))
    }
}

/// The parts of a format of numbers and ASCII characters alone, each part once, with a whole date.
fn digits(format: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut bytes = format.bytes();
    while let Some(byte) = bytes.next() {
        parts.push(match byte {
            b'%' => match bytes.next()? {
                b'Y' => Part::Year,
                b'm' => Part::Month,
                b'd' => Part::Day,
                b'H' => Part::Hour,
                b'M' => Part::Minute,
                b'S' => Part::Second,
                _ => return None,
            },
            // A space matches any white space in strftime's terms, which is more than one byte says.
            byte if byte.is_ascii_graphic() || byte == b' ' => Part::Literal(byte),
            _ => return None,
        });
    }
    let once = |part: Part| parts.iter().filter(|p| **p == part).count();
    let whole = [Part::Year, Part::Month, Part::Day].iter().all(|part| once(*part) == 1);
    let rest = [Part::Hour, Part::Minute, Part::Second].iter().all(|part| once(*part) <= 1);
    (whole && rest && once(Part::Hour) == 1).then_some(parts)
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, *chrono-Compatible Low-Level Date Algorithms*).
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * i64::from(if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock(format: &str) -> Clock {
        Clock::new(Some(format), Zone::parse("+01:00").expect("a zone")).expect("a format")
    }

    #[test]
    fn the_format_of_the_data_set_is_read_without_daylight_saving() {
        let clock = clock("%d/%m/%Y %H.%M.%S");
        assert!(matches!(clock.format, Format::Digits(_)));
        assert_eq!(clock.read(b"10/03/2004 18.00.00"), Ok((1_078_938_000_000_000, 60)));
        assert_eq!(clock.read(b"28/03/2004 02.00.00"), Ok((1_080_435_600_000_000, 60)));
    }

    #[test]
    fn impossible_dates_and_other_forms_are_refused() {
        let clock = clock("%d/%m/%Y %H.%M.%S");
        for wrong in [
            "31/02/2004 00.00.00",
            "10/13/2004 18.00.00",
            "10/03/2004 24.00.00",
            "10/03/04 18.00.00",
            "10/03/2004 18:00:00",
            "10/03/2004 18.00.00 ",
            "10/03/2004",
            "",
        ] {
            assert!(clock.read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_directives_go_the_general_way() {
        assert_eq!(clock("%Y-%m-%dT%H:%M:%S%z").read(b"2004-03-10T18:00:00+0200"), Ok((1_078_934_400_000_000, 120)));
        assert_eq!(clock("%s").read(b"1078934400"), Ok((1_078_934_400_000_000, 60)));
        assert_eq!(clock("%d/%m/%Y %H:%M").read(b"10/03/2004 18:00"), Ok((1_078_938_000_000_000, 60)));
    }

    #[test]
    fn without_a_format_iso_is_read_with_its_own_offset_or_the_clock_of_the_file() {
        let clock = Clock::new(None, Zone::parse("+01:00").expect("a zone")).expect("a clock");
        assert_eq!(clock.read(b"2004-03-10T18:00:00Z"), Ok((1_078_941_600_000_000, 0)));
        assert_eq!(clock.read(b"2004-03-10 18:00:00.25"), Ok((1_078_938_000_250_000, 60)));
        assert!(clock.read(b"2004-03-10").is_err());
    }

    #[test]
    fn formats_that_are_none_or_say_too_little_are_refused() {
        for format in ["%Q", "%d/%m", "%H:%M"] {
            assert!(Clock::new(Some(format), Zone::UTC).is_err(), "{format}");
        }
    }

    #[test]
    fn zones_are_utc_or_fixed_offsets() {
        assert_eq!(Zone::parse("-03:30").map(Zone::minutes), Ok(-210));
        assert_eq!(Zone::parse("utc").map(Zone::minutes), Ok(0));
        for wrong in ["Europe/Rome", "+1", "+25:00", "01:00", ""] {
            assert!(Zone::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_general_parser(year in 1i16..=9999, month in 1i8..=12, day in 1i8..=31, second in 0i64..86_400) {
            let text = format!("{day:02}/{month:02}/{year:04} {:02}.{:02}.{:02}", second / 3600, second / 60 % 60, second % 60);
            let clock = clock("%d/%m/%Y %H.%M.%S");
            prop_assert_eq!(clock.read(text.as_bytes()).ok(), clock.general("%d/%m/%Y %H.%M.%S", text.as_bytes()).ok());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = clock("%d/%m/%Y %H.%M.%S").read(&bytes);
            let _ = clock("%A %d %B %Y %H:%M").read(&bytes);
            let _ = Clock::new(None, Zone::UTC).expect("a clock").read(&bytes);
        }
    }
}
