//! A file that aqpipe wrote: which columns are what, and the options of the source that reads it back.

use std::path::Path;

use aqpipe_engine::record::Fields;
use aqpipe_engine::{Error, Result};
use serde_json::{Value, json};

use super::dialect::Head;
use super::package::{Column, Description, Part};

/// The columns of marks.
pub(super) const QC_FLAGS: &str = "qc_flags";
pub(super) const FILLS: &str = "fills";
pub(super) const TESTS: &str = "tests";
/// What the name of a column with the flag of a field ends with.
pub(super) const FLAG_SUFFIX: &str = "_qc";
/// The columns that may stand behind the fields.
const BEHIND: [&str; 6] = [QC_FLAGS, FILLS, TESTS, "partition", "offset", "processed_at"];
/// What a score is called unless the pipeline says otherwise.
const SCORE: &str = "quality_score";

/// How a file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) delimiter: char,
    pub(super) key: Option<String>,
    pub(super) score: Option<String>,
    /// The fields in the order of their flags.
    pub(super) fields: Vec<LayoutField>,
    pub(super) marks: MarkColumns,
}

/// A field of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayoutField {
    pub(super) name: String,
    pub(super) part: Part,
}

/// Where a file says of what quality its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkColumns {
    /// Nowhere.
    None,
    /// In `qc_flags`, `fills` and `tests`.
    Text,
    /// In a column for each field, `fills` and `tests`.
    Columns,
}

impl Layout {
    /// The layout of a file with this head, by its description, by what its pipeline yields, or by its columns alone; `key` is the name of
    /// the key as the command line says it.
    pub(super) fn of(head: &Head, description: &Description, pipeline: Option<&Fields>, key: Option<&str>) -> Layout {
        let has = |name: &str| head.columns.iter().any(|column| column == name);
        let marks = match (has(QC_FLAGS), has(FILLS) && has(TESTS)) {
            (true, true) => MarkColumns::Text,
            (false, true) => MarkColumns::Columns,
            _ => MarkColumns::None,
        };
        let columns = match &description.columns {
            Some(columns) => columns.clone(),
            None => guess(head, pipeline, key, marks),
        };
        let one = |part: Part| columns.iter().find(|column| column.part == part).map(|column| column.name.clone());
        let is_field = |column: &&Column| matches!(column.part, Part::Measurement | Part::Derived | Part::Text);
        let field = |column: &Column| LayoutField { name: column.name.clone(), part: column.part };
        Layout {
            delimiter: char::from(head.delimiter),
            key: one(Part::Key),
            score: one(Part::Score),
            fields: columns.iter().filter(is_field).map(field).collect(),
            marks,
        }
    }

    /// The fields that are measurements, computed ones among them, with their places among the flags.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (usize, &LayoutField)> {
        self.fields.iter().enumerate().filter(|(_, field)| field.part != Part::Text)
    }

    /// The texts that are read beside the numbers, in order.
    pub(super) fn mark_columns(&self) -> Vec<String> {
        let text = [QC_FLAGS, FILLS, TESTS].map(str::to_owned);
        match self.marks {
            MarkColumns::None => Vec::new(),
            MarkColumns::Text => text.to_vec(),
            MarkColumns::Columns => {
                let flags = self.fields.iter().map(|field| format!("{}{FLAG_SUFFIX}", field.name));
                flags.chain(text.into_iter().skip(1)).collect()
            }
        }
    }

    /// The options of the source `csv` that reads a file so.
    ///
    /// # Errors
    /// Where the path is no text, or there is nothing to read.
    pub(super) fn source_options(&self, path: &Path) -> Result<Value> {
        let shown = path.display();
        let path = path.to_str().ok_or_else(|| {
            Error::config(format!("the name of {shown} is not UTF-8")).help("rename the file, and what leads to it")
        })?;
        let numbers = self.numbers().map(|(_, field)| field.name.as_str());
        let numbers: Vec<&str> = numbers.chain(self.score.as_deref()).collect();
        if numbers.is_empty() {
            return Err(Error::config(format!("{shown} has no measurements")).help("leave it out"));
        }
        let mut options = json!({
            "path": path,
            "delimiter": self.delimiter.to_string(),
            "fields": numbers,
            "text_fields": self.mark_columns(),
            "on_unreadable": "warn",
        });
        if let (Some(key), Some(options)) = (&self.key, options.as_object_mut()) {
            options.insert("key".to_owned(), json!(key));
        }
        Ok(options)
    }
}

/// The columns of a file without a description: what stands between the timestamp and the marks is a key, fields and a score, and
/// there is a flag for each field.
fn guess(head: &Head, pipeline: Option<&Fields>, key: Option<&str>, marks: MarkColumns) -> Vec<Column> {
    let columns = &head.columns;
    let is_flag = |name: &str| name.strip_suffix(FLAG_SUFFIX).is_some_and(|field| columns.iter().any(|it| it == field));
    let is_behind = |name: &String| BEHIND.contains(&name.as_str()) || marks == MarkColumns::Columns && is_flag(name);
    let end = columns.iter().position(is_behind).unwrap_or(columns.len()).max(1);
    let between = columns.get(1..end).unwrap_or_default();
    let flags = match marks {
        MarkColumns::None => None,
        MarkColumns::Text => {
            let at = columns.iter().position(|name| name == QC_FLAGS);
            let first = at.and_then(|at| head.sample.first()?.get(at));
            first.map(|text| text.trim_start_matches('q').len())
        }
        MarkColumns::Columns => Some(columns.iter().filter(|name| is_flag(name)).count()),
    };
    let last = between.last().map(String::as_str).unwrap_or_default();
    let score_name = pipeline.and_then(|fields| fields.score.as_deref()).unwrap_or(SCORE);
    let has_key = between.first().is_some_and(|first| {
        let named = key.or(pipeline.and_then(|fields| fields.key.as_deref()));
        named.map_or(!head.is_numeric(1) && !head.sample.is_empty(), |named| named == first)
    });
    let (has_key, has_score) = match flags.map(|flags| between.len().saturating_sub(flags)) {
        Some(2..) => (true, true),
        Some(1) => (last != score_name, last == score_name),
        Some(0) => (false, false),
        None => (has_key, last == score_name),
    };
    let part = |(at, name): (usize, &String)| {
        let known = pipeline.and_then(|fields| fields.get(name));
        let part = match known {
            _ if at == 0 && has_key => Part::Key,
            _ if at + 1 == between.len() && has_score => Part::Score,
            Some(field) if field.derived => Part::Derived,
            Some(field) if field.kind == aqpipe_engine::record::Kind::Text => Part::Text,
            Some(_) => Part::Measurement,
            None if head.is_numeric(at + 1) || is_empty(head, at + 1) => Part::Measurement,
            None => Part::Text,
        };
        Column { name: name.clone(), part }
    };
    between.iter().enumerate().map(part).collect()
}

/// Whether a column has no value among the first records: a measurement that is never there.
fn is_empty(head: &Head, column: usize) -> bool {
    head.sample.iter().all(|record| record.get(column).is_none_or(String::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str, pipeline: Option<&Fields>) -> Layout {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        let head = Head::read(file.path()).expect("read").expect("a head");
        Layout::of(&head, &Description::default(), pipeline, None)
    }

    fn parts(layout: &Layout) -> Vec<(&str, Part)> {
        layout.fields.iter().map(|field| (field.name.as_str(), field.part)).collect()
    }

    #[test]
    fn a_file_without_a_description_is_read_by_its_flags() {
        let file = "timestamp,station,CO(GT),note,T,score,qc_flags,fills,tests,offset\n\
                    2004-03-10T18:00:00+01:00,uci,2.6,calm,,0.98,q229,,,7\n";
        let found = layout(file, None);
        assert_eq!((found.key.as_deref(), found.score.as_deref()), (Some("station"), Some("score")));
        assert_eq!(parts(&found), [("CO(GT)", Part::Measurement), ("note", Part::Text), ("T", Part::Measurement)]);
        let options = found.source_options(Path::new("x.csv")).expect("options");
        assert_eq!(options["fields"], json!(["CO(GT)", "T", "score"]));
        assert_eq!(options["text_fields"], json!(["qc_flags", "fills", "tests"]));

        let columns = layout("timestamp;CO;CO_qc;fills;tests\n2004-03-10T18:00:00Z;2.6;1;;\n", None);
        assert_eq!((columns.delimiter, columns.key.as_deref(), columns.marks), (';', None, MarkColumns::Columns));
        assert_eq!(columns.mark_columns(), ["CO_qc", "fills", "tests"]);

        let bare = layout("timestamp,station,CO,quality_score\n2004-03-10T18:00:00Z,s1,2.6,1.0\n", None);
        assert_eq!((bare.key.as_deref(), bare.score.as_deref()), (Some("station"), Some("quality_score")));
        assert_eq!((parts(&bare), bare.marks), (vec![("CO", Part::Measurement)], MarkColumns::None));
    }

    #[test]
    fn a_pipeline_says_which_fields_are_computed() {
        use aqpipe_engine::record::Field;
        let hour = Field { derived: true, ..Field::number("hour") };
        let fields = Fields { list: vec![Field::number("CO"), hour], ..Fields::default() };
        let found = layout("timestamp,CO,hour,qc_flags,fills,tests\n2004-03-10T18:00:00Z,,18,q92,,\n", Some(&fields));
        assert_eq!(parts(&found), [("CO", Part::Measurement), ("hour", Part::Derived)]);
    }

    #[test]
    fn other_files_are_refused_with_what_to_do() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        assert!(Head::read(file.path()).expect("read").is_none(), "an empty file");
        std::io::Write::write_all(&mut file, b"Date;Time;CO(GT)\n").expect("written");
        let error = Head::read(file.path()).expect_err("foreign");
        assert!(error.to_string().contains("is no file that aqpipe wrote"), "{error}");
    }
}
