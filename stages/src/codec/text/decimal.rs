//! Numbers as text.

/// Appends the shortest decimal that reads back as exactly this number: `1360.0`, `0.1`, `1e-7`. A number always has
/// a point or an exponent, so that a reader that guesses types calls every column of measurements one of floats.
///
/// Appends nothing and returns `false` for a number that is not finite, which has no decimal.
#[inline]
pub fn write_number(out: &mut Vec<u8>, number: f64) -> bool {
    let magnitude = number.abs();
    if magnitude < SHORT_MAX {
        let scaled = (magnitude * SHORT_SCALE + 0.5) as i64;
        // What divides back has at most 13 digits. No other decimal of up to 15 reads back as the same number, so that it is the
        // shortest once its last zeros are gone.
        if scaled as f64 / SHORT_SCALE == magnitude {
            if magnitude < SHORTER_MAX {
                write_shorter(out, number.is_sign_negative(), scaled as u32);
            } else {
                write_short(out, number.is_sign_negative(), scaled as u64);
            }
            return true;
        }
    }
    write_shortest(out, number)
}

/// Numbers below this one may have a short decimal: its whole part fits 32 bits.
const SHORT_MAX: f64 = 1e9;
/// A short decimal is a whole number divided by this: measurements rarely have more than four places.
const SHORT_SCALE: f64 = 1e4;
/// Those below this one have eight digits, with zeros before them and behind, which fit a word.
const SHORTER_MAX: f64 = 1e4;
/// Bytes that are copied of one: the longest has nine.
const SHORTER_BYTES: usize = 12;
/// Bytes of the longest short decimal, `-999999999.9999`, and one.
const SHORT_BYTES_MAX: usize = 16;
/// Where its point stands while it is written.
const SHORT_POINT: usize = 11;

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Appends `scaled / 10000` as a decimal, which is below [`SHORTER_MAX`], without a branch but that of the sign: how many digits a
/// measurement has would be guessed wrong for each other one.
#[inline]
fn write_shorter(out: &mut Vec<u8>, is_negative: bool, scaled: u32) {
    let digits = eight_digits(scaled);
    // A zero before the point stays, and one behind it.
    let start = (digits as u32 & 0x00ff_ffff | 0x0100_0000).trailing_zeros() as usize / 8;
    let last = 8 - ((digits >> 32) as u32 | 1).leading_zeros() as usize / 8;
    let [w0, w1, w2, w3, p0, p1, p2, p3] = (digits | 0x3030_3030_3030_3030).to_le_bytes();
    let text = [w0, w1, w2, w3, b'.', p0, p1, p2, p3, 0, 0, 0, 0, 0, 0, 0];
    if is_negative {
        out.push(b'-');
    }
    let end = out.len() + 1 + last - start;
    let fixed: &[u8; SHORTER_BYTES] = text[start..].first_chunk().unwrap_or(&[0; SHORTER_BYTES]);
    out.extend_from_slice(fixed);
    out.truncate(end);
}

/// The eight decimal digits of a number below 10^8, a byte each, the first one lowest: halves, their halves, and single digits, all
/// at once, each division a multiplication that is exact for numbers of that size.
#[inline]
fn eight_digits(number: u32) -> u64 {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

/// Appends `scaled / 10000` as a decimal, which is below [`SHORT_MAX`].
#[inline]
fn write_short(out: &mut Vec<u8>, is_negative: bool, scaled: u64) {
    let (mut whole, places) = ((scaled / 10_000) as u32, (scaled % 10_000) as u32);
    let mut text = [b'0'; SHORT_POINT + SHORT_BYTES_MAX];
    let mut start = SHORT_POINT;
    while whole >= 100 {
        [text[start - 2], text[start - 1]] = PAIRS[(whole % 100) as usize];
        (whole, start) = (whole / 100, start - 2);
    }
    let [tens, ones] = PAIRS[whole as usize];
    (text[start - 2], text[start - 1]) = (tens, ones);
    start -= if whole >= 10 { 2 } else { 1 };
    if is_negative {
        start -= 1;
        text[start] = b'-';
    }
    text[SHORT_POINT] = b'.';
    [text[SHORT_POINT + 1], text[SHORT_POINT + 2]] = PAIRS[(places / 100) as usize];
    [text[SHORT_POINT + 3], text[SHORT_POINT + 4]] = PAIRS[(places % 100) as usize];
    // One place is written where it is zero, too.
    let places = match (places % 100, places % 1000) {
        (_, 0) => 1,
        (0, _) => 2,
        (hundredths, _) => 3 + usize::from(hundredths % 10 != 0),
    };
    let end = out.len() + (SHORT_POINT + 1 + places - start);
    // A copy of a fixed length is two moves.
    let fixed: &[u8; SHORT_BYTES_MAX] = text[start..].first_chunk().unwrap_or(&[0; SHORT_BYTES_MAX]);
    out.extend_from_slice(fixed);
    out.truncate(end);
}

/// Appends the shortest decimal of any number that is finite.
#[inline(never)]
fn write_shortest(out: &mut Vec<u8>, number: f64) -> bool {
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
    use proptest::prelude::*;

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
    fn is_shortest(value: f64) {
        let mut shortest = Vec::new();
        assert!(write_shortest(&mut shortest, value));
        assert_eq!(number(value), String::from_utf8(shortest).expect("ASCII"), "{value:e}");
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        let numbers = (0..=99_999_999).step_by(101).chain(0..100_000).chain([99_999_999]);
        for number in numbers {
            let digits = (eight_digits(number) | 0x3030_3030_3030_3030).to_le_bytes();
            assert_eq!(digits, *format!("{number:08}").as_bytes());
        }
    }

    #[test]
    fn short_decimals_are_the_shortest() {
        // Each whole number of ten-thousandths up to 300, and those around each power of ten.
        for scaled in 0..3_000_000_u32 {
            is_shortest(f64::from(scaled) / 1e4);
        }
        for power in 0..=17 {
            for around in -20_000..20_000_i64 {
                let value = (10_i64.pow(power) + around) as f64 / 1e4;
                is_shortest(value);
                is_shortest(-value);
            }
        }
        for exact in [SHORT_MAX, SHORT_MAX - 1e-4, 999_999_999.999_9, 0.00005, 0.00004, 5e-324, f64::MAX, f64::MIN] {
            for value in [exact, exact.next_up(), exact.next_down()].into_iter().filter(|value| value.is_finite()) {
                is_shortest(value);
                is_shortest(-value);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_number_is_written_as_the_shortest_decimal(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            is_shortest(value);
        }

        #[test]
        fn decimals_of_some_places_and_their_neighbours_are_written_as_the_shortest(
            scaled in -200_000_000_000_000i64..200_000_000_000_000,
            divisor in 0u32..10,
            places in 0i32..=6,
        ) {
            let value = (scaled / 10_i64.pow(divisor)) as f64 / 10_f64.powi(places);
            let neighbours = [value, value.next_up(), value.next_down()];
            // What arithmetic makes of a decimal may not be the nearest number to one.
            let computed = [value + 0.1, value * 0.1, value * 3.0, value / 3.0];
            neighbours.into_iter().chain(computed).for_each(is_shortest);
        }
    }
}
