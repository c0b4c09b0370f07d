//! The values of a window as they came, and their middle.

use super::middle::middle_near;
use super::ordered::Ordered;
use super::ring::Ring;
use super::whole_number::WholeNumber;

/// A window of so many values is kept in order while it has many gaps.
const ORDERED_FROM: usize = 1024;
/// To keep a window in order costs some 0.3 µs a value, to look for its middle some 1 ns a value of the window: it is kept so if one value in
/// so many of its length was followed by a gap.
const ORDERED_SHARE: usize = 256;
/// It is kept so no longer once so large a part of its length came without a gap.
const ORDERED_UNUSED_SHARE: usize = 8;

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
    pub(super) fn of(ring: Ring<T>) -> Values<T> {
        Values { ring, ..Values::default() }
    }

    /// The same values as they came.
    pub(super) fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Adds a value; the oldest goes where there are more than `length`.
    #[inline]
    pub(super) fn push(&mut self, value: T, length: usize) {
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

    /// The two values in the middle; of an odd number, the one. `scratch` is memory for them.
    pub(super) fn middle(&mut self, scratch: &mut Vec<T>) -> Option<(T, T)> {
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

    #[cfg(test)]
    pub(super) fn is_ordered(&self) -> bool {
        self.ordered.is_some()
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
