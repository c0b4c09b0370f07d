//! The last so many values of a key and field, in little memory: readings have few decimals, so that each is a whole number of four
//! bytes by a scale.

use super::ordered::Ordered;
use super::ring::Ring;
use super::saved_numbers::{SCALES, scaled, write_values, write_whole};

/// From so many values on, a window that has had a gap keeps them in order. It costs some 0.3 µs a value, and to look for the middle of
/// unordered ones some 1 ns a value and gap: where one cell of thirty is missing, smaller windows would lose by it.
const ORDERED_FROM: usize = 8192;

/// The last so many values.
pub(super) enum Window {
    /// Whole numbers, and the place of their scale among [`SCALES`].
    Whole(u8, Values<i32>),
    /// Values that are no decimals of few places, or too large, as [`key_of`] orders them.
    Raw(Values<i64>),
}

impl Default for Window {
    fn default() -> Window {
        Window::Whole(0, Values::default())
    }
}

/// Values as they came, and in order where there are many.
#[derive(Default)]
pub(super) struct Values<T> {
    ring: Ring<T>,
    ordered: Option<Box<Ordered<T>>>,
}

impl<T: Copy + Ord + Default> Values<T> {
    fn push(&mut self, value: T, length: usize) {
        let gone = self.ring.push(value, length);
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(value);
            gone.into_iter().for_each(|gone| ordered.remove(gone));
        }
    }

    /// The two values in the middle; of an odd number, the one.
    fn middle(&mut self, scratch: &mut Vec<T>) -> Option<(T, T)> {
        let values = self.ring.values();
        if values.len() >= ORDERED_FROM {
            return self.ordered.get_or_insert_with(|| Box::new(Ordered::of(values.to_vec()))).middle();
        }
        self.ordered = None;
        if values.is_empty() {
            return None;
        }
        scratch.clear();
        scratch.extend_from_slice(values);
        let (below, high, _) = scratch.select_nth_unstable(values.len() / 2);
        let low = if values.len().is_multiple_of(2) { below.iter().copied().max() } else { None };
        Some((low.unwrap_or(*high), *high))
    }
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
fn whole(value: f64, scale: u8) -> Option<i32> {
    scaled(value, *SCALES.get(usize::from(scale))?).and_then(|whole| i32::try_from(whole).ok())
}

fn value_of(whole: i32, scale: u8) -> f64 {
    f64::from(whole) / SCALES[usize::from(scale)]
}

impl Window {
    pub(super) fn len(&self) -> usize {
        match self {
            Window::Whole(_, values) => values.ring.values().len(),
            Window::Raw(values) => values.ring.values().len(),
        }
    }

    /// Adds a value; the oldest goes where there are more than `length`.
    pub(super) fn push(&mut self, value: f64, length: usize) {
        loop {
            match self {
                Window::Whole(scale, values) => match whole(value, *scale) {
                    Some(whole) => return values.push(whole, length),
                    None => self.widen(value),
                },
                Window::Raw(values) => return values.push(key_of(value), length),
            }
        }
    }

    /// Takes a scale by which a value is a whole number too, or none.
    fn widen(&mut self, value: f64) {
        let Window::Whole(scale, Values { ring, .. }) = self else { return };
        let before = *scale;
        let larger = (before + 1..SCALES.len() as u8).find_map(|scale| {
            let factor = 10_i32.pow(u32::from(scale - before));
            whole(value, scale)?;
            Some((scale, ring.try_map(|whole| whole.checked_mul(factor))?))
        });
        *self = match larger {
            Some((scale, ring)) => Window::Whole(scale, Values { ring, ordered: None }),
            None => Window::Raw(Values { ring: ring.map(|whole| key_of(value_of(whole, before))), ordered: None }),
        };
    }

    /// The median of the values: of an even number the middle of the two in the middle. `scratch` is memory for them.
    pub(super) fn median(&mut self, scratch: &mut Scratch) -> Option<f64> {
        let (low, high) = match self {
            Window::Whole(scale, values) => {
                let (low, high) = values.middle(&mut scratch.whole)?;
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
            Window::Whole(scale, values) => write_whole(values.ring.last(count), usize::from(*scale), out),
            Window::Raw(values) => {
                write_values(values.ring.last(count).into_iter().flatten().map(|key| of_key(*key)), out);
            }
        }
    }
}

/// Memory in which values are put in order. One for all windows: they are looked at one after the other.
#[derive(Default)]
pub(super) struct Scratch {
    whole: Vec<i32>,
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
    fn readings_take_four_bytes_and_no_more_places_than_the_window_has() {
        let mut window = Window::default();
        (0..5_000).for_each(|n| window.push(f64::from(n) / 10.0, 720));
        let Window::Whole(1, values) = &window else { panic!("tenths") };
        assert_eq!(values.ring.places(), 720);
    }

    #[test]
    fn a_large_window_has_the_same_median_as_a_small_one() {
        let length = ORDERED_FROM + 1;
        let (mut window, mut expected, mut scratch) = (Window::default(), VecDeque::new(), Scratch::default());
        for n in 0..3 * length as u64 {
            let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
            // The scale grows, and then there is none.
            let value = match n {
                0..9_000 => noise as f64,
                9_000..18_000 => noise as f64 / 10.0,
                _ => (noise as f64 - 2_000.0) / 3.0,
            };
            window.push(value, length);
            expected.push_back(value);
            if expected.len() > length {
                expected.pop_front();
            }
            if n % 1_009 < 2 {
                assert_eq!(window.median(&mut scratch).map(f64::to_bits), by_definition(&expected), "{n}");
            }
        }
        assert!(matches!(&window, Window::Raw(Values { ordered: Some(_), .. })));
    }
}
