//! The last so many values of a key and field, in little memory: readings have few decimals, so that each is a whole number of two
//! or four bytes by a scale.

use super::middle::middle_near;
use super::ordered::Ordered;
use super::ring::Ring;
use super::saved_numbers::{SCALES, scaled, write_values, write_whole};
use super::whole_number::WholeNumber;

/// A window of so many values is kept in order while it has many gaps.
const ORDERED_FROM: usize = 1024;
/// To keep a window in order costs some 0.3 µs a value, to look for its middle some 1 ns a value of the window: it is kept so if one value in
/// so many of its length was followed by a gap.
const ORDERED_SHARE: usize = 256;
/// It is kept so no longer once so large a part of its length came without a gap.
const ORDERED_UNUSED_SHARE: usize = 8;

/// The last so many values.
pub(super) enum Window {
    /// Whole numbers of two bytes, and the place of their scale among [`SCALES`].
    Short(u8, Values<i16>),
    /// Whole numbers of four bytes.
    Long(u8, Values<i32>),
    /// Values that are no decimals of few places, or too large, as [`key_of`] orders them.
    Raw(Values<i64>),
}

impl Default for Window {
    fn default() -> Window {
        Window::Short(0, Values::default())
    }
}

/// Values as they came, and in order where that is worth it.
#[derive(Default)]
pub(super) struct Values<T> {
    ring: Ring<T>,
    /// The upper one of the two in the middle, when that was looked for last.
    near: T,
    /// Values since then.
    since: u32,
    ordered: Option<Box<Ordered<T>>>,
}

impl<T: WholeNumber> Values<T> {
    fn of(ring: Ring<T>) -> Values<T> {
        Values { ring, ..Values::default() }
    }

    #[inline]
    fn push(&mut self, value: T, length: usize) {
        let gone = self.ring.push(value, length);
        self.since = self.since.saturating_add(1);
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(value);
            gone.into_iter().for_each(|gone| ordered.remove(gone));
            // To put them in order again costs as much as to keep so many in order.
            if self.since as usize > self.ring.values().len() / ORDERED_UNUSED_SHARE {
                self.ordered = None;
            }
        }
    }

    /// The two values in the middle; of an odd number, the one.
    fn middle(&mut self, scratch: &mut Vec<T>) -> Option<(T, T)> {
        let values = self.ring.values();
        let since = std::mem::take(&mut self.since) as usize;
        if values.len() >= ORDERED_FROM && since < values.len() / ORDERED_SHARE && self.ordered.is_none() {
            self.ordered = Some(Box::new(Ordered::of(values.to_vec())));
        }
        let middle = match &self.ordered {
            Some(ordered) => ordered.middle(),
            None => middle_near(values, self.near).or_else(|| select_middle(values, scratch)),
        };
        self.near = middle?.1;
        middle
    }
}

/// The two values in the middle, wherever they are.
fn select_middle<T: Copy + Ord>(values: &[T], scratch: &mut Vec<T>) -> Option<(T, T)> {
    if values.is_empty() {
        return None;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let (below, high, _) = scratch.select_nth_unstable(values.len() / 2);
    let low = if values.len().is_multiple_of(2) { below.iter().copied().max() } else { None };
    Some((low.unwrap_or(*high), *high))
}

/// The order of all values as that of whole numbers (`f64::total_cmp`).
fn key_of(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn of_key(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

/// A value as a whole number by a scale, where it gives the same value back.
#[inline]
fn whole<T: WholeNumber>(value: f64, scale: u8) -> Option<T> {
    scaled(value, *SCALES.get(usize::from(scale))?).and_then(|whole| T::try_from(whole).ok())
}

fn value_of<T: WholeNumber>(whole: T, scale: u8) -> f64 {
    whole.into() as f64 / SCALES[usize::from(scale)]
}

/// The same values by a larger scale.
fn rescaled<T: WholeNumber, U: WholeNumber>(values: &Values<T>, from: u8, to: u8) -> Option<Values<U>> {
    let factor = 10_i64.pow(u32::from(to - from));
    values.ring.try_map(|whole| U::try_from(whole.into().checked_mul(factor)?).ok()).map(Values::of)
}

impl Window {
    pub(super) fn len(&self) -> usize {
        match self {
            Window::Short(_, values) => values.ring.values().len(),
            Window::Long(_, values) => values.ring.values().len(),
            Window::Raw(values) => values.ring.values().len(),
        }
    }

    /// Adds a value; the oldest goes where there are more than `length`.
    #[inline]
    pub(super) fn push(&mut self, value: f64, length: usize) {
        loop {
            match self {
                Window::Short(scale, values) => {
                    if let Some(whole) = whole(value, *scale) {
                        return values.push(whole, length);
                    }
                }
                Window::Long(scale, values) => {
                    if let Some(whole) = whole(value, *scale) {
                        return values.push(whole, length);
                    }
                }
                Window::Raw(values) => return values.push(key_of(value), length),
            }
            self.widen(value);
        }
    }

    /// Takes a scale by which a value is a whole number too, or none.
    #[cold]
    fn widen(&mut self, value: f64) {
        let scales = |from: u8| from..SCALES.len() as u8;
        let short = |to: u8, from: u8, values: &Values<i16>| {
            whole::<i16>(value, to)?;
            Some(Window::Short(to, rescaled(values, from, to)?))
        };
        *self = match self {
            Window::Short(from, values) => {
                let long = |to: u8| {
                    whole::<i32>(value, to)?;
                    Some(Window::Long(to, rescaled(values, *from, to)?))
                };
                let found = scales(*from).find_map(|to| short(to, *from, values));
                let found = found.or_else(|| scales(*from).find_map(long));
                found
                    .unwrap_or_else(|| Window::Raw(Values::of(values.ring.map(|whole| key_of(value_of(whole, *from))))))
            }
            Window::Long(from, values) => {
                let long = |to: u8| {
                    whole::<i32>(value, to)?;
                    Some(Window::Long(to, rescaled(values, *from, to)?))
                };
                let found = scales(*from).find_map(long);
                found
                    .unwrap_or_else(|| Window::Raw(Values::of(values.ring.map(|whole| key_of(value_of(whole, *from))))))
            }
            Window::Raw(_) => return,
        };
    }

    /// The median of the values: of an even number the middle of the two in the middle. `scratch` is memory for them.
    pub(super) fn median(&mut self, scratch: &mut Scratch) -> Option<f64> {
        let (low, high) = match self {
            Window::Short(scale, values) => {
                let (low, high) = values.middle(&mut scratch.short)?;
                (value_of(low, *scale), value_of(high, *scale))
            }
            Window::Long(scale, values) => {
                let (low, high) = values.middle(&mut scratch.long)?;
                (value_of(low, *scale), value_of(high, *scale))
            }
            Window::Raw(values) => {
                let (low, high) = values.middle(&mut scratch.raw)?;
                (of_key(low), of_key(high))
            }
        };
        Some(low.midpoint(high))
    }

    /// Writes the last so many values.
    pub(super) fn write_last(&self, count: usize, out: &mut Vec<u8>) {
        match self {
            Window::Short(scale, values) => write_whole(values.ring.last(count), usize::from(*scale), out),
            Window::Long(scale, values) => write_whole(values.ring.last(count), usize::from(*scale), out),
            Window::Raw(values) => {
                write_values(values.ring.last(count).into_iter().flatten().map(|key| of_key(*key)), out);
            }
        }
    }
}

/// Memory in which values are put in order. One for all windows: they are looked at one after the other.
#[derive(Default)]
pub(super) struct Scratch {
    short: Vec<i16>,
    long: Vec<i32>,
    raw: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::transform::impute::saved_numbers::Numbers;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-50_i32..50).prop_map(|n| f64::from(n) / 10.0),
            2 => (-99_999_i32..99_999).prop_map(|n| f64::from(n) / 1e4),
            1 => any::<i32>().prop_map(f64::from),
            1 => prop_oneof![Just(-0.0), Just(0.1 + 0.2), Just(1e300), Just(f64::INFINITY), Just(f64::NAN)],
        ]
    }

    /// The median as it is defined: by a sorted copy.
    fn by_definition(values: &VecDeque<f64>) -> Option<u64> {
        let mut sorted: Vec<f64> = values.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let high = *sorted.get(sorted.len() / 2)?;
        let low = if sorted.len().is_multiple_of(2) { sorted[sorted.len() / 2 - 1] } else { high };
        Some(low.midpoint(high).to_bits())
    }

    proptest! {
        #[test]
        fn it_has_the_last_values_bit_for_bit_and_their_median(
            values in prop_oneof![vec(value(), 0..60), vec((0_i32..9).prop_map(|n| f64::from(n) / 2.0), 0..60)],
            length in 1_usize..20,
            last in 0_usize..25,
        ) {
            let (mut window, mut expected, mut scratch) = (Window::default(), VecDeque::new(), Scratch::default());
            for value in values {
                window.push(value, length);
                expected.push_back(value);
                if expected.len() > length {
                    expected.pop_front();
                }
                prop_assert_eq!(window.len(), expected.len());
                prop_assert_eq!(window.median(&mut scratch).map(f64::to_bits), by_definition(&expected));
                let mut bytes = Vec::new();
                window.write_last(last, &mut bytes);
                let back = Numbers::of(&bytes).values().expect("reads");
                let kept = expected.range(expected.len().saturating_sub(last)..);
                prop_assert!(back.iter().map(|value| value.to_bits()).eq(kept.map(|value| value.to_bits())));
            }
        }
    }

    #[test]
    fn readings_take_two_bytes_and_no_more_places_than_the_window_has() {
        let mut window = Window::default();
        (0..5_000).for_each(|n| window.push(f64::from(n % 3_000) / 10.0, 720));
        let Window::Short(1, values) = &window else { panic!("tenths") };
        assert_eq!(values.ring.places(), 720);
    }

    #[test]
    fn a_large_window_has_the_same_median_as_a_small_one_however_many_gaps_it_has() {
        let length = 2 * ORDERED_FROM + 1;
        let (mut window, mut expected, mut scratch) = (Window::default(), VecDeque::new(), Scratch::default());
        let mut was_ordered = [false; 2];
        for n in 0..20_000_u64 {
            let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
            // The scale grows, and then there is none.
            let value = match n {
                0..5_000 => noise as f64,
                5_000..10_000 => noise as f64 * 100.0 + 0.5,
                _ => (noise as f64 - 2_000.0) / 3.0,
            };
            window.push(value, length);
            expected.push_back(value);
            if expected.len() > length {
                expected.pop_front();
            }
            // Now a gap behind each value, now few.
            if n % 2_500 < 40 || n % 500 == 0 {
                assert_eq!(window.median(&mut scratch).map(f64::to_bits), by_definition(&expected), "{n}");
            }
            if let Window::Raw(Values { ordered, .. }) = &window {
                was_ordered[usize::from(ordered.is_some())] = true;
            }
        }
        assert_eq!(was_ordered, [true; 2]);
    }
}
