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

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, number);
        String::from_utf8(out).expect("ASCII")
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
