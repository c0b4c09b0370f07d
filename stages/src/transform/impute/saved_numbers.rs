//! Numbers in few bytes, as they are saved.

use aqpipe_engine::Result;

use super::damaged::damaged;
use super::whole_number::WholeNumber;

/// Powers of ten by which values become whole numbers: readings have few decimals.
pub(super) const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Stands for values that are no decimals of few places.
const RAW: u8 = SCALES.len() as u8;
/// Where the byte of a scale says how many bytes a whole number has, as a power of two.
const WIDTH_SHIFT: u32 = 3;
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

/// Writes values: their number, the scale, and each as a whole number above the least of them, in as many bytes as the greatest
/// needs; or as it is.
pub(super) fn write_values(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    let scale = scale_of(values.clone());
    match SCALES.get(scale) {
        Some(factor) => {
            let whole: Vec<i64> = values.map(|value| rounded(value * factor)).collect();
            write_whole([&whole, &[]], scale, out);
        }
        None => {
            write_number(values.clone().count() as u64, out);
            out.push(RAW);
            values.for_each(|value| out.extend(value.to_le_bytes()));
        }
    }
}

/// Writes values that are whole numbers by a scale, as [`write_values`] does: those of two slices.
pub(super) fn write_whole<T: WholeNumber>(values: [&[T]; 2], scale: usize, out: &mut Vec<u8>) {
    let of_both = |pick: fn(&[T]) -> Option<T>| values.into_iter().filter_map(pick);
    write_number((values[0].len() + values[1].len()) as u64, out);
    let least = of_both(|values| values.iter().copied().min()).min();
    let Some((least, most)) = least.zip(of_both(|values| values.iter().copied().max()).max()) else { return };
    let bits = u64::BITS - most.above(least).leading_zeros();
    // One, two, four or eight bytes: what machines move.
    let width = (bits.div_ceil(8).max(1)).next_power_of_two();
    out.push(scale as u8 | (width.trailing_zeros() as u8) << WIDTH_SHIFT);
    write_signed(least.into(), out);
    for values in values {
        match width {
            1 => write_fixed::<T, 1>(values, least, out),
            2 => write_fixed::<T, 2>(values, least, out),
            4 => write_fixed::<T, 4>(values, least, out),
            _ => write_fixed::<T, 8>(values, least, out),
        }
    }
}

fn write_fixed<T: WholeNumber, const WIDTH: usize>(values: &[T], least: T, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + WIDTH * values.len(), 0);
    for (place, value) in out[at..].chunks_exact_mut(WIDTH).zip(values) {
        place.copy_from_slice(&value.above(least).to_le_bytes()[..WIDTH]);
    }
}

/// The place of the smallest scale that fits all values.
fn scale_of(values: impl Iterator<Item = f64>) -> usize {
    let mut at = 0;
    for value in values {
        // What fits at one scale fits at all larger ones: no value before needs to be looked at again.
        while SCALES.get(at).is_some_and(|scale| scaled(value, *scale).is_none()) {
            at += 1;
        }
    }
    at
}

/// Writes a few values: the scale, and each as a whole number of few bytes, or as it is.
pub(super) fn write_few(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    let scale = scale_of(values.clone());
    out.push(scale as u8);
    match SCALES.get(scale) {
        Some(scale) => values.for_each(|value| write_signed(rounded(value * scale), out)),
        None => values.for_each(|value| out.extend(value.to_le_bytes())),
    }
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
        let count = self.count()?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.byte()?;
        if first == RAW {
            let bytes = self.bytes(count.checked_mul(8).ok_or_else(damaged)?)?;
            let (values, _) = bytes.as_chunks::<8>();
            return Ok(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect());
        }
        let (width, scale) = (1_usize << (first >> WIDTH_SHIFT & 3), usize::from(first & 7));
        let scale = SCALES.get(scale).filter(|_| first >> WIDTH_SHIFT < 4).ok_or_else(damaged)?;
        let least = self.signed()?;
        let bytes = self.bytes(count.checked_mul(width).ok_or_else(damaged)?)?;
        let value = |bytes: &[u8]| {
            let above = bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            least.wrapping_add(above as i64) as f64 / scale
        };
        Ok(bytes.chunks_exact(width).map(value).collect())
    }

    /// One of the values that [`write_few`] wrote behind the scale.
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
        write_whole([&[35, -1], &[123_456_i32, 0]], 1, &mut whole);
        assert_eq!(whole, written(&values));
    }

    #[test]
    fn readings_take_few_bytes() {
        assert_eq!(written(&[]).len(), 1);
        assert_eq!(written(&[2.6, 3.1, 0.4]).len(), 3 + 3);
        assert_eq!(written(&[1360.0, 1292.0, 900.0]).len(), 4 + 6);
    }
}
