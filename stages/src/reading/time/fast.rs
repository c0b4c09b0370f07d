//! The fast path: formats of digits and literals alone, by a clock that never changes. Nearly all records of nearly all files take
//! it.

use super::item::Item;
use super::moment::{DAY_MICROS, SECOND_MICROS, YEARS, plausible_year};
use super::parts::Part;
use super::pattern::Pattern;
use crate::civil_date::epoch_days;

/// A step of the fast path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Digits, so many at least and at most: the index of year, month, day, hour, minute or second.
    Digits(usize, usize, usize),
    /// A byte as it is.
    Literal(u8),
    /// Blanks, or none.
    Blanks,
    /// Blanks, one at least.
    Gap,
}

const PARTS: [Part; 6] = [Part::Year, Part::Month, Part::Day, Part::Hour, Part::Minute, Part::Second];
/// The place of the hour among them.
const HOUR: usize = 3;

/// A format and a clock on the fast path.
#[derive(Clone, Debug)]
pub(super) struct FastPattern {
    steps: Vec<Step>,
    /// Minutes east of UTC.
    zone: i16,
    /// Microseconds from an instant to the text's time since 1970.
    ahead: i64,
    /// The last date and its days since 1970: most rows share it with their neighbours.
    cached_day: ([u32; 3], i64),
}

impl FastPattern {
    /// The pattern, where it qualifies; `ahead` is added to the offset of the clock in microseconds.
    pub(super) fn new(pattern: &Pattern, zone: i16, ahead: i64) -> Option<FastPattern> {
        if pattern.offset.is_some_and(|_| zone != 0) {
            return None;
        }
        let mut steps = Vec::new();
        for item in &pattern.items {
            match *item {
                Item::Number(part, least, most) => {
                    steps.push(Step::Digits(PARTS.iter().position(|known| *known == part)?, least, most));
                }
                // With all its zeros.
                Item::Clock { seconds } => {
                    let parts = if seconds { HOUR..HOUR + 3 } else { HOUR..HOUR + 2 };
                    steps.extend(parts.map(|index| Step::Digits(index, 2, 2)));
                }
                Item::Byte(byte) => steps.push(Step::Literal(byte)),
                Item::Blanks => steps.push(Step::Blanks),
                Item::Gap => steps.push(Step::Gap),
                _ => return None,
            }
        }
        let has = |index: usize| steps.iter().any(|step| matches!(step, Step::Digits(part, ..) if *part == index));
        let ahead = i64::from(zone) * 60 * SECOND_MICROS + ahead;
        (0..3).all(has).then_some(FastPattern { steps, zone, ahead, cached_day: ([1970, 1, 1], 0) })
    }

    /// The instant of a text, and the minutes east of UTC of its clock; `None` where it has to be looked at closely.
    #[inline(always)]
    #[expect(clippy::inline_always)]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<(i64, i16)> {
        let [year, month, day, hour, minute, second] = self.parts(text)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if self.cached_day.0 != [year, month, day] {
            plausible_year(year, YEARS).ok()?;
            self.cached_day = ([year, month, day], epoch_days(year, month, day)?);
        }
        let seconds = i64::from(hour * 3600 + minute * 60 + second);
        Some((self.cached_day.1 * DAY_MICROS + seconds * SECOND_MICROS - self.ahead, self.zone))
    }

    /// Year to second; whether such a time exists is not checked.
    #[inline]
    fn parts(&self, text: &[u8]) -> Option<[u32; 6]> {
        let mut parts = [0u32; 6];
        let mut rest = text;
        for step in &self.steps {
            match step {
                Step::Digits(part, least, most) => {
                    let mut number = 0;
                    let mut digits = 0;
                    while digits < *most && digits < rest.len() && rest[digits].is_ascii_digit() {
                        number = number * 10 + u32::from(rest[digits] - b'0');
                        digits += 1;
                    }
                    if digits < *least {
                        return None;
                    }
                    parts[*part] = number;
                    rest = &rest[digits..];
                }
                Step::Literal(byte) => match rest {
                    [first, others @ ..] if first == byte => rest = others,
                    _ => return None,
                },
                Step::Gap => match rest {
                    [first, ..] if first.is_ascii_whitespace() => rest = rest.trim_ascii_start(),
                    _ => return None,
                },
                Step::Blanks => rest = rest.trim_ascii_start(),
            }
        }
        rest.is_empty().then_some(parts)
    }
}
