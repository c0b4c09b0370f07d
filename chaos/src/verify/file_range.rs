//! Verifies output files against the offset ranges in their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::violations::{ViolationKind, Violations};
use crate::dataset::{Dataset, Reading};
use crate::input::InputPositions;

/// The offset range in the name of an output file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileRange {
    /// The partition; 0 for an input file.
    pub(crate) split: u32,
    pub(crate) from: u64,
    /// Not included.
    pub(crate) to: u64,
    /// The number of the file among those with the same range.
    pub(crate) sequence: u32,
    pub(crate) name: Arc<str>,
}

/// By file: its records, each with the source position that it names.
pub(crate) type RowsByRange = BTreeMap<FileRange, Vec<(Reading, Option<(u32, u64)>)>>;

fn position(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl FileRange {
    /// Parses `PREFIX_SPLIT_FROM-TO.EXTENSION`, where `_SEQUENCE` may follow the range.
    pub(crate) fn parse(name: &str) -> Option<FileRange> {
        let (bare, _) = name.rsplit_once('.')?;
        // A split may contain a dot too: only a number behind a whole range counts files.
        let (bare, number) = match bare.rsplit_once('.') {
            Some((first, number)) if number.parse::<u32>().is_ok() => (first, number.parse().ok()?),
            _ => (bare, 0u32),
        };
        let (rest, last) = bare.rsplit_once('_')?;
        let (rest, range, sequence) = match last.parse::<u32>() {
            Ok(sequence) => {
                let (rest, range) = rest.rsplit_once('_')?;
                (rest, range, sequence)
            }
            Err(_) => (rest, last, 0),
        };
        let (from, to) = range.split_once('-')?;
        let split = rest.rsplit_once('-').and_then(|(_, partition)| partition.parse().ok()).unwrap_or(0);
        let sequence = sequence * 1_000 + number;
        Some(FileRange { split, from: position(from)?, to: position(to)?, sequence, name: name.into() })
    }

    /// Adds a violation for each other range of the split that overlaps this one.
    pub(crate) fn check_disjoint<'a>(&self, others: impl IntoIterator<Item = &'a FileRange>, violations: &Violations) {
        for other in others.into_iter().filter(|other| other.split == self.split && other.name != self.name) {
            let same = (other.from, other.to) == (self.from, self.to) && other.sequence != self.sequence;
            if other.from < self.to && self.from < other.to && !same {
                violations.add(ViolationKind::Overlap, format!("{} and {}", other.name, self.name));
            }
        }
    }
}

/// Verifies all ranges together, and that each file holds the records of its range.
pub(crate) fn check(
    dataset: Dataset,
    positions: &InputPositions,
    rows_by_range: &RowsByRange,
    violations: &Violations,
) {
    // A held record is written with the record that released it.
    let released =
        |reading: Reading| dataset.released_by(reading).and_then(|by| positions.readings.get(&by)).map(|by| by.1);
    for (split, end) in &positions.ends {
        let ranges: Vec<&FileRange> = rows_by_range.keys().filter(|range| range.split == *split).collect();
        let mut at = 0;
        let mut before = "the beginning";
        let mut gaps = Vec::new();
        for range in &ranges {
            if range.from < at {
                violations.add(ViolationKind::Overlap, format!("{before} and {}", range.name));
            } else if range.from > at {
                gaps.push((at, range.from, before, &*range.name));
            }
            (at, before) = (at.max(range.to), &range.name);
        }
        if at < *end {
            gaps.push((at, *end, before, "the end"));
        }
        for (from, to, before, after) in gaps {
            // A checkpoint without records leaves no file.
            let inside = positions.readings.iter().filter(|(_, location)| location.0 == *split);
            let lost = inside
                .map(|(reading, _)| *reading)
                .find(|reading| released(*reading).is_some_and(|at| (from..to).contains(&at)));
            if let Some(lost) = lost {
                violations.add(
                    ViolationKind::Gap,
                    format!("{from} to {to} is in no file, with {lost}: {before}, then {after}"),
                );
            }
        }
    }
    for (range, rows) in rows_by_range {
        for (reading, from) in rows {
            let location = positions.readings.get(reading);
            if from.is_some() && from.as_ref() != location {
                violations.add(
                    ViolationKind::Wrong,
                    format!("{}: {reading} says it was read at {from:?}, not {location:?}", range.name),
                );
            }
            let inside = match released(*reading) {
                Some(at) => (range.from..range.to).contains(&at),
                None => positions.ends.get(&range.split).is_some_and(|end| range.to == *end),
            };
            if !inside || location.is_some_and(|location| location.0 != range.split) {
                violations.add(
                    ViolationKind::Content,
                    format!("{}: {reading}, of {location:?}, is not to be there", range.name),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    const DATASET: Dataset = Dataset { sources: 3, per_source: 64 };

    fn name(from: u64, to: u64) -> String {
        format!("out_in.csv_{from:020}-{to:020}.csv")
    }

    /// The files of a run with checkpoints at these positions.
    fn rows_by_range(cuts: &[u64]) -> (InputPositions, RowsByRange) {
        let (_, positions) = input::file(DATASET);
        let end = positions.ends[&0];
        let mut rows_by_range = RowsByRange::new();
        let cuts: Vec<u64> = cuts.iter().copied().filter(|cut| *cut < end).chain([end]).collect();
        let mut from = 0;
        for to in cuts {
            let is_in = |reading: &Reading| match DATASET.released_by(*reading) {
                Some(by) => (from..to).contains(&positions.readings[&by].1),
                None => to == end,
            };
            let rows: Vec<_> = positions
                .readings
                .iter()
                .filter(|(reading, _)| is_in(reading))
                .map(|(r, at)| (*r, Some(*at)))
                .collect();
            if !rows.is_empty() {
                rows_by_range.insert(FileRange::parse(&name(from, to)).expect("a range"), rows);
            }
            from = to;
        }
        (positions, rows_by_range)
    }

    fn found(positions: &InputPositions, rows_by_range: &RowsByRange) -> Vec<ViolationKind> {
        let violations = Violations::quiet();
        check(DATASET, positions, rows_by_range, &violations);
        violations.counts().into_keys().collect()
    }

    #[test]
    fn names_are_read_with_their_split_range_and_part() {
        let range = FileRange::parse("out_chaos-in-2_00000000000000000100-00000000000000000200.csv").expect("a range");
        assert_eq!((range.split, range.from, range.to, range.sequence), (2, 100, 200, 0));
        let range = FileRange::parse("out_in.csv_00000000000000000100-00000000000000000100_3.2.csv").expect("a range");
        assert_eq!((range.split, range.from, range.to, range.sequence), (0, 100, 100, 3_002));
        for unexpected in ["out.csv", "out_in_1-2.csv", "x", "out_00000000000000000100.csv"] {
            assert_eq!(FileRange::parse(unexpected), None, "{unexpected}");
        }
    }

    #[test]
    fn files_cut_anywhere_are_right() {
        for step in [40, 97, 500, 100_000] {
            let cuts: Vec<u64> = (1..200).map(|cut| cut * step).collect();
            let (positions, rows_by_range) = rows_by_range(&cuts);
            assert_eq!(found(&positions, &rows_by_range), [], "cut every {step} bytes");
        }
    }

    #[test]
    fn a_file_that_is_gone_leaves_a_gap_in_the_middle_and_at_either_end() {
        for at in [0, 5, 19] {
            let (positions, mut rows_by_range) = rows_by_range(&(1..20).map(|cut| cut * 300).collect::<Vec<_>>());
            let range = rows_by_range.keys().nth(at).or(rows_by_range.keys().last()).cloned().expect("files");
            rows_by_range.remove(&range);
            assert_eq!(found(&positions, &rows_by_range), [ViolationKind::Gap], "without {}", range.name);
        }
    }

    #[test]
    fn a_file_whose_range_overlaps_that_of_another_is_found_at_once_and_at_the_end() {
        let (positions, mut rows_by_range) = rows_by_range(&[1_000, 2_000, 3_000]);
        let other = FileRange::parse(&name(1_500, 1_600)).expect("a range");
        let violations = Violations::quiet();
        other.check_disjoint(rows_by_range.keys(), &violations);
        assert_eq!(violations.first()[0].kind, ViolationKind::Overlap);
        rows_by_range.insert(other, Vec::new());
        assert_eq!(found(&positions, &rows_by_range), [ViolationKind::Overlap]);
    }

    #[test]
    fn a_record_in_the_file_of_another_range_is_found() {
        let (positions, mut rows_by_range) = rows_by_range(&[1_000, 2_000, 3_000]);
        let mut files = rows_by_range.values_mut();
        let (first, second) = (files.next().expect("a file"), files.next().expect("a file"));
        second.push(first.pop().expect("a record"));
        assert_eq!(found(&positions, &rows_by_range), [ViolationKind::Content]);
    }

    #[test]
    fn a_record_that_says_it_was_read_elsewhere_is_found() {
        let (positions, mut rows_by_range) = rows_by_range(&[1_000]);
        let record = rows_by_range.values_mut().next().and_then(|rows| rows.get_mut(7)).expect("a record");
        record.1 = Some((0, 3));
        assert_eq!(found(&positions, &rows_by_range), [ViolationKind::Wrong]);
    }
}
