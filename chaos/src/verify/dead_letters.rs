//! Verifies dead letters: one for each malformed item, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::file_range::FileRange;
use super::tracker::Location;
use super::violations::{ViolationKind, Violations};
use crate::dataset::{Dataset, Item};
use crate::input;

/// The dead letters that one reader has seen.
pub(crate) struct DeadLetterTracker {
    reader: &'static str,
    expected: BTreeMap<u64, String>,
    seen: BTreeMap<u64, Location>,
}

impl DeadLetterTracker {
    /// `text` gives the text of an item in the input.
    pub(crate) fn new(dataset: Dataset, reader: &'static str, text: fn(Item) -> String) -> DeadLetterTracker {
        let expected = dataset.items().filter_map(|item| match item {
            Item::Malformed { id, .. } => Some((id, text(item))),
            Item::Valid(_) => None,
        });
        DeadLetterTracker { reader, expected: expected.collect(), seen: BTreeMap::new() }
    }

    /// Takes a dead letter with the bytes of its record.
    pub(crate) fn take(&mut self, raw: &str, location: Location, violations: &Violations) {
        let reader = self.reader;
        let known = input::malformed_id(raw).and_then(|id| Some((id, self.expected.get(&id)?)));
        let Some((id, expected)) = known else {
            violations.add(
                ViolationKind::Unknown,
                format!("{reader}: the dead letter at {location} is of no malformed item: {raw}"),
            );
            return;
        };
        if raw.trim_end_matches(['\r', '\n']) != expected {
            violations.add(
                ViolationKind::Wrong,
                format!("{reader}: the dead letter at {location} has {raw} and not {expected}"),
            );
        }
        if let Some(first) = self.seen.get(&id) {
            violations.add(
                ViolationKind::Duplicate,
                format!("{reader}: dead letter {id} at {first} and again at {location}"),
            );
        } else {
            self.seen.insert(id, location);
        }
    }

    /// Takes a line of an NDJSON file; `range` is that of the file.
    pub(crate) fn take_line(&mut self, line: &str, range: &FileRange, location: Location, violations: &Violations) {
        let read: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let parts = read.as_ref().and_then(|read| Some((read["raw"].as_str()?, read["position"].as_u64()?)));
        let Some((raw, position)) = parts else {
            violations.add(ViolationKind::Unknown, format!("{}: no dead letter at {location}: {line}", self.reader));
            return;
        };
        if !(range.from..range.to).contains(&position) {
            violations.add(
                ViolationKind::Content,
                format!("{}: the dead letter at {location} is of {position}", self.reader),
            );
        }
        self.take(raw, location, violations);
    }

    pub(crate) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Adds a violation for each dead letter that never came.
    pub(crate) fn complete(&self, violations: &Violations) {
        let lost: BTreeSet<&u64> = self.expected.keys().filter(|id| !self.seen.contains_key(id)).collect();
        for id in lost {
            violations.add(ViolationKind::Lost, format!("{}: there is no dead letter {id}", self.reader));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: Dataset = Dataset { sources: 3, per_source: 200 };

    fn location(at: u64) -> Location {
        Location { container: "dead".into(), at }
    }

    fn all() -> Vec<String> {
        let malformed = DATASET.items().filter(|item| matches!(item, Item::Malformed { .. }));
        let line = |(at, item)| serde_json::json!({ "position": at, "raw": input::line(item) }).to_string();
        (0..).zip(malformed).map(|(at, item): (u64, Item)| line((at, item))).collect()
    }

    fn found(lines: &[String]) -> Vec<ViolationKind> {
        let violations = Violations::quiet();
        let mut dead_letters = DeadLetterTracker::new(DATASET, "reader", input::line);
        let range = FileRange { split: 0, from: 0, to: 1_000, sequence: 0, name: "dead".into() };
        for (at, line) in (0..).zip(lines) {
            dead_letters.take_line(line, &range, location(at), &violations);
        }
        dead_letters.complete(&violations);
        violations.first().into_iter().map(|violation| violation.kind).collect()
    }

    #[test]
    fn one_letter_for_each_malformed_item_is_right_in_any_order() {
        let mut lines = all();
        assert!(lines.len() > 10);
        lines.reverse();
        assert_eq!(found(&lines), []);
    }

    #[test]
    fn letters_that_are_lost_repeated_changed_foreign_or_in_another_file_are_found() {
        let mut lines = all();
        lines.remove(3);
        assert_eq!(found(&lines), [ViolationKind::Lost]);
        let mut lines = all();
        lines.push(lines[5].clone());
        assert_eq!(found(&lines), [ViolationKind::Duplicate]);
        let mut lines = all();
        lines[2] = lines[2].replace("bad-", "x bad-");
        assert_eq!(found(&lines), [ViolationKind::Wrong]);
        let mut lines = all();
        lines.push(r#"{"position":1,"raw":"2024-01-01T00:00:00Z,s1,4,5,6"}"#.to_owned());
        lines.push("torn".to_owned());
        assert_eq!(found(&lines), [ViolationKind::Unknown, ViolationKind::Unknown]);
        let mut lines = all();
        lines[4] = lines[4].replace("\"position\":4", "\"position\":1000");
        assert_eq!(found(&lines), [ViolationKind::Content]);
    }
}
