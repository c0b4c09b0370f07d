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
    let (mut at, mut below, mut equal) = (near, T::count_less(values, near), T::count_equal(values, near));
    for _ in 0..STEPS_MAX {
        if place < below {
            at = T::before(values, at);
            equal = T::count_equal(values, at);
            below -= equal;
        } else if place >= below + equal {
            at = T::after(values, at);
            below += equal;
            equal = T::count_equal(values, at);
        } else {
            let is_even = values.len().is_multiple_of(2);
            return Some((if is_even && place == below { T::before(values, at) } else { at }, at));
        }
    }
    None
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
