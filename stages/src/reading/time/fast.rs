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
    /// The same where each part has all its digits and blanks are one, as nearly always.
    full: FullWidth,
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
        let full = FullWidth::new(&steps);
        (0..3).all(has).then_some(FastPattern { steps, full, zone, ahead, cached_day: ([1970, 1, 1], 0) })
    }

    /// The instant of a text, and the minutes east of UTC of its clock; `None` where it has to be looked at closely.
    #[inline(always)]
    #[expect(clippy::inline_always)]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<(i64, i16)> {
        let parts = match self.full.parts(text) {
            Some(parts) => parts,
            None => self.parts(text)?,
        };
        let [year, month, day, hour, minute, second] = parts;
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
    #[inline(never)]
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

/// The places of digits and literals in a text of full width, so that none has to be looked for.
#[derive(Clone, Debug, Default)]
struct FullWidth {
    /// How long such a text is; 0 where a part has more digits than a number of 32 bits.
    width: usize,
    /// Where the digits of a part begin, how many there are, and the part.
    digits: Vec<(usize, usize, usize)>,
    literals: Vec<(usize, u8)>,
}

impl FullWidth {
    fn new(steps: &[Step]) -> FullWidth {
        let mut full = FullWidth::default();
        for step in steps {
            match *step {
                Step::Digits(_, _, most) if most > 9 => return FullWidth::default(),
                Step::Digits(part, _, most) => {
                    full.digits.push((full.width, most, part));
                    full.width += most;
                }
                Step::Literal(byte) => full.literals.push((full.width, byte)),
                Step::Blanks | Step::Gap => full.literals.push((full.width, b' ')),
            }
            full.width += usize::from(!matches!(step, Step::Digits(..)));
        }
        full
    }

    /// Year to second of a text of full width; `None` for any other text.
    #[inline]
    fn parts(&self, text: &[u8]) -> Option<[u32; 6]> {
        if text.len() != self.width || self.literals.iter().any(|(at, byte)| text.get(*at) != Some(byte)) {
            return None;
        }
        let mut parts = [0u32; 6];
        let mut is_digits = true;
        for (at, width, part) in &self.digits {
            let mut number = 0;
            for byte in text.get(*at..at + width)? {
                let digit = byte.wrapping_sub(b'0');
                is_digits &= digit < 10;
                number = number * 10 + u32::from(digit);
            }
            *parts.get_mut(*part)? = number;
        }
        is_digits.then_some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_full_width_says_the_same_by_its_places() {
        for format in ["%d/%m/%Y %H.%M.%S", "%Y%m%d%H", "%Y-%m-%dT%H:%M", "%m/%d/%Y"] {
            let pattern = Pattern::new(format).expect("a format");
            let fast = FastPattern::new(&pattern, 0, 0).expect("qualifies");
            let mut texts = vec![String::new()];
            for text in [
                "10/03/2004 18.00.00",
                "2004031018",
                "2004-03-10T18:00",
                "03/10/04",
                "1/3/2004 1.00.00",
                "2004-03-10 18:00",
            ] {
                texts.push(text.to_owned());
                // Any byte may be another one.
                texts.extend((0..text.len()).flat_map(|at| {
                    ["9", "x", " ", "/"].map(|other| format!("{}{other}{}", &text[..at], &text[at + 1..]))
                }));
            }
            for text in texts {
                let (full, any) = (fast.full.parts(text.as_bytes()), fast.parts(text.as_bytes()));
                assert!(full.is_none() || full == any, "{format} {text}: {full:?} {any:?}");
            }
            assert!(fast.full.width > 0);
        }
    }
}
