//! What is fed into a pipeline, and what has to come out of it.
//!
//! A reading is known by its source and its number there, and all of it follows from the two: nothing has to be
//! remembered to say what is right. Its measurement is missing in gaps of one to three, so that the only right way to
//! fill it depends on the readings before and after: state that a transform loses or takes in twice shows in the value.

use std::ops::Range;

/// What `impute` puts where neither neighbour is near enough. No reading has this value.
pub(crate) const CONSTANT: f64 = -7.5;
/// Readings of a source in a block with one gap at most. Its first and last are always there, so that gaps never join.
const BLOCK: u64 = 8;
/// One item in so many is malformed.
const MALFORMED: u32 = 29;
/// Noon of no special day: the first timestamp, in seconds.
const START: i64 = 1_704_110_400;

/// How many readings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) sources: u32,
    /// Readings of each source.
    pub(crate) each: u64,
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
    Good(Reading),
    /// Something that is no record, among the readings of a source.
    Bad {
        id: u64,
        source: u32,
    },
}

/// How a missing value is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Forward,
    Backward,
    Constant,
}

/// The measurement as it has to come out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Right {
    pub(crate) value: f64,
    pub(crate) fill: Option<Fill>,
}

impl Fill {
    /// As aqpipe writes it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Fill::Forward => "forward_fill(1)",
            Fill::Backward => "backward_fill(1)",
            Fill::Constant => "constant",
        }
    }
}

impl Shape {
    pub(crate) fn readings(self) -> u64 {
        u64::from(self.sources) * self.each
    }

    /// Everything there is, in the order in which it is fed.
    pub(crate) fn items(self) -> impl Iterator<Item = Item> {
        let turns = (0..self.each).flat_map(move |seq| (0..self.sources).map(move |source| Reading { source, seq }));
        turns.zip(0..).flat_map(|(reading, id)| {
            let bad = reading.bad_after().then_some(Item::Bad { id, source: reading.source });
            [Some(Item::Good(reading)), bad].into_iter().flatten()
        })
    }

    /// The numbers of all that is no record.
    pub(crate) fn bad(self) -> impl Iterator<Item = u64> {
        self.items().filter_map(|item| match item {
            Item::Bad { id, .. } => Some(id),
            Item::Good(_) => None,
        })
    }

    /// What has to come out for a reading.
    pub(crate) fn right(self, reading: Reading) -> Right {
        let Some(gap) = reading.gap() else { return Right { value: reading.measured(), fill: None } };
        let at = |seq| Reading { seq, ..reading };
        if reading.seq == gap.start {
            return Right { value: at(gap.start - 1).measured(), fill: Some(Fill::Forward) };
        }
        if reading.seq + 1 == gap.end && gap.end < self.each {
            return Right { value: at(gap.end).measured(), fill: Some(Fill::Backward) };
        }
        Right { value: CONSTANT, fill: Some(Fill::Constant) }
    }

    /// The reading whose arrival lets this one go on: its own, or where it is held back, the next one of its source.
    /// `None` where only the end of the input does.
    pub(crate) fn released_by(self, reading: Reading) -> Option<Reading> {
        let held = reading.gap().is_some_and(|gap| reading.seq > gap.start);
        let by = Reading { seq: reading.seq + u64::from(held), ..reading };
        (by.seq < self.each).then_some(by)
    }
}

impl Reading {
    /// The key, and the station.
    pub(crate) fn key(self) -> String {
        format!("s{}", self.source)
    }

    pub(crate) fn checksum(self) -> u32 {
        self.hash(0)
    }

    /// Seconds since 1970: an hour from reading to reading.
    pub(crate) fn seconds(self) -> i64 {
        START + 3_600 * i64::try_from(self.seq).unwrap_or(i64::MAX / 7_200)
    }

    /// The timestamp in text.
    pub(crate) fn timestamp(self) -> String {
        jiff::Timestamp::from_second(self.seconds()).map_or_else(|error| error.to_string(), |time| time.to_string())
    }

    /// The measurement; `None` where it is missing.
    pub(crate) fn value(self) -> Option<f64> {
        self.gap().is_none().then(|| self.measured())
    }

    /// A value that no other reading has, and that a float holds exactly.
    fn measured(self) -> f64 {
        (self.seq * 64 + u64::from(self.source)) as f64 / 8.0
    }

    /// The gap that it is in.
    fn gap(self) -> Option<Range<u64>> {
        let block = self.seq / BLOCK;
        let hash = u64::from(Reading { seq: block, ..self }.hash(1));
        let start = block * BLOCK + 1 + hash % 3;
        let gap = start..start + (hash / 3) % 4;
        gap.contains(&self.seq).then_some(gap)
    }

    /// Whether something malformed follows it.
    fn bad_after(self) -> bool {
        self.hash(2).is_multiple_of(MALFORMED)
    }

    fn hash(self, salt: u8) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.source.to_le_bytes());
        hasher.update(&self.seq.to_le_bytes());
        // The checksum proper is over source and number alone.
        if salt > 0 {
            hasher.update(&[salt; 5]);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { sources: 7, each: 400 };

    fn of(source: u32) -> impl Iterator<Item = Reading> {
        (0..SHAPE.each).map(move |seq| Reading { source, seq })
    }

    /// What pandas would do: the last value over one reading, the next one over one, then the constant.
    fn filled_by_hand(values: &[Option<f64>]) -> Vec<Right> {
        let one = |at: Option<usize>| at.and_then(|at| values.get(at).copied().flatten());
        let fill = |at: usize| match (values[at], one(at.checked_sub(1)), one(Some(at + 1))) {
            (Some(value), ..) => Right { value, fill: None },
            (None, Some(value), _) => Right { value, fill: Some(Fill::Forward) },
            (None, None, Some(value)) => Right { value, fill: Some(Fill::Backward) },
            (None, None, None) => Right { value: CONSTANT, fill: Some(Fill::Constant) },
        };
        (0..values.len()).map(fill).collect()
    }

    #[test]
    fn what_is_right_is_what_two_fills_and_a_constant_give() {
        for source in 0..SHAPE.sources {
            let values: Vec<Option<f64>> = of(source).map(Reading::value).collect();
            let right: Vec<Right> = of(source).map(|reading| SHAPE.right(reading)).collect();
            assert_eq!(right, filled_by_hand(&values));
        }
    }

    #[test]
    fn there_are_gaps_of_every_length_from_one_to_three_and_no_other() {
        let lengths: std::collections::BTreeSet<u64> =
            (0..SHAPE.sources).flat_map(of).filter_map(Reading::gap).map(|gap| gap.end - gap.start).collect();
        assert_eq!(lengths, [1, 2, 3].into());
    }

    #[test]
    fn every_end_of_the_input_is_right_too() {
        for each in 1..60 {
            let shape = Shape { sources: 7, each };
            for source in 0..7 {
                let readings = || (0..each).map(move |seq| Reading { source, seq });
                let values: Vec<Option<f64>> = readings().map(Reading::value).collect();
                let right: Vec<Right> = readings().map(|reading| shape.right(reading)).collect();
                assert_eq!(right, filled_by_hand(&values), "{each} of source {source}");
            }
        }
    }

    #[test]
    fn only_what_a_later_reading_decides_is_held_back_until_then() {
        for reading in (0..SHAPE.sources).flat_map(of) {
            let by = SHAPE.released_by(reading);
            match SHAPE.right(reading).fill {
                None | Some(Fill::Forward) => assert_eq!(by, Some(reading)),
                Some(_) if reading.seq + 1 < SHAPE.each => assert_eq!(by.map(|by| by.seq), Some(reading.seq + 1)),
                Some(_) => assert_eq!(by, None),
            }
        }
    }

    #[test]
    fn readings_are_told_apart_by_value_and_by_checksum_within_a_source() {
        let values: std::collections::BTreeSet<u64> =
            (0..SHAPE.sources).flat_map(of).map(|reading| reading.measured().to_bits()).collect();
        assert_eq!(values.len() as u64, SHAPE.readings());
        let sums: std::collections::BTreeSet<u32> = (0..SHAPE.sources).flat_map(of).map(Reading::checksum).collect();
        assert_eq!(sums.len() as u64, SHAPE.readings());
    }

    #[test]
    fn items_are_all_readings_in_order_with_malformed_ones_among_them() {
        let mut next = vec![0; SHAPE.sources as usize];
        for item in SHAPE.items() {
            if let Item::Good(reading) = item {
                assert_eq!(reading.seq, next[reading.source as usize]);
                next[reading.source as usize] += 1;
            }
        }
        assert_eq!(next, vec![SHAPE.each; SHAPE.sources as usize]);
        let bad: Vec<u64> = SHAPE.bad().collect();
        assert!(bad.len() > 50 && bad.is_sorted_by(|a, b| a < b), "{bad:?}");
    }
}
