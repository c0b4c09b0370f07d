//! Numbers as text.

/// Appends the shortest decimal that reads back as exactly this number: `1360.0`, `0.1`, `1e-7`. A number always has
/// a point or an exponent, so that a reader that guesses types calls every column of measurements one of floats.
///
/// Appends nothing and returns `false` for a number that is not finite, which has no decimal.
#[inline]
pub fn write_number(out: &mut Vec<u8>, number: f64) -> bool {
    if number.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
    number.is_finite()
}

/// Appends a number that is a code: without a point where it is whole, so that it is an integer to every reader.
#[inline]
pub fn write_code(out: &mut Vec<u8>, number: f64) -> bool {
    // The minus of a negative zero is no integer's.
    if number.fract() != 0.0 || number.abs() > WHOLE_MAX || number.to_bits() == (-0.0_f64).to_bits() {
        return write_number(out, number);
    }
    match number as i64 {
        small @ 0..=9 => out.push(b'0' + small as u8),
        small @ 10..=99 => out.extend_from_slice(&[b'0' + (small / 10) as u8, b'0' + (small % 10) as u8]),
        large => out.extend_from_slice(large.to_string().as_bytes()),
    }
    true
}

/// Up to here every whole number is a float, and every reader's integer.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, number);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn codes_are_integers_where_they_are_whole() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0.0"),
            (7.0, "7"),
            (23.0, "23"),
            (-1.0, "-1"),
            (365.0, "365"),
            (0.5, "0.5"),
            (6.123233995736766e-17, "6.123233995736766e-17"),
            (1e300, "1e+300"),
            (f64::NAN, ""),
            (f64::INFINITY, ""),
        ] {
            let mut out = Vec::new();
            assert_eq!(write_code(&mut out, number), number.is_finite());
            assert_eq!(String::from_utf8(out).expect("ASCII"), text);
        }
    }

    #[test]
    fn numbers_are_floats_to_a_reader_that_guesses() {
        assert_eq!(number(1360.0), "1360.0");
        assert_eq!(number(0.1), "0.1");
        assert_eq!(number(-0.0), "-0.0");
        assert_eq!(number(f64::NAN), "");
        for value in [1e300, 5e-324, 1e21, 123456789012345680.0] {
            let text = number(value);
            assert!(text.contains(['.', 'e']), "{text}");
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
        }
    }
}
