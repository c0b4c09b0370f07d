//! The values that a step keeps of each key, as they are saved: piece by piece as values come, and whole again once as much is
//! saved as is kept twice over. What is saved of a key is so at most about twice what is kept, and a value is saved twice on average,
//! however large the window is.

use aqpipe_engine::Result;

use super::key_id::KeyId;
use super::running_median::RunningSample;
use super::saved_entries::{Piece, StepEntries, damaged};

/// Values of a field in a piece that may still grow: a smaller number makes more entries, a larger one has the last piece saved
/// anew more often.
const PIECE_VALUES: usize = 32;
/// Values saved beyond twice those kept, for short windows.
const SLACK_VALUES: usize = 256;

/// What is saved of each key.
#[derive(Default)]
pub(super) struct ValuePieces {
    keys: Vec<KeyPieces>,
    changed: Vec<KeyId>,
}

#[derive(Clone, Default)]
struct KeyPieces {
    /// The first piece, and the one that may still grow.
    first: u32,
    open: u32,
    /// Values in all of them.
    saved: usize,
    is_changed: bool,
}

impl ValuePieces {
    /// Values of a key may have come.
    pub(super) fn changed(&mut self, key: KeyId) {
        if self.keys.len() <= key as usize {
            self.keys.resize(key as usize + 1, KeyPieces::default());
        }
        let pieces = &mut self.keys[key as usize];
        if !pieces.is_changed {
            pieces.is_changed = true;
            self.changed.push(key);
        }
    }

    /// Saves the values that came since the last time; everything where all is to be saved.
    pub(super) fn save_changes<S: RunningSample>(
        &mut self,
        series: &mut [Vec<S>],
        whole: bool,
        out: &mut StepEntries<'_>,
    ) {
        for key in std::mem::take(&mut self.changed) {
            self.keys[key as usize].is_changed = false;
            if !whole {
                self.save_key(key, series, out);
            }
        }
        if whole {
            let keys = series.iter().map(Vec::len).max().unwrap_or(0);
            self.keys = vec![KeyPieces::default(); keys];
            (0..keys).for_each(|key| self.save_whole(key as KeyId, series, out));
        }
    }

    fn save_key<S: RunningSample>(&mut self, key: KeyId, series: &mut [Vec<S>], out: &mut StepEntries<'_>) {
        let samples = || series.iter().filter_map(|keys| keys.get(key as usize));
        let new: usize = samples().map(|sample| sample.saving().unsaved).sum();
        if new == 0 {
            return;
        }
        let kept: usize = samples().map(RunningSample::kept).sum();
        let is_full = samples().any(|sample| sample.saving().open >= PIECE_VALUES);
        let pieces = &mut self.keys[key as usize];
        if pieces.saved + new > 2 * kept + SLACK_VALUES {
            (pieces.first..=pieces.open).for_each(|number| out.remove_piece(key, number));
            // Numbers go on, so that a piece that is removed is not the one that is written.
            pieces.first = pieces.open.wrapping_add(1);
            pieces.open = pieces.first;
            return self.save_whole(key, series, out);
        }
        pieces.saved += new;
        let open = pieces.open;
        pieces.open += u32::from(is_full);
        out.put_piece(key, open, encode(key, series, S::write_open));
        for sample in series.iter_mut().filter_map(|keys| keys.get_mut(key as usize)) {
            sample.saved(is_full);
        }
    }

    fn save_whole<S: RunningSample>(&mut self, key: KeyId, series: &mut [Vec<S>], out: &mut StepEntries<'_>) {
        let pieces = &mut self.keys[key as usize];
        let samples = series.iter_mut().filter_map(|keys| keys.get_mut(key as usize));
        pieces.saved = 0;
        for sample in samples {
            pieces.saved += sample.kept();
            sample.saved(true);
        }
        let number = pieces.open;
        pieces.open += 1;
        if pieces.saved > 0 {
            out.put_piece(key, number, encode(key, series, S::write_all));
        }
    }
}

/// The values of all keys, each as one piece.
pub(super) fn save_all<S: RunningSample>(series: &[Vec<S>], out: &mut StepEntries<'_>) {
    let keys = series.iter().map(Vec::len).max().unwrap_or(0);
    for key in 0..keys {
        if series.iter().filter_map(|samples| samples.get(key)).any(|sample| sample.kept() > 0) {
            out.put_piece(key as KeyId, 0, encode(key as KeyId, series, S::write_all));
        }
    }
}

/// The samples of keys and fields, from their pieces.
pub(super) fn read<S: RunningSample>(
    pieces: &[Piece<'_>],
    fields: usize,
    mut make: impl FnMut(&mut S, &mut Numbers<'_>) -> Result<()>,
) -> Result<Vec<Vec<S>>> {
    let keys = pieces.iter().map(|piece| piece.key as usize + 1).max().unwrap_or(0);
    let mut series: Vec<Vec<S>> = Vec::new();
    series.resize_with(fields, Vec::new);
    series.iter_mut().for_each(|samples| samples.resize_with(keys, S::default));
    for piece in pieces {
        let mut numbers = Numbers(piece.bytes);
        for samples in &mut series {
            // A piece ends with the last field that was known when it was saved.
            if !numbers.0.is_empty() {
                make(&mut samples[piece.key as usize], &mut numbers)?;
            }
        }
        if !numbers.0.is_empty() {
            return Err(damaged());
        }
    }
    for sample in series.iter_mut().flatten() {
        sample.saved(true);
    }
    Ok(series)
}

fn encode<S>(key: KeyId, series: &[Vec<S>], write: impl Fn(&S, &mut Vec<u8>)) -> Vec<u8>
where
    S: RunningSample,
{
    let mut bytes = Vec::new();
    let none = S::default();
    for samples in series {
        write(samples.get(key as usize).unwrap_or(&none), &mut bytes);
    }
    bytes
}

/// Powers of ten by which values become whole numbers: readings have few decimals.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Stands for values that are no decimals of few places.
const RAW: u8 = SCALES.len() as u8;
/// Beyond it, not every whole number is a value at the largest scale. One bound for all scales: a value that fits at one of them
/// fits at all larger ones.
const VALUE_MAX: f64 = 9_007_199_254_740_992.0 / 10_000.0;

/// The whole number that stands for a value, where it gives the same value back.
fn scaled(value: f64, scale: f64) -> Option<i64> {
    let whole = value * scale;
    // To the nearest. What lies beyond, and a zero with a sign, does not come back and is no whole number.
    let number = (whole + 0.5_f64.copysign(whole)) as i64;
    (value.abs() < VALUE_MAX && (number as f64 / scale).to_bits() == value.to_bits()).then_some(number)
}

/// Writes values: their number, the scale, and each as a whole number of few bytes, or as it is.
pub(super) fn write_values(values: impl Iterator<Item = f64> + Clone, out: &mut Vec<u8>) {
    let (mut count, mut at) = (0, 0);
    for value in values.clone() {
        count += 1;
        // What fits at one scale fits at all larger ones: no value before needs to be looked at again.
        while SCALES.get(at).is_some_and(|scale| scaled(value, *scale).is_none()) {
            at += 1;
        }
    }
    write_number(count, out);
    out.push(at as u8);
    match SCALES.get(at) {
        Some(scale) => values.filter_map(|value| scaled(value, *scale)).for_each(|whole| {
            write_number(((whole << 1) ^ (whole >> 63)) as u64, out);
        }),
        None => values.for_each(|value| out.extend(value.to_le_bytes())),
    }
}

/// Writes a number in as few bytes as it needs: seven bits each, lowest first (LEB128).
pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Bytes to read numbers from.
pub(super) struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// What [`write_number`] wrote.
    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(damaged)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged())
    }

    /// What [`write_values`] wrote.
    pub(super) fn values(&mut self) -> Result<Vec<f64>> {
        let count = self.number()?;
        let (scale, rest) = self.0.split_first().ok_or_else(damaged)?;
        self.0 = rest;
        // Each has a byte at least.
        if count > self.0.len() as u64 {
            return Err(damaged());
        }
        (0..count).map(|_| self.value(*scale)).collect()
    }

    fn value(&mut self, scale: u8) -> Result<f64> {
        if scale == RAW {
            let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or_else(damaged)?;
            self.0 = rest;
            return Ok(f64::from_le_bytes(*bytes));
        }
        let scale = SCALES.get(usize::from(scale)).ok_or_else(damaged)?;
        let zigzag = self.number()?;
        let whole = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Ok(whole as f64 / scale)
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
    fn readings_take_few_bytes() {
        assert_eq!(written(&[2.6, 3.1, 0.4]).len(), 2 + 3);
        assert!(written(&[1360.0, 1292.0]).len() <= 2 + 4);
    }
}
