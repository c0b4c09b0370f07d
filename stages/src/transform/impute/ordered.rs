//! Values in order, for windows so large that putting them in order for each gap would take longer than keeping them so.
//!
//! Trees that count (an order-statistics tree, a skip list, `indexset`) take 40 bytes and more for a value, or refuse equal ones.
//! Sorted blocks take one and a half times the values, and a change moves at most two kilobytes.

/// Values in a block at most: a smaller number has more blocks to walk over for the middle, a larger one more bytes to move.
const BLOCK_VALUES_MAX: usize = 512;

/// Values in order, equal ones included.
pub(super) struct Ordered<T> {
    /// In order, each in order, none empty.
    blocks: Vec<Vec<T>>,
    length: usize,
}

impl<T: Copy + Ord> Ordered<T> {
    pub(super) fn of(mut values: Vec<T>) -> Ordered<T> {
        values.sort_unstable();
        let block = |values: &[T]| {
            let mut block = Vec::with_capacity(BLOCK_VALUES_MAX);
            block.extend_from_slice(values);
            block
        };
        // Half full, so that values find room.
        Ordered { blocks: values.chunks(BLOCK_VALUES_MAX / 2).map(block).collect(), length: values.len() }
    }

    /// The first block whose last value is not less.
    fn block_of(&self, value: T) -> usize {
        self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < value))
    }

    pub(super) fn insert(&mut self, value: T) {
        self.length += 1;
        let at = self.block_of(value).min(self.blocks.len().saturating_sub(1));
        let Some(block) = self.blocks.get_mut(at) else {
            return *self = Ordered::of(vec![value]);
        };
        block.insert(block.partition_point(|known| *known < value), value);
        if block.len() >= BLOCK_VALUES_MAX {
            let upper = block.split_off(BLOCK_VALUES_MAX / 2);
            self.blocks.insert(at + 1, upper);
        }
    }

    /// Removes one of a value that is there.
    pub(super) fn remove(&mut self, value: T) {
        let at = self.block_of(value);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|known| *known < value);
        if block.get(place) != Some(&value) {
            return;
        }
        block.remove(place);
        self.length -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        }
        // Values that come elsewhere than they go would leave many blocks with few of them.
        if self.blocks.len() > 8 + 8 * self.length / BLOCK_VALUES_MAX {
            *self = Ordered::of(self.blocks.concat());
        }
    }

    /// The two values in the middle; of an odd number, the one.
    pub(super) fn middle(&self) -> Option<(T, T)> {
        let high = self.nth(self.length / 2)?;
        let low = if self.length.is_multiple_of(2) { self.nth(self.length / 2 - 1)? } else { high };
        Some((low, high))
    }

    fn nth(&self, mut place: usize) -> Option<T> {
        for block in &self.blocks {
            match block.get(place) {
                Some(value) => return Some(*value),
                None => place -= block.len(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_is_that_of_the_sorted_values(
            values in proptest::collection::vec(prop_oneof![0_i32..9, any::<i32>(), (0_i32..4_000).prop_map(|n| n * n)], 0..4_000),
            length in prop_oneof![1_usize..20, 1_000_usize..3_000],
            rises in any::<bool>(),
        ) {
            let mut ordered = Ordered::of(Vec::new());
            for at in 0..values.len() {
                // Values that only rise leave the first blocks.
                let value = |at: usize| if rises { at as i32 } else { values[at] };
                ordered.insert(value(at));
                if at >= length {
                    ordered.remove(value(at - length));
                }
                if at % 97 == 0 || at + 1 == values.len() {
                    let mut sorted: Vec<i32> = (at.saturating_sub(length - 1)..=at).map(value).collect();
                    sorted.sort_unstable();
                    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
                    prop_assert_eq!(ordered.middle(), Some((low, high)));
                    prop_assert!(ordered.blocks.len() <= 9 + 8 * sorted.len() / BLOCK_VALUES_MAX);
                }
            }
        }
    }
}
