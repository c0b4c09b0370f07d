//! Checks that records have the fields that were declared.

use std::sync::Arc;

use aqpipe_engine::arrow_array::Array;
use aqpipe_engine::config::nearest;
use aqpipe_engine::record::{Batch, Column, SAMPLE_RECORDS};

/// Looks for declared fields in the first records of a split: a misspelt name would otherwise only show as a column
/// without values, and records without a key as one series of all.
pub(super) struct FieldPresence {
    unseen: Vec<Arc<str>>,
    rows: u64,
    is_key_told: bool,
}

impl FieldPresence {
    pub(super) fn new<'a>(declared: impl Iterator<Item = &'a Arc<str>>) -> FieldPresence {
        FieldPresence { unseen: declared.cloned().collect(), rows: 0, is_key_told: false }
    }

    /// Counts the records that have no key. With the first ones, a warning.
    pub(super) fn keyless(&mut self, batch: &Batch, properties: &[String]) -> (u64, Option<String>) {
        let Some(keys) = batch.key().filter(|keys| keys.null_count() > 0) else { return (0, None) };
        let count = keys.null_count() as u64;
        if std::mem::replace(&mut self.is_key_told, true) {
            return (count, None);
        }
        let first = (0..keys.len()).find(|row| keys.is_null(*row)).map_or(0, |row| batch.source_offsets()[row]);
        let quoted: Vec<String> = properties.iter().map(|name| self.quoted(name, &[], batch)).collect();
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

    /// Checks more records. Returns a warning once enough were seen, with the fields that have no value in any of them.
    pub(super) fn observe(&mut self, batch: &Batch) -> Option<String> {
        if self.unseen.is_empty() {
            return None;
        }
        let has_values = |name: &str| {
            batch.fields().index(name).is_some_and(|index| match batch.column(index) {
                Column::Number(numbers) => numbers.values.null_count() < numbers.values.len(),
                Column::Text(text) => text.null_count() < text.len(),
            })
        };
        self.unseen.retain(|name| !has_values(name));
        self.rows += batch.rows() as u64;
        if self.rows < SAMPLE_RECORDS {
            return None;
        }
        let unseen = std::mem::take(&mut self.unseen);
        let names: Vec<String> = unseen.iter().map(|name| self.quoted(name, &unseen, batch)).collect();
        (!names.is_empty()).then(|| format!("the first {} records have no value for {}", self.rows, names.join(", ")))
    }

    /// A field's name, with the one that may be meant.
    fn quoted(&self, name: &str, unseen: &[Arc<str>], batch: &Batch) -> String {
        let others = batch.fields().names().filter(|other| !unseen.iter().any(|name| &**name == *other));
        match nearest(name, others) {
            Some(near) => format!("`{name}` (is `{near}` meant?)"),
            None => format!("`{name}`"),
        }
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
        let mut presence = FieldPresence::new(declared.iter());
        assert_eq!(presence.observe(&batch(999)), None, "not enough yet");
        let said = presence.observe(&batch(1)).expect("something to say");
        assert!(said.contains("`CO` (is `CO(GT)` meant?)") && !said.contains("`T`"), "{said}");
        assert_eq!(presence.observe(&batch(5_000)), None, "said once");
    }
}
