//! Dead letters: one for each malformed item, and no other.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::Place;
use super::violations::{Kind, Violations};
use crate::input;
use crate::records::Shape;

/// The dead letters that one reader saw.
pub(crate) struct Letters {
    reader: &'static str,
    expected: BTreeMap<u64, String>,
    seen: BTreeMap<u64, Place>,
}

impl Letters {
    /// `text` is how an item stands in the input.
    pub(crate) fn new(shape: Shape, reader: &'static str, text: fn(crate::records::Item) -> String) -> Letters {
        let expected = shape.items().filter_map(|item| match item {
            crate::records::Item::Bad { id, .. } => Some((id, text(item))),
            crate::records::Item::Good(_) => None,
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

    /// Takes a line of an NDJSON file.
    pub(crate) fn take_line(&mut self, line: &str, place: Place, violations: &Violations) {
        let read: Option<serde_json::Value> = serde_json::from_str(line).ok();
        match read.as_ref().and_then(|read| read["raw"].as_str()) {
            Some(raw) => self.take(raw, place, violations),
            None => violations.add(Kind::Unknown, format!("{}: no dead letter at {place}: {line}", self.reader)),
        }
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
    use crate::records::Item;

    const SHAPE: Shape = Shape { sources: 3, each: 200 };

    fn place(at: u64) -> Place {
        Place { of: "dead".into(), at }
    }

    fn all() -> Vec<String> {
        let bad = SHAPE.items().filter(|item| matches!(item, Item::Bad { .. }));
        bad.map(|item| serde_json::json!({ "lane": "in.csv", "raw": input::line(item) }).to_string()).collect()
    }

    fn found(lines: &[String]) -> Vec<Kind> {
        let violations = Violations::quiet();
        let mut letters = Letters::new(SHAPE, "reader", input::line);
        for (at, line) in (0..).zip(lines) {
            letters.take_line(line, place(at), &violations);
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
    fn letters_that_are_lost_repeated_changed_or_foreign_are_found() {
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
        lines.push(r#"{"raw":"2024-01-01T00:00:00Z,s1,4,5,6"}"#.to_owned());
        lines.push("torn".to_owned());
        assert_eq!(found(&lines), [Kind::Unknown, Kind::Unknown]);
    }
}
