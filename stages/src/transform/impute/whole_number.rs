//! The whole numbers that windows keep.

/// A whole number of some size.
pub(super) trait WholeNumber: Copy + Ord + Default + Into<i64> + TryFrom<i64> {
    const LEAST: Self;
    const MOST: Self;

    /// How far a number is above another one, as it wraps.
    fn above(self, least: Self) -> u64;
}

macro_rules! whole_number {
    ($($type:ty as $unsigned:ty),*) => {$(
        impl WholeNumber for $type {
            const LEAST: $type = <$type>::MIN;
            const MOST: $type = <$type>::MAX;

            #[inline]
            fn above(self, least: $type) -> u64 {
                u64::from(self.wrapping_sub(least) as $unsigned)
            }
        }
    )*};
}

whole_number!(i16 as u16, i32 as u32, i64 as u64);
