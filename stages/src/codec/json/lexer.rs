//! JSON, token by token.
//!
//! Why not serde: its numbers arrive as `f64` only, so that the text of a number in a text field is lost, and decimals of 17
//! digits are off by a bit unless every user of serde_json in the build pays for exactness. A reader that compares the next bytes
//! with the property it expects is also twice as fast. Tests compare it with serde_json.

use std::ops::Range;

use crate::decimal::EXACT_POWERS_OF_TEN;

/// Digits of a whole number that 64 bits hold exactly, whatever they are.
const EXACT_DIGITS: usize = 15;

/// Levels of nested values, so that none overflows the stack.
const NESTING_DEPTH_MAX: u32 = 100;

/// The words for numbers that are not finite, the longer of two first.
const NOT_FINITE: [&[u8]; 4] = [b"NaN", b"Infinity", b"nan", b"inf"];

/// Where and why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// A range of the text. Half the size of a range of `usize`, for a cell is written and read for each value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TextRange {
    start: u32,
    end: u32,
}

impl TextRange {
    /// The same bytes in a text where they stand elsewhere.
    #[inline]
    pub(super) fn moved(self, by: isize) -> TextRange {
        let moved = |place: u32| (place as usize).wrapping_add_signed(by);
        TextRange::new(moved(self.start)..moved(self.end))
    }

    #[inline]
    fn new(range: Range<usize>) -> TextRange {
        // Records are below 2 GiB.
        TextRange { start: range.start as u32, end: range.end as u32 }
    }

    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A string in the text, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    pub(super) part: TextRange,
    /// Whether it has escapes: its bytes are then not its text.
    pub(super) escaped: bool,
}

/// A number in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) part: TextRange,
    /// Correctly rounded; infinite where it is too large for 64 bits.
    pub(super) value: f64,
}

pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn fail<T>(&self, expected: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, expected })
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips these bytes; returns `false` where others come next.
    #[inline]
    pub(super) fn skip(&mut self, expected: &[u8]) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Skips a byte; returns `false` where another one comes next.
    #[inline]
    pub(super) fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8, expected: &'static str) -> Result<(), SyntaxError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// After a member: whether another one follows.
    #[inline]
    pub(super) fn more(&mut self, close: u8, expected: &'static str) -> Result<bool, SyntaxError> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => self.fail(expected),
        }
    }

    /// Opens an object or an array: whether it has members.
    pub(super) fn open(&mut self, open: u8, close: u8, expected: &'static str) -> Result<bool, SyntaxError> {
        self.byte(open, expected)?;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// An object: calls `value` at the value of each member, with the member's name.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, Quoted) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let mut more = self.open(b'{', b'}', "`{`")?;
        while more {
            let name = self.name()?;
            self.space();
            value(self, name)?;
            more = self.more(b'}', "`,` or `}`")?;
        }
        Ok(())
    }

    /// An array: calls `value` at each value.
    #[inline]
    pub(super) fn array(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let mut more = self.open(b'[', b']', "`[`")?;
        while more {
            value(self)?;
            more = self.more(b']', "`,` or `]`")?;
        }
        Ok(())
    }

    /// A property's name and its colon.
    pub(super) fn name(&mut self) -> Result<Quoted, SyntaxError> {
        if self.peek() != Some(b'"') {
            return self.fail("a property's name");
        }
        let name = self.string()?;
        self.space();
        self.byte(b':', "`:`")?;
        Ok(name)
    }

    /// A string; the quote comes next.
    pub(super) fn string(&mut self) -> Result<Quoted, SyntaxError> {
        self.at += 1;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &bytes[self.at..];
            let Some(plain) = plain_bytes(rest) else {
                self.at = bytes.len();
                return self.fail("the end of a string");
            };
            self.at += plain;
            match rest[plain] {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return self.fail("no control character in a string"),
            }
        }
        self.at += 1;
        Ok(Quoted { part: TextRange::new(start..self.at - 1), escaped })
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex()?;
                match unit {
                    0xdc00..=0xdfff => return self.fail("a whole surrogate pair"),
                    0xd800..=0xdbff => {
                        let paired = self.skip(b"\\u") && (0xdc00..=0xdfff).contains(&self.hex()?);
                        if !paired {
                            return self.fail("a whole surrogate pair");
                        }
                    }
                    _ => {}
                }
            }
            _ => return self.fail("an escape"),
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, SyntaxError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.fail("four hexadecimal digits");
            };
            unit = unit << 4 | digit as u16;
            self.at += 1;
        }
        Ok(unit)
    }

    /// A number; a digit or `-` comes next.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<Number, SyntaxError> {
        let start = self.at;
        let negative = self.skip(b"-");
        let mut mantissa = 0u64;
        let whole = self.digits(&mut mantissa);
        if whole == 0 {
            return self.fail("a digit");
        }
        if whole > 1 && self.text.as_bytes()[self.at - whole] == b'0' {
            self.at -= whole;
            return self.fail("no digit after a leading zero");
        }
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return self.fail("a digit");
            }
        }
        let mut exact = whole + fraction <= EXACT_DIGITS;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(&mut 0) == 0 {
                return self.fail("a digit");
            }
            exact = false;
        }
        let range = start..self.at;
        // Up to 15 digits and a power of ten up to 22 are exact, so that one division rounds once (W. Clinger, "How to Read
        // Floating Point Numbers Accurately").
        let value = if exact {
            let value = mantissa as i64 as f64 / EXACT_POWERS_OF_TEN[fraction];
            if negative { -value } else { value }
        } else {
            self.text[range.clone()].parse().unwrap_or(f64::NAN)
        };
        Ok(Number { part: TextRange::new(range), value })
    }

    #[inline(always)]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let mut count = 0;
        for byte in &self.text.as_bytes()[self.at..] {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.at += count;
        count
    }

    /// Skips a value of any kind.
    pub(super) fn value(&mut self) -> Result<(), SyntaxError> {
        self.nested_value(0)
    }

    fn nested_value(&mut self, depth: u32) -> Result<(), SyntaxError> {
        if depth > NESTING_DEPTH_MAX {
            return self.fail("less nesting");
        }
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.finite().map(drop),
            Some(b'{') => self.object(|lexer, _| lexer.nested_value(depth + 1)),
            Some(b'[') => self.array(|lexer| lexer.nested_value(depth + 1)),
            _ if self.skip(b"null") || self.skip(b"true") || self.skip(b"false") || self.not_finite() => Ok(()),
            _ => self.fail("a value"),
        }
    }

    /// Skips a number that is not finite: no JSON, but what Python (`NaN`, `Infinity`) and C (`nan`, `inf`) write for what
    /// they have no value for.
    #[cold]
    pub(super) fn not_finite(&mut self) -> bool {
        NOT_FINITE.iter().any(|word| self.skip(word))
    }

    /// A number, or `None` for one that is negative and not finite; a digit or `-` comes next.
    #[inline(always)]
    pub(super) fn finite(&mut self) -> Result<Option<Number>, SyntaxError> {
        let start = self.at;
        match self.number() {
            Ok(number) => Ok(Some(number)),
            Err(_) if self.at == start + 1 && self.text.as_bytes()[start] == b'-' && self.not_finite() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How many bytes of a string come before its end, an escape or a control character; `None` where there is none of them.
#[inline]
fn plain_bytes(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * ONES;
    let mut start = 0;
    // Eight at once. Subtracting borrows into a byte above one that is found only, so that the lowest one is right.
    while let Some(word) = text.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let below = |bytes: u64, limit: u64| bytes.wrapping_sub(limit * ONES) & !bytes;
        let is = |byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
        let found = (below(word, u64::from(b' ')) | is(b'"') | is(b'\\')) & HIGHEST;
        if found != 0 {
            return Some(start + found.trailing_zeros() as usize / 8);
        }
        start += 8;
    }
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    text[start..].iter().position(special).map(|place| start + place)
}

/// A number at a place and its end, where it has few digits and no exponent: one division makes it exact (see [`Lexer::number`]).
/// `None` for any other one, and for what is no number.
#[inline(always)]
pub(super) fn short_number(text: &str, start: usize) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    let negative = bytes.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (mantissa, fraction, end) = match bytes.get(first..)?.first_chunk::<8>() {
        Some(word) => match WordNumber::read(u64::from_le_bytes(*word)) {
            Some(number) => (number.mantissa, number.fraction, first + number.length),
            None => return longer_number(text, start),
        },
        None => return longer_number(text, start),
    };
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        return None;
    }
    let value = f64::from(mantissa) / EXACT_POWERS_OF_TEN[fraction];
    Some((if negative { -value } else { value }, end))
}

/// The same for one that does not end within eight bytes, or has less behind it.
#[inline(never)]
fn longer_number(text: &str, start: usize) -> Option<(f64, usize)> {
    let mut lexer = Lexer { text, at: start };
    let negative = lexer.skip_byte(b'-');
    let mut mantissa = 0u64;
    let first = lexer.at;
    let whole = lexer.digits(&mut mantissa);
    let fraction = if lexer.skip_byte(b'.') { Some(lexer.digits(&mut mantissa)) } else { None };
    let is_padded = whole > 1 && text.as_bytes()[first] == b'0';
    let digits = whole + fraction.unwrap_or(0);
    let is_short = whole > 0 && fraction != Some(0) && digits <= EXACT_DIGITS && !is_padded;
    if !is_short || matches!(lexer.peek(), Some(b'e' | b'E')) {
        return None;
    }
    let value = mantissa as i64 as f64 / EXACT_POWERS_OF_TEN[fraction.unwrap_or(0)];
    Some((if negative { -value } else { value }, lexer.at))
}

/// A number without a sign that ends within eight bytes.
struct WordNumber {
    /// All its digits.
    mantissa: u32,
    /// How many of them stand behind the point.
    fraction: usize,
    /// Its bytes, at most seven.
    length: usize,
}

impl WordNumber {
    /// Reads eight bytes at once, the first one lowest: a loop over digits ends at another place for each number, and a processor
    /// that guesses where loses more than the rest takes. `None` where it is no number that the grammar of JSON allows, or a longer one.
    #[inline(always)]
    fn read(word: u64) -> Option<WordNumber> {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        // A digit becomes its value. Adding what makes ten overflow into the highest bit of a byte marks the others.
        let digits = word ^ 0x3030_3030_3030_3030;
        let others = (((digits & LOW) + 0x7676_7676_7676_7676) | digits) & !LOW;
        let whole = others.trailing_zeros() as usize / 8;
        let (digits, length, fraction) = if others != 0 && (word >> (8 * whole)) as u8 == b'.' {
            let behind = others & (others - 1);
            let end = behind.trailing_zeros() as usize / 8;
            let before_point = (1 << (8 * whole)) - 1;
            // The digits behind the point move up to those before it.
            ((digits & before_point) | (digits >> 8 & !before_point), end, Some(end - whole - 1))
        } else {
            (digits, whole, None)
        };
        let count = whole + fraction.unwrap_or(0);
        let is_padded = whole > 1 && word as u8 == b'0';
        if length > 7 || whole == 0 || fraction == Some(0) || is_padded {
            return None;
        }
        // The last digit is the highest byte; what lay behind it is gone, and zeros stand before the first.
        let digits = digits << (64 - 8 * count);
        // Pairs, then fours, then all eight.
        let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        let mantissa = (fours * 10_000 + (fours >> 32)) as u32;
        Some(WordNumber { mantissa, fraction: fraction.unwrap_or(0), length })
    }
}

impl Quoted {
    /// The text, with its escapes resolved.
    pub(super) fn text<'t>(&self, source: &'t str) -> std::borrow::Cow<'t, str> {
        let range = self.part.range();
        let raw = &source[range.clone()];
        if !self.escaped {
            return raw.into();
        }
        // The lexer has seen that the escapes are well formed.
        let quoted = &source[range.start - 1..range.end + 1];
        serde_json::from_str::<String>(quoted).map_or_else(|_| raw.into(), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_rounded_correctly_however_many_digits_they_have() {
        for text in ["0", "-0.0", "2.6", "1360.0", "0.1", "123456789012345.6", "0.30000000000000004", "1e-7", "5e-324"]
        {
            let number = Lexer::new(text).number().expect("a number");
            assert_eq!(number.value.to_bits(), text.parse::<f64>().expect("a number").to_bits(), "{text}");
            assert_eq!(number.part.range(), 0..text.len());
        }
        assert_eq!(Lexer::new("1e999").number().map(|number| number.value), Ok(f64::INFINITY));
    }

    #[test]
    fn what_is_no_number_is_named_with_its_place() {
        for (text, at) in [("-", 1), ("01", 0), ("1.", 2), ("1.e5", 2), ("1e", 2), ("1e+", 3)] {
            assert_eq!(Lexer::new(text).number().map_err(|error| error.at), Err(at), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_no_value_with_and_without_a_sign() {
        for text in ["NaN", "Infinity", "-Infinity", "-NaN", "nan", "-nan", "inf", "-inf"] {
            let array = format!("[{text},{{\"a\":{text}}}]");
            assert_eq!(Lexer::new(&array).value(), Ok(()), "{text}");
        }
        let words = ["N", "NA", "Inf", "+Infinity", "--Infinity", "- Infinity", "-", "1NaN", "1e-Infinity", "nano"];
        for array in words.map(|word| format!("[{word}]")) {
            assert!(Lexer::new(&array).value().is_err(), "{array}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        let deep = "[".repeat(100_000);
        assert_eq!(Lexer::new(&deep).value().map_err(|error| error.expected), Err("less nesting"));
    }

    proptest! {
        #[test]
        fn values_are_those_that_serde_json_takes(text in r#"[-{}\[\]:,"0-9eE+. \\u/ntd8cfalsr]{0,12}"#) {
            // Which is no JSON, and is taken all the same.
            prop_assume!(!text.contains("nan"));
            let mut lexer = Lexer::new(&text);
            lexer.space();
            let ours = lexer.value().is_ok_and(|()| { lexer.space(); lexer.at == text.len() });
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let too_large = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
            prop_assert!(ours == theirs.is_ok() || too_large, "{}: {:?}", text, theirs);
        }

        #[test]
        fn short_numbers_are_those_of_the_longer_way(
            text in r"-?([0-9]{0,10}|[0-9]{0,9}\.[0-9]{0,9}|[0-9.eE+-]{0,9})[ ,}\]]{0,3}",
        ) {
            let mut longer = Lexer::new(&text);
            let number = match longer.peek() {
                Some(b'-' | b'0'..=b'9') => longer.number().ok(),
                _ => None,
            };
            match short_number(&text, 0) {
                Some((value, end)) => {
                    prop_assert_eq!(number.map(|number| number.value.to_bits()), Some(value.to_bits()), "{}", &text);
                    prop_assert_eq!(end, longer.at);
                }
                None => {
                    let is_short = text.len() < 15 && !text.contains(['e', 'E']);
                    prop_assert!(!(is_short && number.is_some()), "{}", &text);
                }
            }
        }

        #[test]
        fn plain_bytes_end_at_the_first_that_is_none(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(0xff), Just(b' '), Just(0x1f)], 0..30),
        ) {
            let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
            prop_assert_eq!(plain_bytes(&bytes), bytes.iter().position(special));
        }

        #[test]
        fn strings_are_those_that_serde_json_reads(text in any::<String>(), ascii in any::<bool>()) {
            let mut quoted = serde_json::to_string(&text).expect("a text");
            if ascii {
                quoted = quoted.chars().flat_map(|c| {
                    let mut units = [0; 2];
                    let escape = |units: &[u16]| units.iter().map(|unit| format!("\\u{unit:04X}")).collect::<String>();
                    if c.is_ascii() { c.to_string() } else { escape(c.encode_utf16(&mut units)) }.chars().collect::<Vec<_>>()
                }).collect();
            }
            let string = Lexer::new(&quoted).string().expect("a string");
            prop_assert_eq!(string.text(&quoted), text);
        }
    }
}
