//! Verifies records: each is right, there once, in order, and stays at its location.

use std::fmt;
use std::sync::Arc;

use super::output_record::OutputRecord;
use super::violations::{ViolationKind, Violations};
use crate::dataset::{Dataset, Reading};

/// The location of a record in the output: a file and a line, or a partition and an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) container: Arc<str>,
    pub(crate) at: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.container, self.at)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{} #{}", self.source, self.seq)
    }
}

/// The records that one reader has seen.
pub(crate) struct RecordTracker {
    dataset: Dataset,
    /// The name of the reader in reports.
    reader: &'static str,
    /// Whether records are taken in the order in which they were written.
    ordered: bool,
    sources: Vec<SourceTracker>,
    count: u64,
}

#[derive(Clone, Default)]
struct SourceTracker {
    /// The sequence number that comes next.
    next: u64,
    positions: Vec<Option<Location>>,
}

impl RecordTracker {
    pub(crate) fn new(dataset: Dataset, reader: &'static str, ordered: bool) -> RecordTracker {
        let per_source = usize::try_from(dataset.per_source).unwrap_or(usize::MAX);
        let seen = SourceTracker { next: 0, positions: vec![None; per_source] };
        RecordTracker { dataset, reader, ordered, sources: vec![seen; dataset.sources as usize], count: 0 }
    }

    /// How many distinct records were seen.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    fn seen(&mut self, reading: Reading) -> Option<&mut SourceTracker> {
        let known = reading.seq < self.dataset.per_source;
        self.sources.get_mut(reading.source as usize).filter(|_| known)
    }

    /// Takes a record.
    pub(crate) fn take(&mut self, record: &OutputRecord, location: &Location, violations: &Violations) {
        let (reader, ordered, reading) = (self.reader, self.ordered, record.reading);
        let at = usize::try_from(reading.seq).unwrap_or(usize::MAX);
        let Some(seen) = self.seen(reading) else {
            violations.add(ViolationKind::Unknown, format!("{reader}: {reading} at {location} was never fed"));
            return;
        };
        if let Some(first) = &seen.positions[at] {
            violations.add(ViolationKind::Duplicate, format!("{reader}: {reading} at {first} and again at {location}"));
            return;
        }
        if ordered && reading.seq != seen.next {
            let what = if reading.seq > seen.next { "too early" } else { "late" };
            let expected = seen.next;
            violations.add(
                ViolationKind::Order,
                format!("{reader}: {reading} at {location} comes {what}: #{expected} was to come next"),
            );
        }
        seen.next = seen.next.max(reading.seq + 1);
        seen.positions[at] = Some(location.clone());
        self.count += 1;
        self.compare(record, location, violations);
    }

    fn compare(&self, record: &OutputRecord, location: &Location, violations: &Violations) {
        let (reader, reading) = (self.reader, record.reading);
        let expected = self.dataset.expected(reading);
        let fill = expected.fill.map_or("", |fill| fill.text());
        if record.value != Some(expected.value) || record.fill != fill {
            let value = record.value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let detail = format!(
                "{reader}: {reading} at {location} has {value} `{}` where {} `{fill}` is right",
                record.fill, expected.value
            );
            violations.add(ViolationKind::Wrong, detail);
        }
        if record.checksum != f64::from(reading.checksum()) || record.time != reading.seconds() {
            violations.add(
                ViolationKind::Wrong,
                format!("{reader}: {reading} at {location} has the checksum or time of another"),
            );
        }
    }

    /// Adds a violation for each record that never came.
    pub(crate) fn complete(&self, violations: &Violations) {
        for (source, seen) in (0..).zip(&self.sources) {
            for (seq, _) in (0..).zip(&seen.positions).filter(|(_, location)| location.is_none()) {
                let reading = Reading { source, seq };
                let neighbour = |seq: Option<usize>| {
                    let location = seq.and_then(|seq| seen.positions.get(seq)).and_then(Option::as_ref);
                    location.map_or_else(|| "nowhere".to_owned(), ToString::to_string)
                };
                let at = usize::try_from(seq).unwrap_or(usize::MAX);
                let (before, after) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
                violations.add(
                    ViolationKind::Lost,
                    format!(
                        "{}: {reading} is missing; the one before is at {before}, the next at {after}",
                        self.reader
                    ),
                );
            }
        }
    }

    /// Adds a violation for each record that an earlier reader saw at another location.
    pub(crate) fn agrees_with(&self, earlier: &RecordTracker, violations: &Violations) {
        for (source, (now, before)) in (0..).zip(self.sources.iter().zip(&earlier.sources)) {
            for (seq, (now, before)) in (0..).zip(now.positions.iter().zip(&before.positions)) {
                if let Some(before) = before.as_ref().filter(|before| now.as_ref() != Some(*before)) {
                    let now = now.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
                    let (reading, reader) = (Reading { source, seq }, earlier.reader);
                    violations.add(
                        ViolationKind::Changed,
                        format!("{reading} was seen by the {reader} at {before} and is now {now}"),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: Dataset = Dataset { sources: 2, per_source: 50 };

    fn record(source: u32, seq: u64) -> OutputRecord {
        let reading = Reading { source, seq };
        let expected = DATASET.expected(reading);
        OutputRecord {
            reading,
            checksum: reading.checksum().into(),
            time: reading.seconds(),
            value: Some(expected.value),
            fill: expected.fill.map_or(String::new(), |fill| fill.text().to_owned()),
            from: None,
        }
    }

    /// The violations of records in this order.
    fn found(rows: impl IntoIterator<Item = OutputRecord>) -> Vec<ViolationKind> {
        let violations = Violations::quiet();
        let mut tracker = RecordTracker::new(DATASET, "reader", true);
        for (at, record) in (0..).zip(rows) {
            tracker.take(&record, &Location { container: "t/0".into(), at }, &violations);
        }
        tracker.complete(&violations);
        violations.first().into_iter().map(|violation| violation.kind).collect()
    }

    fn all() -> Vec<OutputRecord> {
        (0..DATASET.per_source).flat_map(|seq| [record(0, seq), record(1, seq)]).collect()
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        assert_eq!(found(all()), []);
    }

    #[test]
    fn a_duplicate_is_found_at_once_and_named_with_both_places() {
        let violations = Violations::quiet();
        let mut tracker = RecordTracker::new(DATASET, "reader", true);
        for (at, record) in [record(0, 0), record(0, 1), record(0, 0)].iter().enumerate() {
            tracker.take(record, &Location { container: "t/0".into(), at: at as u64 }, &violations);
        }
        let first = violations.first();
        assert_eq!(first[0].to_string(), "Duplicate: reader: s0 #0 at t/0@0 and again at t/0@2");
        assert_eq!(first.len(), 1);
    }

    #[test]
    fn a_loss_is_found_when_the_next_one_comes_and_at_the_end() {
        let mut rows = all();
        rows.remove(30);
        assert_eq!(found(rows), [ViolationKind::Order, ViolationKind::Lost]);
        let mut rows = all();
        rows.pop();
        assert_eq!(found(rows), [ViolationKind::Lost], "the last one has no next one");
    }

    #[test]
    fn a_swap_of_two_records_of_a_key_is_found() {
        let mut rows = all();
        rows.swap(20, 22);
        let kinds = found(rows);
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == ViolationKind::Order), "{kinds:?}");
    }

    #[test]
    fn records_of_different_keys_may_come_in_any_order() {
        let mut rows = all();
        rows.sort_by_key(|record| record.reading);
        assert_eq!(found(rows), []);
    }

    #[test]
    fn a_wrong_value_a_wrong_fill_and_a_wrong_checksum_are_found() {
        let wrong: [fn(&mut OutputRecord); 5] = [
            |record| record.value = Some(0.25),
            |record| record.value = None,
            |record| record.fill = "backward_fill(3)".to_owned(),
            |record| record.checksum += 1.0,
            |record| record.time += 1,
        ];
        for spoil in wrong {
            let mut rows = all();
            spoil(&mut rows[40]);
            assert_eq!(found(rows), [ViolationKind::Wrong]);
        }
    }

    #[test]
    fn what_was_never_fed_is_found() {
        let mut rows = all();
        rows.push(OutputRecord { reading: Reading { source: 0, seq: DATASET.per_source }, ..record(0, 0) });
        rows.push(OutputRecord { reading: Reading { source: 9, seq: 0 }, ..record(0, 0) });
        assert_eq!(found(rows), [ViolationKind::Unknown, ViolationKind::Unknown]);
    }

    #[test]
    fn a_record_that_a_live_reader_saw_elsewhere_is_found() {
        let violations = Violations::quiet();
        let (mut live, mut last) =
            (RecordTracker::new(DATASET, "live reader", true), RecordTracker::new(DATASET, "last reader", true));
        live.take(&record(0, 0), &Location { container: "t/0".into(), at: 0 }, &violations);
        last.agrees_with(&live, &violations);
        last.take(&record(0, 0), &Location { container: "t/0".into(), at: 1 }, &violations);
        last.agrees_with(&live, &violations);
        assert_eq!(violations.counts(), [(ViolationKind::Changed, 2)].into());
        live = RecordTracker::new(DATASET, "live reader", true);
        last.agrees_with(&live, &violations);
        assert_eq!(
            violations.counts(),
            [(ViolationKind::Changed, 2)].into(),
            "what it did not see is elsewhere for nobody"
        );
    }
}
