//! The middle of values in no order, close to where it was before.
//!
//! From one gap to the next a window changes little, so that its median is a few values away. To count the values below a number, and to
//! find the next one, machines take many values at a time: that is some four times as fast as to select the middle of a copy, and takes
//! no memory.

use super::whole_number::WholeNumber;

/// From one value to the next so often: if it is further away, a selection is as fast.
const STEPS_MAX: usize = 8;

/// The two values in the middle, of an odd number the one, if the upper one is close to `near`.
pub(super) fn middle_near<T: WholeNumber>(values: &[T], near: T) -> Option<(T, T)> {
    let place = values.len() / 2;
    let (mut at, mut below, mut equal) =
        (near, count(values, |value| value < near), count(values, |value| value == near));
    for _ in 0..STEPS_MAX {
        if place < below {
            at = before(values, at);
            equal = count(values, |value| value == at);
            below -= equal;
        } else if place >= below + equal {
            at = after(values, at);
            below += equal;
            equal = count(values, |value| value == at);
        } else {
            let is_even = values.len().is_multiple_of(2);
            return Some((if is_even && place == below { before(values, at) } else { at }, at));
        }
    }
    None
}

/// How many values are so.
#[inline]
fn count<T: Copy>(values: &[T], is: impl Fn(T) -> bool) -> usize {
    // A count of one byte goes as wide as the values do.
    let of_chunk = |values: &[T]| usize::from(values.iter().fold(0_u8, |count, value| count + u8::from(is(*value))));
    values.chunks(usize::from(u8::MAX)).map(of_chunk).sum()
}

/// The greatest value that is less.
#[inline]
fn before<T: WholeNumber>(values: &[T], than: T) -> T {
    values.iter().fold(T::LEAST, |most, value| most.max(if *value < than { *value } else { T::LEAST }))
}

/// The least value that is greater.
#[inline]
fn after<T: WholeNumber>(values: &[T], than: T) -> T {
    values.iter().fold(T::MOST, |least, value| least.min(if *value > than { *value } else { T::MOST }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_middle_or_nothing(
            values in proptest::collection::vec(prop_oneof![4 => -9_i16..9, 1 => any::<i16>()], 1..700),
            near in prop_oneof![-9_i16..9, any::<i16>()],
        ) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let middle = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            if let Some(found) = middle_near(&values, near) {
                prop_assert_eq!(found, middle);
            }
            prop_assert_eq!(middle_near(&values, middle.1), Some(middle));
        }
    }
}
