//! Which records came out, and whether each is right, there once and in its place.

use std::fmt;
use std::sync::Arc;

use super::row::Row;
use super::violations::{Kind, Violations};
use crate::records::{Reading, Shape};

/// Where a record was seen: a file and its line, a partition and an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) of: Arc<str>,
    pub(crate) at: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.of, self.at)
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{} #{}", self.source, self.seq)
    }
}

/// The records that one reader saw.
pub(crate) struct Tally {
    shape: Shape,
    /// Who reads: for what is reported.
    reader: &'static str,
    /// Whether they are taken in the order in which they were written.
    ordered: bool,
    sources: Vec<Seen>,
    count: u64,
}

#[derive(Clone, Default)]
struct Seen {
    /// The number that comes next.
    next: u64,
    places: Vec<Option<Place>>,
}

impl Tally {
    pub(crate) fn new(shape: Shape, reader: &'static str, ordered: bool) -> Tally {
        let each = usize::try_from(shape.each).unwrap_or(usize::MAX);
        let seen = Seen { next: 0, places: vec![None; each] };
        Tally { shape, reader, ordered, sources: vec![seen; shape.sources as usize], count: 0 }
    }

    /// How many different ones there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    fn seen(&mut self, reading: Reading) -> Option<&mut Seen> {
        let known = reading.seq < self.shape.each;
        self.sources.get_mut(reading.source as usize).filter(|_| known)
    }

    /// Takes a record in.
    pub(crate) fn take(&mut self, row: &Row, place: &Place, violations: &Violations) {
        let (reader, ordered, reading) = (self.reader, self.ordered, row.reading);
        let at = usize::try_from(reading.seq).unwrap_or(usize::MAX);
        let Some(seen) = self.seen(reading) else {
            violations.add(Kind::Unknown, format!("{reader}: {reading} at {place} was never fed"));
            return;
        };
        if let Some(first) = &seen.places[at] {
            violations.add(Kind::Duplicate, format!("{reader}: {reading} at {first} and again at {place}"));
            return;
        }
        if ordered && reading.seq != seen.next {
            let what = if reading.seq > seen.next { "too early" } else { "late" };
            let expected = seen.next;
            violations
                .add(Kind::Order, format!("{reader}: {reading} at {place} comes {what}: #{expected} was to come next"));
        }
        seen.next = seen.next.max(reading.seq + 1);
        seen.places[at] = Some(place.clone());
        self.count += 1;
        self.compare(row, place, violations);
    }

    fn compare(&self, row: &Row, place: &Place, violations: &Violations) {
        let (reader, reading) = (self.reader, row.reading);
        let right = self.shape.right(reading);
        let fill = right.fill.map_or("", |fill| fill.text());
        if row.value != Some(right.value) || row.fill != fill {
            let value = row.value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let detail = format!(
                "{reader}: {reading} at {place} has {value} `{}` where {} `{fill}` is right",
                row.fill, right.value
            );
            violations.add(Kind::Wrong, detail);
        }
        if row.checksum != f64::from(reading.checksum()) || row.time != reading.seconds() {
            violations.add(Kind::Wrong, format!("{reader}: {reading} at {place} has the checksum or time of another"));
        }
    }

    /// Looks for what never came.
    pub(crate) fn complete(&self, violations: &Violations) {
        for (source, seen) in (0..).zip(&self.sources) {
            for (seq, _) in (0..).zip(&seen.places).filter(|(_, place)| place.is_none()) {
                let reading = Reading { source, seq };
                let neighbour = |seq: Option<usize>| {
                    let place = seq.and_then(|seq| seen.places.get(seq)).and_then(Option::as_ref);
                    place.map_or_else(|| "nowhere".to_owned(), ToString::to_string)
                };
                let at = usize::try_from(seq).unwrap_or(usize::MAX);
                let (before, after) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
                violations.add(
                    Kind::Lost,
                    format!(
                        "{}: {reading} is missing; the one before is at {before}, the next at {after}",
                        self.reader
                    ),
                );
            }
        }
    }

    /// Looks for what an earlier reader saw elsewhere.
    pub(crate) fn agrees_with(&self, earlier: &Tally, violations: &Violations) {
        for (source, (now, before)) in (0..).zip(self.sources.iter().zip(&earlier.sources)) {
            for (seq, (now, before)) in (0..).zip(now.places.iter().zip(&before.places)) {
                if let Some(before) = before.as_ref().filter(|before| now.as_ref() != Some(*before)) {
                    let now = now.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
                    let (reading, reader) = (Reading { source, seq }, earlier.reader);
                    violations
                        .add(Kind::Changed, format!("{reading} was seen by the {reader} at {before} and is now {now}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { sources: 2, each: 50 };

    fn row(source: u32, seq: u64) -> Row {
        let reading = Reading { source, seq };
        let right = SHAPE.right(reading);
        Row {
            reading,
            checksum: reading.checksum().into(),
            time: reading.seconds(),
            value: Some(right.value),
            fill: right.fill.map_or(String::new(), |fill| fill.text().to_owned()),
            from: None,
        }
    }

    /// What is found in rows, one after the other.
    fn found(rows: impl IntoIterator<Item = Row>) -> Vec<Kind> {
        let violations = Violations::quiet();
        let mut tally = Tally::new(SHAPE, "reader", true);
        for (at, row) in (0..).zip(rows) {
            tally.take(&row, &Place { of: "t/0".into(), at }, &violations);
        }
        tally.complete(&violations);
        violations.first().into_iter().map(|violation| violation.kind).collect()
    }

    fn all() -> Vec<Row> {
        (0..SHAPE.each).flat_map(|seq| [row(0, seq), row(1, seq)]).collect()
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        assert_eq!(found(all()), []);
    }

    #[test]
    fn a_duplicate_is_found_at_once_and_named_with_both_places() {
        let violations = Violations::quiet();
        let mut tally = Tally::new(SHAPE, "reader", true);
        for (at, row) in [row(0, 0), row(0, 1), row(0, 0)].iter().enumerate() {
            tally.take(row, &Place { of: "t/0".into(), at: at as u64 }, &violations);
        }
        let first = violations.first();
        assert_eq!(first[0].to_string(), "Duplicate: reader: s0 #0 at t/0@0 and again at t/0@2");
        assert_eq!(first.len(), 1);
    }

    #[test]
    fn a_loss_is_found_when_the_next_one_comes_and_at_the_end() {
        let mut rows = all();
        rows.remove(30);
        assert_eq!(found(rows), [Kind::Order, Kind::Lost]);
        let mut rows = all();
        rows.pop();
        assert_eq!(found(rows), [Kind::Lost], "the last one has no next one");
    }

    #[test]
    fn a_swap_of_two_records_of_a_key_is_found() {
        let mut rows = all();
        rows.swap(20, 22);
        let kinds = found(rows);
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == Kind::Order), "{kinds:?}");
    }

    #[test]
    fn records_of_different_keys_may_come_in_any_order() {
        let mut rows = all();
        rows.sort_by_key(|row| row.reading);
        assert_eq!(found(rows), []);
    }

    #[test]
    fn a_wrong_value_a_wrong_fill_and_a_wrong_checksum_are_found() {
        let wrong: [fn(&mut Row); 5] = [
            |row| row.value = Some(0.25),
            |row| row.value = None,
            |row| row.fill = "backward_fill(3)".to_owned(),
            |row| row.checksum += 1.0,
            |row| row.time += 1,
        ];
        for spoil in wrong {
            let mut rows = all();
            spoil(&mut rows[40]);
            assert_eq!(found(rows), [Kind::Wrong]);
        }
    }

    #[test]
    fn what_was_never_fed_is_found() {
        let mut rows = all();
        rows.push(Row { reading: Reading { source: 0, seq: SHAPE.each }, ..row(0, 0) });
        rows.push(Row { reading: Reading { source: 9, seq: 0 }, ..row(0, 0) });
        assert_eq!(found(rows), [Kind::Unknown, Kind::Unknown]);
    }

    #[test]
    fn a_record_that_a_live_reader_saw_elsewhere_is_found() {
        let violations = Violations::quiet();
        let (mut live, mut last) = (Tally::new(SHAPE, "live reader", true), Tally::new(SHAPE, "last reader", true));
        live.take(&row(0, 0), &Place { of: "t/0".into(), at: 0 }, &violations);
        last.agrees_with(&live, &violations);
        last.take(&row(0, 0), &Place { of: "t/0".into(), at: 1 }, &violations);
        last.agrees_with(&live, &violations);
        assert_eq!(violations.counts(), [(Kind::Changed, 2)].into());
        live = Tally::new(SHAPE, "live reader", true);
        last.agrees_with(&live, &violations);
        assert_eq!(violations.counts(), [(Kind::Changed, 2)].into(), "what it did not see is elsewhere for nobody");
    }
}
