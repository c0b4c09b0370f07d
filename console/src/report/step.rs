//! The sampling step of a station: the time from one record to the next that is most frequent.

use std::collections::BTreeMap;

use super::civil::SECOND_MICROS;

/// Distances that are told apart: irregular times have as many as records, and the regular one is among the first.
const DISTANCES_MAX: usize = 256;
/// From here up, distances are rounded to seconds: clocks jitter.
const ROUNDED_FROM_MICROS: i64 = 10 * SECOND_MICROS;

/// Counts distances between records.
#[derive(Clone, Debug, Default)]
pub(super) struct StepFinder {
    counts: BTreeMap<i64, u64>,
}

impl StepFinder {
    /// Takes the distance, in microseconds, of a record from the one before it.
    pub(super) fn add(&mut self, distance: i64) {
        let distance = match distance {
            ROUNDED_FROM_MICROS.. => distance.saturating_add(SECOND_MICROS / 2) / SECOND_MICROS * SECOND_MICROS,
            1.. => distance,
            _ => return,
        };
        if self.counts.len() >= DISTANCES_MAX && !self.counts.contains_key(&distance) {
            // What came once makes room. Where nothing did, a new distance is not the most frequent one.
            self.counts.retain(|_, count| *count > 1);
            if self.counts.len() >= DISTANCES_MAX {
                return;
            }
        }
        *self.counts.entry(distance).or_default() += 1;
    }

    /// The most frequent distance, the shortest of several.
    pub(super) fn step(&self) -> Option<i64> {
        self.counts.iter().max_by_key(|(distance, count)| (**count, -**distance)).map(|(distance, _)| *distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_the_most_frequent_distance_whatever_gaps_there_are() {
        let mut finder = StepFinder::default();
        assert_eq!(finder.step(), None);
        let hour = 3_600 * SECOND_MICROS;
        for distance in [5 * hour, hour, hour + 300_000, 2 * hour, hour, -hour, 0] {
            finder.add(distance);
        }
        assert_eq!(finder.step(), Some(hour));
        (0..100_000).for_each(|distance| finder.add(distance * SECOND_MICROS * 11));
        assert!(finder.counts.len() <= DISTANCES_MAX);
        assert_eq!(finder.step(), Some(hour));
    }
}
