//! Decimal text to a number, correctly rounded, straight from the bytes.

/// Powers of ten that a 64-bit float holds exactly.
pub(crate) const EXACT_POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The first whole number whose successor a 64-bit float does not hold.
const EXACT_MANTISSA_LIMIT: u64 = 1 << 53;
/// Digits that a `u64` holds whatever they are.
const MANTISSA_DIGITS_MAX: usize = 19;
/// Exponents are added up to this: a number is zero or infinite long before.
const EXPONENT_MAX: i64 = 100_000;

/// The number that `text` spells, rounded to the nearest float as [`str::parse`] does it, with `decimal` (`b'.'` or
/// `b','`) between the whole and the fraction.
///
/// A sign, digits with or without a fraction (`2`, `2.`, `.5`) and an exponent are read. Nothing else is a number: no
/// separators of thousands, no blanks, no words (`inf`, `nan`), and nothing that a float cannot hold (`1e999`).
///
/// Inlined always: most of the time of a source of CSV goes here, a call costs a tenth of it, and compilers leave that to the
/// number of callers.
#[must_use]
#[inline(always)]
#[expect(clippy::inline_always)]
pub fn parse_f64(text: &[u8], decimal: u8) -> Option<f64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let scanned = scan(unsigned, decimal)?;
    // Both numbers are exact, so that their one product or quotient is rounded once (W. D. Clinger, "How to read
    // floating point numbers accurately", PLDI 1990).
    let fast = scanned.digits <= MANTISSA_DIGITS_MAX && scanned.mantissa < EXACT_MANTISSA_LIMIT;
    let power = EXACT_POWERS_OF_TEN.get(scanned.exponent.unsigned_abs() as usize);
    let number = match power {
        Some(power) if fast && scanned.exponent < 0 => scanned.mantissa as i64 as f64 / power,
        Some(power) if fast => scanned.mantissa as i64 as f64 * power,
        _ => exact(unsigned, decimal)?,
    };
    Some(if negative { -number } else { number })
}

/// The parts of a decimal: `mantissa * 10^exponent`, the mantissa wrapped beyond [`MANTISSA_DIGITS_MAX`].
struct Scanned {
    mantissa: u64,
    digits: usize,
    exponent: i64,
}

/// Checks the spelling and separates the parts.
#[inline(always)]
#[expect(clippy::inline_always)]
fn scan(text: &[u8], decimal: u8) -> Option<Scanned> {
    let mut mantissa = 0u64;
    let mut add = |byte: u8| {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        }
        digit < 10
    };
    let mut at = 0;
    while at < text.len() && add(text[at]) {
        at += 1;
    }
    let mut digits = at;
    let mut exponent = 0;
    if at < text.len() && text[at] == decimal {
        at += 1;
        let fraction = at;
        while at < text.len() && add(text[at]) {
            at += 1;
        }
        digits += at - fraction;
        exponent = -((at - fraction) as i64);
    }
    if digits == 0 {
        return None;
    }
    if at < text.len() {
        exponent += scan_exponent(&text[at..])?;
    }
    Some(Scanned { mantissa, digits, exponent })
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    let [b'e' | b'E', rest @ ..] = text else { return None };
    let (negative, digits) = match rest {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent = digits.iter().fold(0, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if negative { -exponent } else { exponent })
}

/// Parses by the standard library: the few numbers whose mantissa or exponent is too large for the fast path.
#[cold]
fn exact(text: &[u8], decimal: u8) -> Option<f64> {
    let pointed: Vec<u8> = text.iter().map(|byte| if *byte == decimal { b'.' } else { *byte }).collect();
    let number: f64 = std::str::from_utf8(&pointed).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_with_either_mark() {
        assert_eq!(parse_f64(b"2,6", b','), Some(2.6));
        assert_eq!(parse_f64(b"2.6", b'.'), Some(2.6));
        assert_eq!(parse_f64(b"-200", b','), Some(-200.0));
        assert_eq!(parse_f64(b"+0,7578", b','), Some(0.7578));
        assert_eq!(parse_f64(b",5", b','), Some(0.5));
        assert_eq!(parse_f64(b"5.", b'.'), Some(5.0));
        assert_eq!(parse_f64(b"-1,5e-3", b','), Some(-0.0015));
        assert_eq!(parse_f64(b"-0", b'.').map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(parse_f64(b"1e-999", b'.'), Some(0.0));
        assert_eq!(parse_f64(b"0000000000000000000000001.5", b'.'), Some(1.5));
    }

    #[test]
    fn what_is_no_decimal_is_no_number() {
        for text in [
            "", "-", "+", ".", "-.", "e5", ".e5", "1e", "1e+", "inf", "-inf", "infinity", "nan", "NaN", "1e999",
            "-1e999", "1,000", "1 000", "1_000", "0x10", " 1", "1 ", "--1", "1.2.3", "1e5.5", "1f", "٣",
        ] {
            assert_eq!(parse_f64(text.as_bytes(), b'.'), None, "{text:?}");
        }
        assert_eq!(parse_f64(b"2.6", b','), None, "the other decimal mark is none");
    }

    proptest! {
        #[test]
        fn every_decimal_equals_what_the_standard_library_reads(
            text in r"[+-]?[0-9]{1,25}(\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?",
            comma in any::<bool>(),
        ) {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite()).map(f64::to_bits);
            let (text, decimal) = if comma { (text.replace('.', ","), b',') } else { (text, b'.') };
            prop_assert_eq!(parse_f64(text.as_bytes(), decimal).map(f64::to_bits), expected, "{}", text);
        }

        #[test]
        fn short_decimals_equal_what_the_standard_library_reads(
            text in r"[+-]?([0-9]{0,8}|[0-9]{0,8}\.[0-9]{0,8}|[0-9.]{0,9}|[0-9.:/,; A-Za-z-]{1,9})",
            comma in any::<bool>(),
        ) {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite()).map(f64::to_bits);
            let (text, decimal) = if comma { (text.replace(',', "x").replace('.', ","), b',') } else { (text, b'.') };
            prop_assert_eq!(parse_f64(text.as_bytes(), decimal).map(f64::to_bits), expected, "{}", text);
        }

        #[test]
        fn no_eight_bytes_are_a_number_that_others_do_not_read(bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
            let text = std::str::from_utf8(&bytes).ok();
            let expected = text.and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
            prop_assert_eq!(parse_f64(&bytes, b'.').map(f64::to_bits), expected.map(f64::to_bits), "{:?}", bytes);
        }

        #[test]
        fn every_float_reads_back_as_itself(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("{number}"), format!("{number:e}")] {
                prop_assert_eq!(parse_f64(text.as_bytes(), b'.').map(f64::to_bits), Some(bits), "{}", text);
            }
        }

        #[test]
        fn bytes_that_the_standard_library_refuses_are_refused(text in r"[-+0-9.eEinfaN_ ,x]{0,12}") {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite());
            prop_assert_eq!(parse_f64(text.as_bytes(), b'.').map(f64::to_bits), expected.map(f64::to_bits));
        }
    }
}
