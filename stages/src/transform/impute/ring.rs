//! The last so many of some values, in no more memory than they need.

/// The last so many values.
#[derive(Default)]
pub(super) struct Ring<T> {
    values: Vec<T>,
    /// Where the oldest one is.
    first: usize,
}

impl<T: Copy> Ring<T> {
    /// Adds a value; the oldest goes where there are more than `length`, and is returned.
    pub(super) fn push(&mut self, value: T, length: usize) -> Option<T> {
        if self.values.len() < length {
            if self.values.len() == self.values.capacity() {
                // Twice as many places, but never more than there will be values.
                let more = self.values.len().max(4).min(length - self.values.len());
                self.values.reserve_exact(more);
            }
            self.values.push(value);
            return None;
        }
        let gone = std::mem::replace(self.values.get_mut(self.first)?, value);
        self.first = if self.first + 1 < length { self.first + 1 } else { 0 };
        Some(gone)
    }

    /// All of them, in no order.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    /// The last so many, in order: the older ones and the newer ones.
    pub(super) fn last(&self, count: usize) -> [&[T]; 2] {
        let (newer, older) = self.values.split_at(self.first);
        let from_newer = count.min(newer.len());
        let from_older = (count - from_newer).min(older.len());
        [&older[older.len() - from_older..], &newer[newer.len() - from_newer..]]
    }

    /// The same places with other values; `None` where one has none.
    pub(super) fn try_map<U>(&self, map: impl Fn(T) -> Option<U>) -> Option<Ring<U>> {
        let values = self.values.iter().map(|value| map(*value)).collect::<Option<Vec<U>>>()?;
        Some(Ring { values, first: self.first })
    }

    /// The same places with other values.
    pub(super) fn map<U>(&self, map: impl Fn(T) -> U) -> Ring<U> {
        Ring { values: self.values.iter().map(|value| map(*value)).collect(), first: self.first }
    }

    /// How many values there is memory for.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.values.capacity()
    }
}
