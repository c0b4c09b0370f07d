//! The whole numbers that windows keep, and what machines find out of many of them at a time.

/// A whole number of some size.
pub(super) trait WholeNumber: Copy + Ord + Default + Into<i64> + TryFrom<i64> {
    /// How far a number is above another one, as it wraps.
    fn above(self, least: Self) -> u64;

    /// How many values are less.
    fn count_less(values: &[Self], than: Self) -> usize;

    /// How many values are the same.
    fn count_equal(values: &[Self], to: Self) -> usize;

    /// The greatest value that is less, where there is one.
    fn before(values: &[Self], than: Self) -> Self;

    /// The least value that is greater, where there is one.
    fn after(values: &[Self], than: Self) -> Self;
}

/// Values that are counted in numbers of their own size, which is what machines do at once: as many as those can count.
const COUNTED_MAX: usize = 1 << 15;

// Loops without a branch, so that compilers make vectors of them. A distance that wraps is longer than any that does not: no two values
// are further apart than their size has numbers.
macro_rules! whole_number {
    ($($type:ty as $unsigned:ty),*) => {$(
        impl WholeNumber for $type {
            #[inline]
            fn above(self, least: $type) -> u64 {
                u64::from(self.wrapping_sub(least) as $unsigned)
            }

            #[inline]
            fn count_less(values: &[$type], than: $type) -> usize {
                let add = |count: $unsigned, value: &$type| count.wrapping_add(<$unsigned>::from(*value < than));
                values.chunks(COUNTED_MAX).map(|values| values.iter().fold(0, add) as usize).sum()
            }

            #[inline]
            fn count_equal(values: &[$type], to: $type) -> usize {
                let add = |count: $unsigned, value: &$type| count.wrapping_add(<$unsigned>::from(*value == to));
                values.chunks(COUNTED_MAX).map(|values| values.iter().fold(0, add) as usize).sum()
            }

            #[inline]
            fn before(values: &[$type], than: $type) -> $type {
                let distance = |value: &$type| (than.wrapping_sub(*value) as $unsigned).wrapping_sub(1);
                let least = values.iter().fold(<$unsigned>::MAX, |least, value| least.min(distance(value)));
                than.wrapping_sub(1).wrapping_sub(least as $type)
            }

            #[inline]
            fn after(values: &[$type], than: $type) -> $type {
                let distance = |value: &$type| (value.wrapping_sub(than) as $unsigned).wrapping_sub(1);
                let least = values.iter().fold(<$unsigned>::MAX, |least, value| least.min(distance(value)));
                than.wrapping_add(1).wrapping_add(least as $type)
            }
        }
    )*};
}

whole_number!(i16 as u16, i32 as u32, i64 as u64);
