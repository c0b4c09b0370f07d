//! Numbers in few bytes, as they are saved.

use aqpipe_engine::Result;

use super::damaged::damaged;

/// Powers of ten by which values become whole numbers: readings have few decimals.
pub(super) const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Stands for values that are no decimals of few places.
const RAW: u8 = SCALES.len() as u8;
/// Beyond it, not every whole number is a value at the largest scale. One bound for all scales: a value that fits at one of them
/// fits at all larger ones.
const VALUE_MAX: f64 = 9_007_199_254_740_992.0 / 10_000.0;

/// The whole number that stands for a value, where it gives the same value back.
#[inline]
pub(super) fn scaled(value: f64, scale: f64) -> Option<i64> {
    let number = rounded(value * scale);
    (value.abs() < VALUE_MAX && (number as f64 / scale).to_bits() == value.to_bits()).then_some(number)
}

/// The nearest whole number. What lies beyond, and a zero with a sign, does not come back and is none.
#[inline]
fn rounded(value: f64) -> i64 {
    (value + 0.5_f64.copysign(value)) as i64
}

/// Writes values: their number, the scale, and each as a whole number of few bytes, or as it is.
pub(super) fn write_values(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    write_number(values.clone().count() as u64, out);
    write_scaled(values, out);
}

/// The same without their number.
pub(super) fn write_scaled(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    let mut at = 0;
    for value in values.clone() {
        // What fits at one scale fits at all larger ones: no value before needs to be looked at again.
        while SCALES.get(at).is_some_and(|scale| scaled(value, *scale).is_none()) {
            at += 1;
        }
    }
    out.push(at as u8);
    match SCALES.get(at) {
        Some(scale) => values.for_each(|value| write_signed(rounded(value * scale), out)),
        None => values.for_each(|value| out.extend(value.to_le_bytes())),
    }
}

/// Writes values that are whole numbers by a scale, as [`write_values`] does.
pub(super) fn write_whole<'a>(values: impl ExactSizeIterator<Item = &'a i32>, scale: usize, out: &mut Vec<u8>) {
    write_number(values.len() as u64, out);
    out.push(scale as u8);
    out.reserve(2 * values.len());
    values.for_each(|value| write_signed(i64::from(*value), out));
}

/// Writes a number that may be negative: those near zero in few bytes.
#[inline]
pub(super) fn write_signed(number: i64, out: &mut Vec<u8>) {
    write_number(((number << 1) ^ (number >> 63)) as u64, out);
}

/// Writes a number in as few bytes as it needs: seven bits each, lowest first (LEB128).
#[inline]
pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes to read numbers from.
pub(super) struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Numbers<'a> {
        Numbers(bytes)
    }

    /// Whether all is read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// What [`write_number`] wrote.
    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    /// What [`write_signed`] wrote.
    pub(super) fn signed(&mut self) -> Result<i64> {
        let zigzag = self.number()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// So many things of which each has a byte at least: a number that is damaged asks for no memory.
    pub(super) fn count(&mut self) -> Result<usize> {
        let count = self.number()?;
        if count > self.0.len() as u64 { Err(damaged()) } else { Ok(count as usize) }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// What [`write_values`] wrote.
    pub(super) fn values(&mut self) -> Result<Vec<f64>> {
        let count = self.number()?;
        let scale = self.byte()?;
        if count > self.0.len() as u64 {
            return Err(damaged());
        }
        (0..count).map(|_| self.value(scale)).collect()
    }

    /// One of the values behind a scale.
    pub(super) fn value(&mut self, scale: u8) -> Result<f64> {
        if scale == RAW {
            let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or_else(damaged)?;
            self.0 = rest;
            return Ok(f64::from_le_bytes(*bytes));
        }
        let scale = SCALES.get(usize::from(scale)).ok_or_else(damaged)?;
        Ok(self.signed()? as f64 / scale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_values(values.iter().copied(), &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(values in proptest::collection::vec(prop_oneof![
            any::<f64>(), (-100_000_i32..100_000).prop_map(|n| f64::from(n) / 10.0), Just(-0.0), Just(f64::NAN), Just(1e300),
            (-1_000_000_000_000_000_i64..1_000_000_000_000_000).prop_map(|n| n as f64), (0_i32..9_999).prop_map(|n| f64::from(n) / 1e4),
        ], 0..20)) {
            let bytes = written(&values);
            let mut numbers = Numbers(&bytes);
            let back = numbers.values().expect("reads");
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&values));
            prop_assert!(numbers.0.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Numbers(&bytes).values();
        }
    }

    #[test]
    fn whole_numbers_are_written_as_the_values_that_they_stand_for() {
        let (mut whole, values) = (Vec::new(), [3.5, -0.1, 12_345.6, 0.0]);
        write_whole([35, -1, 123_456, 0].iter(), 1, &mut whole);
        assert_eq!(whole, written(&values));
    }

    #[test]
    fn readings_take_few_bytes() {
        assert_eq!(written(&[2.6, 3.1, 0.4]).len(), 2 + 3);
        assert!(written(&[1360.0, 1292.0]).len() <= 2 + 4);
    }
}
