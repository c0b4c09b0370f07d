//! The generated input of a trial, and the output that it has to become.
//!
//! A reading is identified by its source and its sequence number, and everything else in it is a function of the two, so
//! that expected values need no memory. Measurements are missing in gaps of one to three readings. How a gap is filled
//! depends on the readings before and after it, so that state which a transform loses or restores twice shows in a value.

use std::ops::Range;

/// Over how many observed values `impute` takes the median that it fills in where no neighbour is near enough: values that a transform
/// lost, or has twice, move it. A window is saved in pieces, and whole again some times in a trial.
pub(crate) const MEDIAN_WINDOW: usize = 24;
/// Sources at most, so that no two readings have one value.
pub(crate) const SOURCES_MAX: u64 = 4096;
/// Readings of a source in a block with at most one gap. Its first and last reading are always present, so that gaps never
/// join.
const GAP_BLOCK_READINGS: u64 = 8;
/// One reading in this many is followed by a malformed item.
const MALFORMED_ONE_IN: u32 = 29;
/// The first timestamp, in seconds since 1970: noon of an arbitrary day.
const FIRST_TIMESTAMP_SECS: i64 = 1_704_110_400;

/// The size of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dataset {
    pub(crate) sources: u32,
    /// Readings of each source.
    pub(crate) per_source: u64,
}

/// One reading of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reading {
    pub(crate) source: u32,
    pub(crate) seq: u64,
}

/// One line of a file, or one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Valid(Reading),
    /// A malformed item among the readings of a source.
    Malformed {
        id: u64,
        source: u32,
    },
}

/// How a missing value is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Forward,
    Backward,
    Median,
}

/// The expected measurement in the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    pub(crate) fill: Option<Fill>,
}

impl Fill {
    /// The notation in the output.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Fill::Forward => "forward_fill(1)",
            Fill::Backward => "backward_fill(1)",
            Fill::Median => "median",
        }
    }
}

impl Dataset {
    pub(crate) fn readings(self) -> u64 {
        u64::from(self.sources) * self.per_source
    }

    /// All items, in input order.
    pub(crate) fn items(self) -> impl Iterator<Item = Item> {
        let turns =
            (0..self.per_source).flat_map(move |seq| (0..self.sources).map(move |source| Reading { source, seq }));
        turns.zip(0..).flat_map(|(reading, id)| {
            let malformed = reading.malformed_after().then_some(Item::Malformed { id, source: reading.source });
            [Some(Item::Valid(reading)), malformed].into_iter().flatten()
        })
    }

    /// The ids of all malformed items.
    pub(crate) fn malformed(self) -> impl Iterator<Item = u64> {
        self.items().filter_map(|item| match item {
            Item::Malformed { id, .. } => Some(id),
            Item::Valid(_) => None,
        })
    }

    /// The expected output of a reading.
    pub(crate) fn expected(self, reading: Reading) -> Expected {
        let Some(gap) = reading.gap() else { return Expected { value: reading.measured(), fill: None } };
        let at = |seq| Reading { seq, ..reading };
        if reading.seq == gap.start {
            return Expected { value: at(gap.start - 1).measured(), fill: Some(Fill::Forward) };
        }
        if reading.seq + 1 == gap.end && gap.end < self.per_source {
            return Expected { value: at(gap.end).measured(), fill: Some(Fill::Backward) };
        }
        Expected { value: reading.median_before(), fill: Some(Fill::Median) }
    }

    /// The reading whose arrival releases this one: itself, or for a held reading the next one of its source. `None`
    /// where only the end of the input releases it.
    pub(crate) fn released_by(self, reading: Reading) -> Option<Reading> {
        let held = reading.gap().is_some_and(|gap| reading.seq > gap.start);
        let by = Reading { seq: reading.seq + u64::from(held), ..reading };
        (by.seq < self.per_source).then_some(by)
    }
}

impl Reading {
    /// The key of the record, which is the station.
    pub(crate) fn key(self) -> String {
        format!("s{}", self.source)
    }

    pub(crate) fn checksum(self) -> u32 {
        self.hash(0)
    }

    /// The time in seconds since 1970; readings are an hour apart.
    pub(crate) fn seconds(self) -> i64 {
        FIRST_TIMESTAMP_SECS + 3_600 * i64::try_from(self.seq).unwrap_or(i64::MAX / 7_200)
    }

    /// The timestamp as text.
    pub(crate) fn timestamp(self) -> String {
        jiff::Timestamp::from_second(self.seconds()).map_or_else(|error| error.to_string(), |time| time.to_string())
    }

    /// The measurement; `None` where it is missing.
    pub(crate) fn value(self) -> Option<f64> {
        self.gap().is_none().then(|| self.measured())
    }

    /// A value that is unique among readings and exact as a float.
    fn measured(self) -> f64 {
        (self.seq * SOURCES_MAX + u64::from(self.source)) as f64 / 8.0
    }

    /// The median of the last observed values before this reading. The first reading is never missing.
    fn median_before(self) -> f64 {
        let before = (0..self.seq).rev().map(|seq| Reading { seq, ..self }).filter_map(Reading::value);
        let mut values: Vec<f64> = before.take(MEDIAN_WINDOW).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = ((values.len() - 1) / 2, values.len() / 2);
        values[low].midpoint(values[high])
    }

    /// The gap that contains this reading.
    fn gap(self) -> Option<Range<u64>> {
        let block = self.seq / GAP_BLOCK_READINGS;
        let hash = u64::from(Reading { seq: block, ..self }.hash(1));
        let start = block * GAP_BLOCK_READINGS + 1 + hash % 3;
        let gap = start..start + (hash / 3) % 4;
        gap.contains(&self.seq).then_some(gap)
    }

    /// Whether a malformed item follows.
    fn malformed_after(self) -> bool {
        self.hash(2).is_multiple_of(MALFORMED_ONE_IN)
    }

    fn hash(self, salt: u8) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.source.to_le_bytes());
        hasher.update(&self.seq.to_le_bytes());
        // The checksum in the record is over source and number alone.
        if salt > 0 {
            hasher.update(&[salt; 5]);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: Dataset = Dataset { sources: 7, per_source: 400 };

    fn of(source: u32) -> impl Iterator<Item = Reading> {
        (0..DATASET.per_source).map(move |seq| Reading { source, seq })
    }

    /// What pandas does: forward fill with limit 1, backward fill with limit 1, then the median of those before.
    fn filled_by_hand(values: &[Option<f64>]) -> Vec<Expected> {
        let one = |at: Option<usize>| at.and_then(|at| values.get(at).copied().flatten());
        let fill = |at: usize| match (values[at], one(at.checked_sub(1)), one(Some(at + 1))) {
            (Some(value), ..) => Expected { value, fill: None },
            (None, Some(value), _) => Expected { value, fill: Some(Fill::Forward) },
            (None, None, Some(value)) => Expected { value, fill: Some(Fill::Backward) },
            (None, None, None) => Expected { value: median(&values[..at]), fill: Some(Fill::Median) },
        };
        (0..values.len()).map(fill).collect()
    }

    fn median(values: &[Option<f64>]) -> f64 {
        let observed: Vec<f64> = values.iter().copied().flatten().collect();
        let mut last = observed[observed.len().saturating_sub(MEDIAN_WINDOW)..].to_vec();
        last.sort_unstable_by(f64::total_cmp);
        if last.len() % 2 == 1 { last[last.len() / 2] } else { last[last.len() / 2 - 1].midpoint(last[last.len() / 2]) }
    }

    #[test]
    fn what_is_right_is_what_two_fills_and_a_median_give() {
        for source in 0..DATASET.sources {
            let values: Vec<Option<f64>> = of(source).map(Reading::value).collect();
            let expected: Vec<Expected> = of(source).map(|reading| DATASET.expected(reading)).collect();
            assert_eq!(expected, filled_by_hand(&values));
        }
    }

    #[test]
    fn there_are_gaps_of_every_length_from_one_to_three_and_no_other() {
        let lengths: std::collections::BTreeSet<u64> =
            (0..DATASET.sources).flat_map(of).filter_map(Reading::gap).map(|gap| gap.end - gap.start).collect();
        assert_eq!(lengths, [1, 2, 3].into());
    }

    #[test]
    fn every_end_of_the_input_is_right_too() {
        for per_source in 1..60 {
            let dataset = Dataset { sources: 7, per_source };
            for source in 0..7 {
                let readings = || (0..per_source).map(move |seq| Reading { source, seq });
                let values: Vec<Option<f64>> = readings().map(Reading::value).collect();
                let expected: Vec<Expected> = readings().map(|reading| dataset.expected(reading)).collect();
                assert_eq!(expected, filled_by_hand(&values), "{per_source} of source {source}");
            }
        }
    }

    #[test]
    fn only_what_a_later_reading_decides_is_held_back_until_then() {
        for reading in (0..DATASET.sources).flat_map(of) {
            let by = DATASET.released_by(reading);
            match DATASET.expected(reading).fill {
                None | Some(Fill::Forward) => assert_eq!(by, Some(reading)),
                Some(_) if reading.seq + 1 < DATASET.per_source => {
                    assert_eq!(by.map(|by| by.seq), Some(reading.seq + 1));
                }
                Some(_) => assert_eq!(by, None),
            }
        }
    }

    #[test]
    fn readings_are_told_apart_by_value_and_by_checksum_within_a_source() {
        let values: std::collections::BTreeSet<u64> =
            (0..DATASET.sources).flat_map(of).map(|reading| reading.measured().to_bits()).collect();
        assert_eq!(values.len() as u64, DATASET.readings());
        let sums: std::collections::BTreeSet<u32> = (0..DATASET.sources).flat_map(of).map(Reading::checksum).collect();
        assert_eq!(sums.len() as u64, DATASET.readings());
    }

    #[test]
    fn items_are_all_readings_in_order_with_malformed_ones_among_them() {
        let mut next = vec![0; DATASET.sources as usize];
        for item in DATASET.items() {
            if let Item::Valid(reading) = item {
                assert_eq!(reading.seq, next[reading.source as usize]);
                next[reading.source as usize] += 1;
            }
        }
        assert_eq!(next, vec![DATASET.per_source; DATASET.sources as usize]);
        let malformed: Vec<u64> = DATASET.malformed().collect();
        assert!(malformed.len() > 50 && malformed.is_sorted_by(|a, b| a < b), "{malformed:?}");
    }
}
