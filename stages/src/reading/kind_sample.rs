//! The kinds of fields, decided by a sample of records instead of one cell.

use std::collections::BTreeMap;

use aqpipe_engine::record::{Kind, SAMPLE_RECORDS};

use super::number::is_fraction;
use super::options::NumberOptions;
use super::suggestions::{is_number_otherwise, reads_as_numbers};

/// Bytes of a sample at most.
pub const SAMPLE_BYTES_MAX: u64 = 1 << 20;
/// Texts of one field that a sample keeps.
pub(crate) const TEXTS_MAX: usize = 100;

/// The cells of a sample's fields, by name. Its size is bounded by that of the sample.
#[derive(Debug, Default)]
pub struct KindSample {
    fields: BTreeMap<String, FieldKinds>,
    records: u64,
    bytes: u64,
}

/// What the cells of one field are, those without a value left out.
#[derive(Debug, Default)]
struct FieldKinds {
    numbers: u64,
    texts: Vec<Vec<u8>>,
    text_count: u64,
    /// The first cell that is no number, and the first code such as `007`, with its place.
    first: Option<(String, String)>,
    code: Option<(String, String)>,
    has_fraction: bool,
}

/// A cell with a value, for [`KindSample::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampledCell {
    /// A number.
    Number,
    /// Digits from which a number would take something away: `007`.
    Code,
    /// Neither.
    Text,
}

/// What a sample says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// The kind of each field that has had a value.
    pub by_name: BTreeMap<String, Kind>,
    /// What is said of fields: which became text, with a cell that made it so, and which did not although they might.
    pub said: Vec<(String, String)>,
}

impl KindSample {
    /// Counts so many records and bytes, whether or not they can be read.
    pub fn count(&mut self, records: u64, bytes: usize) {
        self.records += records;
        self.bytes += bytes as u64;
    }

    /// Whether there is enough of it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.records >= SAMPLE_RECORDS || self.bytes >= SAMPLE_BYTES_MAX
    }

    /// Adds a cell of a field.
    pub fn add(&mut self, name: &str, kind: SampledCell, cell: &[u8], place: &str) {
        let shown = || (String::from_utf8_lossy(cell).into_owned(), place.to_owned());
        if !self.fields.contains_key(name) {
            self.fields.insert(name.to_owned(), FieldKinds::default());
        }
        let Some(field) = self.fields.get_mut(name) else { return };
        match kind {
            SampledCell::Number => {
                field.numbers += 1;
                field.has_fraction |= is_fraction(cell);
            }
            SampledCell::Code => {
                field.numbers += 1;
                field.code.get_or_insert_with(shown);
            }
            SampledCell::Text => {
                field.text_count += 1;
                field.first.get_or_insert_with(shown);
                if field.texts.len() < TEXTS_MAX {
                    field.texts.push(cell.to_vec());
                }
            }
        }
    }

    /// Decides. With `otherwise`, texts that other options would read as numbers make none of text, so that these options can be named.
    #[must_use]
    pub fn decide(self, otherwise: Option<&NumberOptions>) -> Kinds {
        let mut kinds = Kinds::default();
        for (name, field) in self.fields {
            let FieldKinds { numbers, texts, text_count, first, code, has_fraction } = &field;
            let first = first.as_ref().map(|(text, place)| (text.as_str(), place.as_str()));
            let code = code.as_ref().map(|(text, place)| (text.as_str(), place.as_str()));
            let has_fraction = *has_fraction;
            let cells = SampledCells { numbers: *numbers, texts, text_count: *text_count, first, code, has_fraction };
            let (kind, said) = cells.decide(&name, otherwise);
            kinds.said.extend(said.map(|said| (name.clone(), said)));
            kinds.by_name.insert(name, kind);
        }
        kinds
    }
}

/// The cells of one field with a value, by which its kind is decided.
pub(crate) struct SampledCells<'a> {
    pub(crate) numbers: u64,
    /// Some of those that are no numbers.
    pub(crate) texts: &'a [Vec<u8>],
    pub(crate) text_count: u64,
    /// The first one that is no number, and the first code such as `007`, with its place.
    pub(crate) first: Option<(&'a str, &'a str)>,
    pub(crate) code: Option<(&'a str, &'a str)>,
    pub(crate) has_fraction: bool,
}

impl SampledCells<'_> {
    /// The kind of the field, and what is said of it: numbers if most of its cells are, unless one of them is a code and none has a
    /// fraction.
    pub(crate) fn decide(&self, name: &str, otherwise: Option<&NumberOptions>) -> (Kind, Option<String>) {
        let is_text =
            self.text_count > self.numbers && !otherwise.is_some_and(|by| is_number_otherwise(self.texts, by));
        match (self.code, self.first) {
            (Some((text, place)), _) if !self.has_fraction => {
                (Kind::Text, Some(format!("`{name}` is text: `{text}` at {place} is a code and no number")))
            }
            (_, Some((text, place))) if is_text => {
                let why = if otherwise.is_some() { "is no number" } else { "is a text" };
                let hint = otherwise.map_or_else(String::new, |by| reads_as_numbers(self.texts, by, self.numbers > 0));
                (Kind::Text, Some(format!("`{name}` is text: `{text}` at {place} {why}{hint}")))
            }
            (Some((text, place)), _) => {
                let said = format!(
                    "`{name}` holds numbers, for others have fractions: `{text}` at {place} looks like a code; if it is one, name the \
                     field in `text_fields`"
                );
                (Kind::Number, Some(said))
            }
            (None, _) => (Kind::Number, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SampledCell::{Code, Number, Text};
    use super::*;

    #[test]
    fn most_cells_decide_and_one_code_does() {
        let cases: [(&[(SampledCell, &str)], Kind); 7] = [
            (&[(Text, "offline"), (Number, "1"), (Number, "2")], Kind::Number),
            (&[(Number, "1"), (Text, "a"), (Text, "b")], Kind::Text),
            (&[(Text, "a"), (Number, "1")], Kind::Number),
            (&[(Number, "1"), (Number, "2"), (Code, "007")], Kind::Text),
            (&[(Number, "1"), (Code, "00"), (Number, "0.5")], Kind::Number),
            (&[(Text, "2,5"), (Text, "3,5"), (Text, "x")], Kind::Number),
            (&[(Text, "x")], Kind::Text),
        ];
        for (cells, kind) in cases {
            let mut sample = KindSample::default();
            cells.iter().for_each(|(kind, cell)| sample.add("f", *kind, cell.as_bytes(), "t/0@4"));
            let kinds = sample.decide(Some(&NumberOptions::default()));
            assert_eq!(kinds.by_name.get("f"), Some(&kind), "{cells:?}");
            let says = kind == Kind::Text || cells.iter().any(|(kind, _)| *kind == Code);
            assert_eq!(kinds.said.len(), usize::from(says), "{:?}", kinds.said);
        }
        let mut sample = KindSample::default();
        ["2,5", "3,5"].iter().for_each(|cell| sample.add("f", Text, cell.as_bytes(), "t/0@4"));
        let said = ("f".to_owned(), "`f` is text: `2,5` at t/0@4 is a text".to_owned());
        assert_eq!(sample.decide(None).said, [said]);
    }

    #[test]
    fn a_sample_is_full_by_records_or_by_bytes() {
        let mut sample = KindSample::default();
        (1..SAMPLE_RECORDS).for_each(|_| sample.count(1, 1));
        assert!(!sample.is_full());
        sample.count(1, 1);
        assert!(sample.is_full());
        let mut large = KindSample::default();
        large.count(0, 1 << 20);
        assert!(large.is_full());
    }
}
