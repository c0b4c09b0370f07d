//! What the names of output files say: the range of its split that was read for each, and so what must be in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::violations::{Kind, Violations};
use crate::input::Places;
use crate::records::{Reading, Shape};

/// A file by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    /// A partition; 0 for a file.
    pub(crate) split: u32,
    pub(crate) from: u64,
    /// Not included.
    pub(crate) to: u64,
    /// Which one it is of those with the same range.
    pub(crate) part: u32,
    pub(crate) name: Arc<str>,
}

/// The files of an output directory with what is in them.
pub(crate) type Contents = BTreeMap<Range, Vec<(Reading, Option<(u32, u64)>)>>;

fn position(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

impl Range {
    /// The range in `PREFIX_LANE_FROM-TO.EXTENSION`, with `_PART` behind it where there is one.
    pub(crate) fn of(name: &str) -> Option<Range> {
        let (bare, _) = name.rsplit_once('.')?;
        // A split may have a point too: only a number behind a whole range is one of several files.
        let (bare, number) = match bare.rsplit_once('.') {
            Some((first, number)) if number.parse::<u32>().is_ok() => (first, number.parse().ok()?),
            _ => (bare, 0u32),
        };
        let (rest, last) = bare.rsplit_once('_')?;
        let (rest, range, part) = match last.parse::<u32>() {
            Ok(part) => {
                let (rest, range) = rest.rsplit_once('_')?;
                (rest, range, part)
            }
            Err(_) => (rest, last, 0),
        };
        let (from, to) = range.split_once('-')?;
        let split = rest.rsplit_once('-').and_then(|(_, partition)| partition.parse().ok()).unwrap_or(0);
        let part = part * 1_000 + number;
        Some(Range { split, from: position(from)?, to: position(to)?, part, name: name.into() })
    }

    /// Looks whether this range and others of its split overlap.
    pub(crate) fn apart<'a>(&self, others: impl IntoIterator<Item = &'a Range>, violations: &Violations) {
        for other in others.into_iter().filter(|other| other.split == self.split && other.name != self.name) {
            let same = (other.from, other.to) == (self.from, self.to) && other.part != self.part;
            if other.from < self.to && self.from < other.to && !same {
                violations.add(Kind::Overlap, format!("{} and {}", other.name, self.name));
            }
        }
    }
}

/// Looks at all ranges together, and whether each file holds what was to be written for its range.
pub(crate) fn check(shape: Shape, places: &Places, contents: &Contents, violations: &Violations) {
    // What a record releases is written where that record was read.
    let released = |reading: Reading| shape.released_by(reading).and_then(|by| places.readings.get(&by)).map(|by| by.1);
    for (split, end) in &places.ends {
        let ranges: Vec<&Range> = contents.keys().filter(|range| range.split == *split).collect();
        let mut at = 0;
        let mut before = "the beginning";
        let mut gaps = Vec::new();
        for range in &ranges {
            if range.from < at {
                violations.add(Kind::Overlap, format!("{before} and {}", range.name));
            } else if range.from > at {
                gaps.push((at, range.from, before, &*range.name));
            }
            (at, before) = (at.max(range.to), &range.name);
        }
        if at < *end {
            gaps.push((at, *end, before, "the end"));
        }
        for (from, to, before, after) in gaps {
            // A cut that wrote no record leaves no file.
            let inside = places.readings.iter().filter(|(_, place)| place.0 == *split);
            let lost = inside
                .map(|(reading, _)| *reading)
                .find(|reading| released(*reading).is_some_and(|at| (from..to).contains(&at)));
            if let Some(lost) = lost {
                violations.add(Kind::Gap, format!("{from} to {to} is in no file, with {lost}: {before}, then {after}"));
            }
        }
    }
    for (range, rows) in contents {
        for (reading, from) in rows {
            let place = places.readings.get(reading);
            if from.is_some() && from.as_ref() != place {
                violations
                    .add(Kind::Wrong, format!("{}: {reading} says it was read at {from:?}, not {place:?}", range.name));
            }
            let inside = match released(*reading) {
                Some(at) => (range.from..range.to).contains(&at),
                None => places.ends.get(&range.split).is_some_and(|end| range.to == *end),
            };
            if !inside || place.is_some_and(|place| place.0 != range.split) {
                violations.add(Kind::Content, format!("{}: {reading}, of {place:?}, is not to be there", range.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;

    const SHAPE: Shape = Shape { sources: 3, each: 64 };

    fn name(from: u64, to: u64) -> String {
        format!("out_in.csv_{from:020}-{to:020}.csv")
    }

    /// The files that a run writes which is cut at these positions.
    fn contents(cuts: &[u64]) -> (Places, Contents) {
        let (_, places) = input::file(SHAPE);
        let end = places.ends[&0];
        let mut contents = Contents::new();
        let cuts: Vec<u64> = cuts.iter().copied().filter(|cut| *cut < end).chain([end]).collect();
        let mut from = 0;
        for to in cuts {
            let is_in = |reading: &Reading| match SHAPE.released_by(*reading) {
                Some(by) => (from..to).contains(&places.readings[&by].1),
                None => to == end,
            };
            let rows: Vec<_> =
                places.readings.iter().filter(|(reading, _)| is_in(reading)).map(|(r, at)| (*r, Some(*at))).collect();
            if !rows.is_empty() {
                contents.insert(Range::of(&name(from, to)).expect("a range"), rows);
            }
            from = to;
        }
        (places, contents)
    }

    fn found(places: &Places, contents: &Contents) -> Vec<Kind> {
        let violations = Violations::quiet();
        check(SHAPE, places, contents, &violations);
        violations.counts().into_keys().collect()
    }

    #[test]
    fn names_are_read_with_their_split_range_and_part() {
        let range = Range::of("out_chaos-in-2_00000000000000000100-00000000000000000200.csv").expect("a range");
        assert_eq!((range.split, range.from, range.to, range.part), (2, 100, 200, 0));
        let range = Range::of("out_in.csv_00000000000000000100-00000000000000000100_3.2.csv").expect("a range");
        assert_eq!((range.split, range.from, range.to, range.part), (0, 100, 100, 3_002));
        for strange in ["out.csv", "out_in_1-2.csv", "x", "out_00000000000000000100.csv"] {
            assert_eq!(Range::of(strange), None, "{strange}");
        }
    }

    #[test]
    fn files_cut_anywhere_are_right() {
        for step in [40, 97, 500, 100_000] {
            let cuts: Vec<u64> = (1..200).map(|cut| cut * step).collect();
            let (places, contents) = contents(&cuts);
            assert_eq!(found(&places, &contents), [], "cut every {step} bytes");
        }
    }

    #[test]
    fn a_file_that_is_gone_leaves_a_gap_in_the_middle_and_at_either_end() {
        for at in [0, 5, 19] {
            let (places, mut contents) = contents(&(1..20).map(|cut| cut * 300).collect::<Vec<_>>());
            let range = contents.keys().nth(at).or(contents.keys().last()).cloned().expect("files");
            contents.remove(&range);
            assert_eq!(found(&places, &contents), [Kind::Gap], "without {}", range.name);
        }
    }

    #[test]
    fn a_file_whose_range_overlaps_that_of_another_is_found_at_once_and_at_the_end() {
        let (places, mut contents) = contents(&[1_000, 2_000, 3_000]);
        let other = Range::of(&name(1_500, 1_600)).expect("a range");
        let violations = Violations::quiet();
        other.apart(contents.keys(), &violations);
        assert_eq!(violations.first()[0].kind, Kind::Overlap);
        contents.insert(other, Vec::new());
        assert_eq!(found(&places, &contents), [Kind::Overlap]);
    }

    #[test]
    fn a_record_in_the_file_of_another_range_is_found() {
        let (places, mut contents) = contents(&[1_000, 2_000, 3_000]);
        let mut files = contents.values_mut();
        let (first, second) = (files.next().expect("a file"), files.next().expect("a file"));
        second.push(first.pop().expect("a record"));
        assert_eq!(found(&places, &contents), [Kind::Content]);
    }

    #[test]
    fn a_record_that_says_it_was_read_elsewhere_is_found() {
        let (places, mut contents) = contents(&[1_000]);
        let row = contents.values_mut().next().and_then(|rows| rows.get_mut(7)).expect("a record");
        row.1 = Some((0, 3));
        assert_eq!(found(&places, &contents), [Kind::Wrong]);
    }
}
