//! Checks that records have the fields that were declared.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::arrow_array::Array;
use aqpipe_engine::config::nearest;
use aqpipe_engine::record::{Batch, Column, SAMPLE_RECORDS};
use parking_lot::Mutex;

/// The declared fields that some split of a source has met a value of.
#[derive(Debug, Default)]
pub(super) struct SeenFields(Mutex<BTreeSet<Arc<str>>>);

/// Looks for declared fields in the first records of a split: a misspelt name would otherwise only show as a column
/// without values, and records without a key as one series of all.
pub(super) struct FieldPresence {
    unseen: Vec<Arc<str>>,
    seen: Arc<SeenFields>,
    rows: u64,
    is_key_told: bool,
}

impl FieldPresence {
    pub(super) fn new<'a>(declared: impl Iterator<Item = &'a Arc<str>>, seen: &Arc<SeenFields>) -> FieldPresence {
        FieldPresence { unseen: declared.cloned().collect(), seen: Arc::clone(seen), rows: 0, is_key_told: false }
    }

    /// Counts the records that have no key. With the first ones, a warning.
    pub(super) fn keyless(&mut self, batch: &Batch, properties: &[String]) -> (u64, Option<String>) {
        let Some(keys) = batch.key().filter(|keys| keys.null_count() > 0) else { return (0, None) };
        let count = keys.null_count() as u64;
        if std::mem::replace(&mut self.is_key_told, true) {
            return (count, None);
        }
        let first = (0..keys.len()).find(|row| keys.is_null(*row)).map_or(0, |row| batch.source_offsets()[row]);
        let quoted: Vec<String> = properties.iter().map(|name| quoted(name, batch.fields().names())).collect();
        let has_no = match quoted.is_empty() {
            true => "its message has none".to_owned(),
            false => format!("no value of {}", quoted.join(", ")),
        };
        let warning = format!(
            "the record at offset {first} has no key ({has_no}): all records without one are a single series, in which stages \
             such as `impute` carry values from one to the next"
        );
        (count, Some(warning))
    }

    /// Takes note of the fields that have values in more records.
    pub(super) fn observe(&mut self, batch: &Batch) {
        self.rows += batch.rows() as u64;
        if self.unseen.is_empty() {
            return;
        }
        let has_values = |name: &str| {
            batch.fields().index(name).is_some_and(|index| match batch.column(index) {
                Column::Number(numbers) => numbers.values.null_count() < numbers.values.len(),
                Column::Text(text) => text.null_count() < text.len(),
            })
        };
        let (seen, unseen) = std::mem::take(&mut self.unseen).into_iter().partition(|name| has_values(name));
        self.unseen = unseen;
        self.seen.0.lock().extend::<Vec<Arc<str>>>(seen);
    }

    /// Whether enough records were seen to judge by.
    pub(super) fn is_due(&self) -> bool {
        self.rows >= SAMPLE_RECORDS && !self.unseen.is_empty()
    }

    /// A warning of the fields that no record has had a value of, once; `names` are those that one of them may mean.
    pub(super) fn judge(&mut self, names: &[&str]) -> Option<String> {
        if self.rows == 0 {
            return None;
        }
        let mut seen = self.seen.0.lock();
        // What another split has met is spelt right, and what another one has told is told.
        let unseen: Vec<Arc<str>> = std::mem::take(&mut self.unseen);
        let unseen: Vec<Arc<str>> = unseen.into_iter().filter(|name| seen.insert(Arc::clone(name))).collect();
        drop(seen);
        let others = || names.iter().copied().filter(|other| !unseen.iter().any(|name| &**name == *other));
        let quoted: Vec<String> = unseen.iter().map(|name| quoted(name, others())).collect();
        let records =
            if self.rows == 1 { "first record has".to_owned() } else { format!("first {} records have", self.rows) };
        (!quoted.is_empty()).then(|| format!("the {records} no value for {}", quoted.join(", ")))
    }
}

/// A field's name, with the one that may be meant.
fn quoted<'a>(name: &str, others: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, others) {
        Some(near) => format!("`{name}` (is `{near}` meant?)"),
        None => format!("`{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::arrow_array::Float64Array;
    use aqpipe_engine::record::{BatchParts, Field, Fields, Numbers};

    use super::*;

    fn batch(rows: usize) -> Batch {
        let list = vec![Field::number("CO"), Field::number("T"), Field::number("CO(GT)")];
        let column = |values: Vec<Option<f64>>| Column::Number(Numbers::observed(Float64Array::from(values)));
        Batch::new(BatchParts {
            fields: Arc::new(Fields { list, ..Fields::default() }),
            time: vec![0; rows].into(),
            utc_offset: vec![0; rows].into(),
            key: None,
            columns: vec![column(vec![None; rows]), column(vec![Some(1.0); rows]), column(vec![Some(1.0); rows])],
            score: None,
            source_offsets: vec![0; rows].into(),
            raw: None,
        })
        .expect("a batch")
    }

    #[test]
    fn a_declared_field_that_no_record_has_is_named_once_with_the_one_that_may_be_meant() {
        let declared: [Arc<str>; 2] = ["CO".into(), "T".into()];
        let (seen, names) = (Arc::default(), ["CO", "T", "CO(GT)"]);
        let mut presence = FieldPresence::new(declared.iter(), &seen);
        assert_eq!(presence.judge(&names), None, "without a record");
        presence.observe(&batch(999));
        assert!(!presence.is_due());
        presence.observe(&batch(1));
        assert!(presence.is_due());
        let said = presence.judge(&names).expect("something to say");
        assert!(said.contains("`CO` (is `CO(GT)` meant?)") && !said.contains("`T`"), "{said}");
        presence.observe(&batch(5_000));
        assert!(!presence.is_due() && presence.judge(&names).is_none(), "said once");
        let mut other = FieldPresence::new(declared.iter(), &seen);
        other.observe(&batch(1));
        assert_eq!(other.judge(&names), None, "another split has told it");
    }
}
