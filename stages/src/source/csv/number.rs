//! Decimal numbers, read exactly from bytes.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The integers up to here are doubles exactly.
const EXACT: u64 = 1 << 53;
/// A mantissa of so many digits fits 64 bits.
const DIGITS: usize = 19;

/// The number that a cell holds, correctly rounded: an optional sign, digits with at most one decimal mark among them,
/// an optional exponent. `None` for anything else, and for what is beyond the range of a double.
///
/// Where mantissa and power of ten are both exact, one operation rounds once and so correctly (W. D. Clinger, *How to
/// read floating point numbers accurately*, PLDI 1990); else the standard library reads it.
pub(super) fn parse(cell: &[u8], decimal: u8) -> Option<f64> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mut mantissa, mut seen, mut fraction, mut marked) = (0u64, 0usize, 0i32, false);
    let mut at = 0;
    for byte in digits {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                seen += 1;
                fraction += i32::from(marked);
            }
            _ if *byte == decimal && !marked => marked = true,
            _ => break,
        }
        at += 1;
    }
    if seen == 0 {
        return None;
    }
    let exponent = match &digits[at..] {
        [] => 0,
        [b'e' | b'E', rest @ ..] => exponent(rest)?,
        _ => return None,
    };
    let power = exponent.saturating_sub(fraction);
    if seen <= DIGITS && mantissa <= EXACT && (-22..=22).contains(&power) {
        let scale = POWERS[power.unsigned_abs() as usize];
        let value = if power < 0 { mantissa as f64 / scale } else { mantissa as f64 * scale };
        return Some(if negative { -value } else { value });
    }
    slow(cell, decimal)
}

fn exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        digits.iter().fold(0i32, |value, digit| value.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    Some(if negative { -value } else { value })
}

#[cold]
fn slow(cell: &[u8], decimal: u8) -> Option<f64> {
    let pointed: Vec<u8> = cell.iter().map(|byte| if *byte == decimal { b'.' } else { *byte }).collect();
    std::str::from_utf8(&pointed).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_with_their_own_decimal_mark_and_nothing_else_is() {
        assert_eq!(parse(b"2,6", b','), Some(2.6));
        assert_eq!(parse(b"-0,7578", b','), Some(-0.7578));
        assert_eq!(parse(b"+1.5e3", b'.'), Some(1500.0));
        assert_eq!(parse(b".5", b'.'), Some(0.5));
        assert_eq!(parse(b"5.", b'.'), Some(5.0));
        for wrong in ["", "-", ".", "2.6,", "1,2,3", "1e", "1e+", "0x10", "inf", "nan", "1e999", "1 2", "1_000", "e5"] {
            assert_eq!(parse(wrong.as_bytes(), b','), None, "{wrong}");
        }
        assert_eq!(parse(b"2.6", b','), None, "a point is not a decimal mark where a comma is");
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(text in "[-+]?[0-9]{0,25}(\\.[0-9]{0,25})?(e[-+]?[0-9]{1,3})?") {
            let standard = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(parse(text.as_bytes(), b'.').map(f64::to_bits), standard.map(f64::to_bits));
        }

        #[test]
        fn every_double_comes_back_from_its_text(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            prop_assert_eq!(parse(format!("{value:e}").as_bytes(), b'.').map(f64::to_bits), Some(value.to_bits()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes, b'.');
        }
    }
}
