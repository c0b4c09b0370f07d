//! Says which columns differ between two records of one key and time: likely parts of the key.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::record::{Batch, Column};
use aqpipe_engine::stage::BuildContext;

use crate::cell_access::text_at;
use crate::key_parts::KeyParts;
use crate::warn_once::WarnOnce;

/// So many records from the beginning are remembered: in a file that is sorted by anything but time, times come again soon.
const RECORDS_MAX: usize = 1_000;
/// Columns that a warning names: more are no help.
const NAMED_MAX: usize = 8;

/// The first records of a split by series and time, and the warning where one comes again. It is given once in a run.
pub(crate) struct SameTime {
    first: HashMap<(u64, i64), Batch, foldhash::fast::RandomState>,
    /// Fields that differ anyhow: what is measured.
    values: Vec<String>,
    of_source: Arc<KeyParts>,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
}

impl SameTime {
    pub(crate) fn new(values: Vec<String>, cx: &BuildContext) -> SameTime {
        SameTime {
            first: HashMap::default(),
            values,
            of_source: cx.pipeline_extensions().get_or_put(KeyParts::default),
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
        }
    }

    /// Remembers a record, if it is one of the first.
    pub(crate) fn remember(&mut self, series: u64, batch: &Batch, row: usize) {
        if self.first.len() < RECORDS_MAX {
            self.first.entry((series, batch.time()[row])).or_insert_with(|| batch.slice(row, 1));
        }
    }

    /// Warns where a record of the same series and time is remembered; says whether it did.
    pub(crate) fn tell(&self, series: u64, batch: &Batch, row: usize) -> bool {
        let before = self.first.get(&(series, batch.time()[row]));
        before.inspect(|before| self.tell_two(before, &batch.slice(row, 1))).is_some()
    }

    /// Warns of two records of one key and time, each the first of a batch.
    pub(crate) fn tell_two(&self, one: &Batch, two: &Batch) {
        let message = || {
            let key = two.key().filter(|keys| arrow_array::Array::is_valid(*keys, 0));
            let key = key.map_or_else(String::new, |keys| format!(" of the key `{}`", keys.value(0)));
            let time = jiff::Timestamp::from_microsecond(two.time()[0]).unwrap_or_default();
            let named = self.differing(one, two);
            let differ = match named.as_slice() {
                [] => "no other field that is read differs: they are there twice, or what tells them apart is not among the \
                       fields that are read"
                    .to_owned(),
                names => format!(
                    "they differ in `{}`, likely parts of the key; where that names what was measured, `pivot` makes a field of \
                     each",
                    names.join("`, `")
                ),
            };
            format!("`{}` gets more than one record{key} at one time, first at {time}: {differ}", self.stage)
        };
        self.warned.warn(message, &format!("{}: one key and time", self.stage));
    }

    /// The fields that differ: those of text first, then numbers that may be codes.
    fn differing(&self, one: &Batch, two: &Batch) -> Vec<String> {
        let (mut texts, mut codes) = (Vec::new(), Vec::new());
        for (field, column) in two.fields().list.iter().zip(two.columns()) {
            let Some(index) = one.fields().index(&field.name) else { continue };
            if field.derived || self.values.iter().any(|value| **value == *field.name) {
                continue;
            }
            match (one.column(index), column) {
                (Column::Number(one), Column::Number(two)) => {
                    let is_code = |number: f64| number.fract() == 0.0;
                    let differ = one.get(0).zip(two.get(0)).is_some_and(|(a, b)| a != b && is_code(a) && is_code(b));
                    codes.extend(differ.then(|| field.name.to_string()));
                }
                (one, two) => texts.extend((text_at(one, 0) != text_at(two, 0)).then(|| field.name.to_string())),
            }
        }
        // Those that the source knows are of other records, perhaps: of two that are told apart by what is measured.
        let of_source = self.of_source.columns();
        // A source that knows columns which are no fields knows which fields are measured.
        let codes = if of_source.is_empty() { codes } else { Vec::new() };
        let mut names: Vec<String> = texts.into_iter().chain(codes).collect();
        let is_key = |name: &String| two.fields().key.as_deref() != Some(name) && !names.contains(name);
        if !of_source.iter().any(|name| self.values.contains(name)) {
            names.extend(of_source.into_iter().filter(is_key).collect::<Vec<_>>());
        }
        names.truncate(NAMED_MAX);
        names
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::testing::BatchBuilder;

    use super::*;

    #[test]
    fn columns_that_may_be_parts_of_the_key_are_named() {
        let record = |parameter: &str, poc: f64, value: f64| {
            BatchBuilder::new()
                .numbers("value", [Some(value)])
                .numbers("poc", [Some(poc)])
                .numbers("share", [Some(value / 8.0)])
                .texts("site", [Some("Hillside")])
                .texts("parameter", [Some(parameter)])
                .at([0])
                .build()
        };
        let check = SameTime::new(vec!["value".to_owned()], &BuildContext::for_tests());
        assert_eq!(check.differing(&record("o3", 1.0, 3.0), &record("no2", 2.0, 5.0)), ["parameter", "poc"]);
        assert_eq!(check.differing(&record("o3", 1.0, 3.0), &record("o3", 1.0, 5.0)), Vec::<String>::new());
        check.of_source.offer(vec!["poc".to_owned()]);
        let undeclared = SameTime { values: Vec::new(), ..check };
        assert_eq!(undeclared.differing(&record("o3", 1.0, 3.0), &record("o3", 1.0, 5.0)), ["poc"]);
    }

    #[test]
    fn no_more_than_the_first_records_are_remembered() {
        let mut check = SameTime::new(Vec::new(), &BuildContext::for_tests());
        let rows = RECORDS_MAX as i64 + 1;
        let batch = BatchBuilder::new().numbers("value", (0..rows).map(|_| None)).at(0..rows).build();
        (0..rows as usize).for_each(|row| check.remember(7, &batch, row));
        assert_eq!(check.first.len(), RECORDS_MAX);
        assert!(check.tell(7, &batch, 3) && !check.tell(8, &batch, 3) && !check.tell(7, &batch, RECORDS_MAX));
    }
}
