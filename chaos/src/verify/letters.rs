//! Dead letters: one for each malformed item, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::ranges::Range;
use super::tally::Place;
use super::violations::{Kind, Violations};
use crate::input;
use crate::records::{Item, Shape};

/// The dead letters that one reader saw.
pub(crate) struct Letters {
    reader: &'static str,
    expected: BTreeMap<u64, String>,
    seen: BTreeMap<u64, Place>,
}

impl Letters {
    /// `text` is how an item stands in the input.
    pub(crate) fn new(shape: Shape, reader: &'static str, text: fn(Item) -> String) -> Letters {
        let expected = shape.items().filter_map(|item| match item {
            Item::Bad { id, .. } => Some((id, text(item))),
            Item::Good(_) => None,
        });
        Letters { reader, expected: expected.collect(), seen: BTreeMap::new() }
    }

    /// Takes a letter with the bytes of its record.
    pub(crate) fn take(&mut self, raw: &str, place: Place, violations: &Violations) {
        let reader = self.reader;
        let known = input::marked(raw).and_then(|id| Some((id, self.expected.get(&id)?)));
        let Some((id, expected)) = known else {
            violations
                .add(Kind::Unknown, format!("{reader}: the dead letter at {place} is of no malformed item: {raw}"));
            return;
        };
        if raw.trim_end_matches(['\r', '\n']) != expected {
            violations.add(Kind::Wrong, format!("{reader}: the dead letter at {place} has {raw} and not {expected}"));
        }
        if let Some(first) = self.seen.get(&id) {
            violations.add(Kind::Duplicate, format!("{reader}: dead letter {id} at {first} and again at {place}"));
        } else {
            self.seen.insert(id, place);
        }
    }

    /// Takes a line of an NDJSON file with the range in its name.
    pub(crate) fn take_line(&mut self, line: &str, range: &Range, place: Place, violations: &Violations) {
        let read: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let parts = read.as_ref().and_then(|read| Some((read["raw"].as_str()?, read["position"].as_u64()?)));
        let Some((raw, position)) = parts else {
            violations.add(Kind::Unknown, format!("{}: no dead letter at {place}: {line}", self.reader));
            return;
        };
        if !(range.from..range.to).contains(&position) {
            violations.add(Kind::Content, format!("{}: the dead letter at {place} is of {position}", self.reader));
        }
        self.take(raw, place, violations);
    }

    pub(crate) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Looks for what never came.
    pub(crate) fn complete(&self, violations: &Violations) {
        let lost: BTreeSet<&u64> = self.expected.keys().filter(|id| !self.seen.contains_key(id)).collect();
        for id in lost {
            violations.add(Kind::Lost, format!("{}: there is no dead letter {id}", self.reader));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { sources: 3, each: 200 };

    fn place(at: u64) -> Place {
        Place { of: "dead".into(), at }
    }

    fn all() -> Vec<String> {
        let bad = SHAPE.items().filter(|item| matches!(item, Item::Bad { .. }));
        let line = |(at, item)| serde_json::json!({ "position": at, "raw": input::line(item) }).to_string();
        (0..).zip(bad).map(|(at, item): (u64, Item)| line((at, item))).collect()
    }

    fn found(lines: &[String]) -> Vec<Kind> {
        let violations = Violations::quiet();
        let mut letters = Letters::new(SHAPE, "reader", input::line);
        let range = Range { split: 0, from: 0, to: 1_000, part: 0, name: "dead".into() };
        for (at, line) in (0..).zip(lines) {
            letters.take_line(line, &range, place(at), &violations);
        }
        letters.complete(&violations);
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
        assert_eq!(found(&lines), [Kind::Lost]);
        let mut lines = all();
        lines.push(lines[5].clone());
        assert_eq!(found(&lines), [Kind::Duplicate]);
        let mut lines = all();
        lines[2] = lines[2].replace("bad-", "x bad-");
        assert_eq!(found(&lines), [Kind::Wrong]);
        let mut lines = all();
        lines.push(r#"{"position":1,"raw":"2024-01-01T00:00:00Z,s1,4,5,6"}"#.to_owned());
        lines.push("torn".to_owned());
        assert_eq!(found(&lines), [Kind::Unknown, Kind::Unknown]);
        let mut lines = all();
        lines[4] = lines[4].replace("\"position\":4", "\"position\":1000");
        assert_eq!(found(&lines), [Kind::Content]);
    }
}
