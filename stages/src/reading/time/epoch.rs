//! Numbers since 1970: seconds, milliseconds, microseconds or nanoseconds, digit by digit, so that no float rounds them.

use super::clock_time::leading_digits;
use super::moment::{DAY_MICROS, SECOND_MICROS};
use super::serial_day;

/// The unit of a number since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EpochUnit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// The units with the names of their formats.
pub(super) const UNITS: [(&str, EpochUnit); 4] = [
    ("unix", EpochUnit::Seconds),
    ("unix_ms", EpochUnit::Millis),
    ("unix_us", EpochUnit::Micros),
    ("unix_ns", EpochUnit::Nanos),
];

/// The years 1990 to 2099: times in which there is a continuous measurement to read.
pub(super) const PLAUSIBLE_MICROS: std::ops::Range<i64> = 631_152_000 * SECOND_MICROS..4_102_444_800 * SECOND_MICROS;
/// The years 0 to 2199. A number that gives a later time is of another unit, or no number since 1970 at all.
const YEARS_MICROS: std::ops::Range<i64> = -62_167_219_200 * SECOND_MICROS..7_258_118_400 * SECOND_MICROS;
/// Digits of a number before its fraction that are looked at: a 64-bit number of nanoseconds has no more.
const DIGITS_MAX: i32 = 19;

impl EpochUnit {
    fn exponent(self) -> i32 {
        match self {
            EpochUnit::Seconds => 6,
            EpochUnit::Millis => 3,
            EpochUnit::Micros => 0,
            EpochUnit::Nanos => -3,
        }
    }

    /// The name of its format.
    pub(super) fn name(self) -> &'static str {
        UNITS.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }

    /// The instant that a whole text is a number for, in microseconds since 1970.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn parse(self, text: &[u8]) -> Result<i64, String> {
        let not_a_number = || "it is no number".to_owned();
        let (number, rest) = Decimal::leading(text).ok_or_else(not_a_number)?;
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', digits @ ..] => {
                let exponent = exponent(digits).ok_or_else(not_a_number)?;
                // `1.7118432E9` is how Java writes a number, with all digits that it has; `1.71E+09` is what spreadsheets and
                // `printf` make of one, rounded.
                if digits.starts_with(b"+") && i32::try_from(number.fraction.len()).is_ok_and(|has| has < exponent) {
                    return Err(
                        "its exponent stands for digits that are lost: the cell has to be a plain number where it is \
                                written"
                            .to_owned(),
                    );
                }
                exponent
            }
            _ => return Err(not_a_number()),
        };
        let micros = self.micros(number, exponent)?;
        number.check_digits(micros, text)?;
        // A number of a coarser unit gives a time shortly after 1970.
        let coarser = UNITS.iter().filter(|(_, unit)| unit.exponent() > self.exponent());
        for (name, unit) in coarser.rev() {
            let other = number.scaled(unit.exponent() + exponent);
            if micros < PLAUSIBLE_MICROS.start && other.is_some_and(|other| PLAUSIBLE_MICROS.contains(&other)) {
                return Err(format!("it would be a time near 1970, and it is one of today as \"{name}\""));
            }
        }
        if self == EpochUnit::Nanos && number.has_digits_below(self.exponent().saturating_add(exponent)) {
            return Err(
                "it has nanoseconds that are no whole microsecond, which times are kept to: they have to be rounded \
                        where it is written"
                    .to_owned(),
            );
        }
        Ok(micros)
    }

    /// The instant of a number that a text begins with, and the rest of it.
    pub(super) fn leading(self, text: &[u8]) -> Option<(Result<i64, String>, &[u8])> {
        let (number, rest) = Decimal::leading(text)?;
        Some((self.micros(number, 0), rest))
    }

    fn micros(self, number: Decimal<'_>, exponent: i32) -> Result<i64, String> {
        let micros = number.scaled(self.exponent().saturating_add(exponent));
        micros.filter(|micros| YEARS_MICROS.contains(micros)).ok_or_else(|| {
            format!("as \"{}\" it would be a time after the year 2199, or before the year 0", self.name())
        })
    }
}

fn exponent(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    // More digits are no number that anyone writes.
    if !(1..=3).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

/// A decimal number as text.
#[derive(Clone, Copy, Debug)]
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    /// The number that a text begins with, and the rest of it.
    fn leading(text: &'a [u8]) -> Option<(Decimal<'a>, &'a [u8])> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (whole, rest) = leading_digits(unsigned);
        if whole.is_empty() {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => leading_digits(rest),
            // `1,711` may be a thousand with its separator.
            [b',', rest @ ..] if whole.len() > 3 => leading_digits(rest),
            _ => (&[][..], rest),
        };
        Some((Decimal { negative, whole, fraction }, rest))
    }

    /// Whether something of it is lost where the number times that power of ten is made a whole one.
    fn has_digits_below(self, power: i32) -> bool {
        let places = i64::try_from(self.whole.len()).unwrap_or(i64::MAX).saturating_add(i64::from(power));
        let kept = usize::try_from(places).unwrap_or(0);
        self.whole.iter().chain(self.fraction).skip(kept).any(|digit| *digit != b'0')
    }

    /// Refuses what is no number since 1970, by its digits and the time that they would be.
    fn check_digits(self, micros: i64, text: &[u8]) -> Result<(), String> {
        let is_early = micros < PLAUSIBLE_MICROS.start;
        if is_early && let Some(told) = serial_day::told(text) {
            return Err(told);
        }
        if self.fraction.is_empty() && !self.negative && spells_a_date(self.whole) && (is_early || micros > tomorrow())
        {
            let year = if is_early { "near 1970" } else { "to come" };
            return Err(format!("it would be a time {year}, and its digits are those of a date"));
        }
        Ok(())
    }

    /// The number times that power of ten, rounded to a whole one (halves away from zero); `None` where it is too large.
    fn scaled(self, power: i32) -> Option<i64> {
        let mut digits = self.whole.iter().chain(self.fraction).map(|digit| i64::from(digit - b'0'));
        let zeros = self.whole.iter().chain(self.fraction).take_while(|digit| **digit == b'0').count();
        if zeros == self.whole.len() + self.fraction.len() {
            return Some(0);
        }
        let places = i32::try_from(self.whole.len()).ok()?.checked_add(power)?;
        let zeros = i32::try_from(zeros).ok()?;
        if places - zeros > DIGITS_MAX {
            return None;
        }
        if places < 0 {
            return Some(0);
        }
        let mut number = 0_i64;
        for _ in 0..places {
            number = number.checked_mul(10)?.checked_add(digits.next().unwrap_or(0))?;
        }
        number = number.checked_add(i64::from(digits.next().unwrap_or(0) >= 5))?;
        Some(if self.negative { -number } else { number })
    }
}

/// Whether digits are a date without separators: YYYYMMDD, YYMMDDHH, and these with hours, minutes and seconds behind.
fn spells_a_date(digits: &[u8]) -> bool {
    let two = |at: usize| {
        digits.get(at..at + 2).map_or(u32::MAX, |two| u32::from(two[0] - b'0') * 10 + u32::from(two[1] - b'0'))
    };
    let is_date = |at: usize| {
        let parts = [(1, 12), (1, 31), (0, 24), (0, 59), (0, 60)];
        parts.iter().enumerate().all(|(index, (least, most))| {
            let at = at + index * 2;
            at >= digits.len() || (*least..=*most).contains(&two(at))
        })
    };
    match digits.len() {
        8 | 10 | 12 => is_date(2) || ((1990..=2099).contains(&(two(0) * 100 + two(2))) && is_date(4)),
        14 => (1990..=2099).contains(&(two(0) * 100 + two(2))) && is_date(4),
        _ => false,
    }
}

/// A day from now, in microseconds since 1970: a record that is of later has a false time. Only digits that are a date as well
/// are held against it.
fn tomorrow() -> i64 {
    jiff::Timestamp::now().as_microsecond().saturating_add(DAY_MICROS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_rounded_to_microseconds_digit_by_digit() {
        let (s, ms, us) = (EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros);
        for (unit, text, micros) in [
            (s, "0", 0),
            (s, "1711843200", 1_711_843_200_000_000),
            (s, "1711843320.5", 1_711_843_320_500_000),
            (s, "1711843320,25", 1_711_843_320_250_000),
            (s, "1711843320.123456499", 1_711_843_320_123_456),
            (s, "1711843320.1234565", 1_711_843_320_123_457),
            (s, "1711843320.0000001", 1_711_843_320_000_000),
            (s, "-1.5", -1_500_000),
            (s, "-0.0000005", -1),
            (s, "1.7118432E9", 1_711_843_200_000_000),
            (s, "1.711843200250e+9", 1_711_843_200_250_000),
            (s, "00000000001711843200", 1_711_843_200_000_000),
            (ms, "1711843200250", 1_711_843_200_250_000),
            (ms, "1711843200250.75", 1_711_843_200_250_750),
            (us, "1711843200250001", 1_711_843_200_250_001),
            (us, "1711843200250001.5", 1_711_843_200_250_002),
        ] {
            assert_eq!(unit.parse(text.as_bytes()), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_of_another_unit_is_refused() {
        let refused = |unit: EpochUnit, text: &str| unit.parse(text.as_bytes()).expect_err(text);
        for text in ["", "-", "x", "1711843200x", "1,711", "1 711 843 200", ".5", "1e", "1e1000", "0x10", "NaN"] {
            refused(EpochUnit::Seconds, text);
        }
        assert!(refused(EpochUnit::Seconds, "201911052300").contains("after the year 2199"));
        assert!(refused(EpochUnit::Seconds, "99999999999999999999999").contains("after the year 2199"));
        assert!(refused(EpochUnit::Millis, "1711843200").contains("one of today as \"unix\""));
        assert!(refused(EpochUnit::Micros, "1711843200250").contains("one of today as \"unix_ms\""));
        assert!(refused(EpochUnit::Micros, "1711843200").contains("one of today as \"unix\""));
        assert_eq!(EpochUnit::Seconds.parse(b"86400"), Ok(86_400_000_000), "a clock that nobody set");
    }

    #[test]
    fn numbers_that_a_spreadsheet_rounded_are_refused() {
        for text in ["1.70E+09", "1.70407E+09", "2E+9", "1.711843e+09"] {
            let reason = EpochUnit::Seconds.parse(text.as_bytes()).expect_err(text);
            assert!(reason.contains("digits that are lost"), "{text}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn a_number_of_microseconds_is_read_exactly_in_every_unit(micros in 631_152_000_000_000_i64..4_102_444_800_000_000) {
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            prop_assert_eq!(EpochUnit::Seconds.parse(format!("{seconds}.{rest:06}").as_bytes()), Ok(micros));
            let (millis, rest) = (micros / 1_000, micros % 1_000);
            prop_assert_eq!(EpochUnit::Millis.parse(format!("{millis}.{rest:03}").as_bytes()), Ok(micros));
            prop_assert_eq!(EpochUnit::Micros.parse(micros.to_string().as_bytes()), Ok(micros));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.,eE]{0,40}") {
            for (_, unit) in UNITS {
                let _ = unit.parse(text.as_bytes());
            }
        }
    }
}
