//! CSV output: from columns to lines.
//!
//! The columns are `timestamp`, the key, the fields in their order, the score, `qc_flags` (`q` and a QARTOD digit for each field: text
//! to every reader, however many digits there are), `fills` (see [`write_fills`](super::text::write_fills)) and `tests` (see
//! [`write_tests`](super::text::write_tests)). A missing value is an empty cell, an empty text is `""`. Codes of the
//! clock are integers. Cells are quoted as in RFC 4180, and a line ends with `\n`.

use std::borrow::Cow;
use std::sync::Arc;

use aqpipe_engine::record::{Batch, CellQuality, Column, Fields, Flag, TIMESTAMP};
use arrow_array::{Array, StringArray};

use super::clock_codes::is_clock_code;
use super::text;
use super::unique_names::unique_names;

/// The columns of a record's marks: its flags, how its values were filled, and the tests that objected.
pub(crate) const MARK_COLUMNS: [&str; 3] = ["qc_flags", "fills", "tests"];

/// Writes batches as lines of CSV: which columns there are, and how they are separated.
#[derive(Clone, Debug)]
pub struct CsvEncoder {
    /// Between the cells.
    pub delimiter: u8,
    /// How the quality of values is written.
    pub marks: Marks,
    /// Whether there is the column `partition`: where the record was read.
    pub partition: bool,
    /// Whether there is the column `offset`: where the record starts in its partition.
    pub offset: bool,
    /// Whether there is the column `processed_at`: when the batch was written.
    pub processed_at: bool,
    /// Whether `'` is put before texts that a spreadsheet would take for a formula.
    pub escape_formulas: bool,
}

impl Default for CsvEncoder {
    fn default() -> Self {
        CsvEncoder {
            delimiter: b',',
            marks: Marks::Text,
            partition: false,
            offset: false,
            processed_at: false,
            escape_formulas: false,
        }
    }
}

/// How the quality of values is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marks {
    /// Not at all.
    None,
    /// The flags of all fields in one column, `qc_flags`, beside `fills` and `tests`.
    #[default]
    Text,
    /// The flag of each field in a column of its own, called after it with `_qc` behind, beside `fills` and `tests`.
    Columns,
}

/// What is appended to the name of a field for the column of its flag.
const FLAG_SUFFIX: &str = "_qc";

/// The columns of a layout: as the records call them, and as they are written.
#[derive(Clone, Debug)]
pub struct ColumnNames {
    /// The key, the fields and the score as the records call them, then the columns of flags.
    pub names: Vec<String>,
    /// The same as they are written.
    pub written: Vec<String>,
    /// How many of them are columns of flags.
    pub flags: usize,
}

/// What all rows of a batch have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchContext<'a> {
    /// The partition.
    pub partition: &'a str,
    /// When the batch was written: microseconds since 1970 UTC.
    pub processed_at: i64,
    /// The names of the tests that object to values, by bit.
    pub tests: &'a [Arc<str>],
}

impl CsvEncoder {
    /// The columns behind the fields.
    fn extra_columns(&self) -> impl Iterator<Item = &'static str> {
        let columns = [
            (self.marks == Marks::Text, MARK_COLUMNS[0]),
            (self.marks != Marks::None, MARK_COLUMNS[1]),
            (self.marks != Marks::None, MARK_COLUMNS[2]),
            (self.partition, "partition"),
            (self.offset, "offset"),
            (self.processed_at, "processed_at"),
        ];
        columns.into_iter().filter(|(there, _)| *there).map(|(_, name)| name)
    }

    /// The name of a field, of the key or of the score that another column has too.
    #[must_use]
    pub fn reserved_name<'f>(&self, fields: &'f Fields) -> Option<&'f str> {
        let mut named = fields.names().chain(fields.key.as_deref()).chain(fields.score.as_deref());
        named.find(|name| *name == TIMESTAMP || self.extra_columns().any(|extra_columns| extra_columns == *name))
    }

    /// Appends the names of the columns as a line (see [`column_names`](Self::column_names)).
    pub fn write_header(&self, fields: &Fields, out: &mut Vec<u8>) {
        let names = self.header(fields);
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(out);
        writer
            .write_record(names.iter().map(|name| self.escape_formula(name.as_bytes())))
            .and_then(|()| Ok(writer.flush()?))
            .expect("a vector takes all bytes, and the first record has any length");
    }

    /// The names of the columns between the timestamp and those that say how a record was processed. No two columns have one
    /// name: a field whose name another column has gets `_` appended.
    #[must_use]
    pub fn column_names(&self, fields: &Fields) -> ColumnNames {
        let reserved: Vec<&str> = std::iter::once(TIMESTAMP).chain(self.extra_columns()).collect();
        let own = fields.key.as_deref().into_iter().chain(fields.names()).chain(fields.score.as_deref());
        let mut names: Vec<String> = own.map(str::to_owned).collect();
        let flags = if self.marks == Marks::Columns { fields.list.len() } else { 0 };
        names.extend(fields.names().take(flags).map(|name| format!("{name}{FLAG_SUFFIX}")));
        let borrowed: Vec<&str> = names.iter().map(|name| &**name).collect();
        let written = unique_names(&borrowed, &reserved).into_iter().map(Cow::into_owned).collect();
        ColumnNames { names, written, flags }
    }

    /// The names of all columns, in order, as they are written.
    #[must_use]
    pub fn header(&self, fields: &Fields) -> Vec<String> {
        let between = self.column_names(fields).written;
        std::iter::once(TIMESTAMP.to_owned()).chain(between).chain(self.extra_columns().map(str::to_owned)).collect()
    }

    /// Appends a line for each record.
    pub fn write_rows(&self, batch: &Batch, common: BatchContext<'_>, out: &mut Vec<u8>) {
        let mut tail = Vec::new();
        if self.processed_at {
            tail.push(self.delimiter);
            text::write_timestamp(&mut tail, common.processed_at, 0);
        }
        tail.push(b'\n');
        let codes: Vec<bool> = batch.fields().list.iter().map(is_clock_code).collect();
        // Neighbours have the same marks mostly: they are written once.
        let (mut cells, mut cells_before, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch.rows() {
            text::write_timestamp(out, batch.time()[row], batch.utc_offset()[row]);
            if let Some(key) = batch.key() {
                self.write_text_cell(out, key, row);
            }
            cells.clear();
            for (is_code, column) in codes.iter().zip(batch.columns()) {
                match column {
                    Column::Number(numbers) => {
                        out.push(self.delimiter);
                        if numbers.values.is_valid(row) {
                            let value = numbers.values.value(row);
                            let _ =
                                if *is_code { text::write_code(out, value) } else { text::write_number(out, value) };
                        }
                        cells.push(numbers.quality_at(row));
                    }
                    Column::Text(text) => {
                        self.write_text_cell(out, text, row);
                        cells.push(CellQuality(if text.is_valid(row) { Flag::Unknown } else { Flag::Missing } as u32));
                    }
                }
            }
            if let Some(score) = batch.score() {
                out.push(self.delimiter);
                if score.is_valid(row) {
                    text::write_number(out, score.value(row));
                }
            }
            if self.marks != Marks::None {
                if row == 0 || cells != cells_before {
                    marks.clear();
                    self.write_marks(batch, row, &cells, common.tests, &mut marks);
                    std::mem::swap(&mut cells, &mut cells_before);
                }
                out.extend_from_slice(&marks);
            }
            if self.partition {
                out.push(self.delimiter);
                self.write_text(out, common.partition.as_bytes());
            }
            if self.offset {
                out.push(self.delimiter);
                out.extend_from_slice(batch.source_offsets()[row].to_string().as_bytes());
            }
            out.extend_from_slice(&tail);
        }
    }

    /// Appends the flags of a row's cells, how they were filled, and the tests that objected.
    fn write_marks(&self, batch: &Batch, row: usize, cells: &[CellQuality], tests: &[Arc<str>], out: &mut Vec<u8>) {
        let flags = cells.iter().map(|cell| b'0' + cell.flag() as u8);
        if self.marks == Marks::Columns {
            flags.for_each(|flag| out.extend_from_slice(&[self.delimiter, flag]));
        } else {
            out.extend_from_slice(&[self.delimiter, b'q']);
            out.extend(flags);
        }
        let mut text = Vec::new();
        out.push(self.delimiter);
        if cells.iter().any(|cell| cell.provenance().is_listed()) {
            text::write_fills(&mut text, batch, row);
            self.write_text(out, &text);
        }
        out.push(self.delimiter);
        if cells.iter().any(|cell| cell.tests() != 0) {
            text.clear();
            text::write_tests(&mut text, batch, row, tests);
            self.write_text(out, &text);
        }
    }

    fn write_text_cell(&self, out: &mut Vec<u8>, texts: &StringArray, row: usize) {
        out.push(self.delimiter);
        if texts.is_valid(row) {
            self.write_text(out, texts.value(row).as_bytes());
        }
    }

    fn write_text(&self, out: &mut Vec<u8>, text: &[u8]) {
        self.write_quoted(out, &self.escape_formula(text));
    }

    /// The text, with `'` before what a spreadsheet would take for a formula, if that is asked for.
    fn escape_formula<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let is_formula = matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
        if self.escape_formulas && is_formula { [b"'", text].concat().into() } else { text.into() }
    }

    fn write_quoted(&self, out: &mut Vec<u8>, text: &[u8]) {
        let special = |byte: &u8| *byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r');
        if !text.is_empty() && !text.iter().any(special) {
            out.extend_from_slice(text);
            return;
        }
        out.push(b'"');
        for byte in text {
            if *byte == b'"' {
                out.push(b'"');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aqpipe_engine::record::{BatchParts, Field, Numbers, Provenance};
    use proptest::prelude::*;

    use super::*;

    fn batch(texts: Vec<Option<String>>) -> Batch {
        let rows = texts.len();
        let mut quality = vec![CellQuality::OBSERVED.0; rows];
        quality[0] = CellQuality::MISSING.filled(Provenance::ForwardFill, 2).0;
        let numbers = Numbers { values: vec![1360.0; rows].into(), quality: quality.into() };
        let missing = Numbers::observed(arrow_array::Float64Array::new_null(rows));
        let list = vec![Field::number("CO(GT)"), Field::text("note, \"quoted\""), Field::number("T")];
        Batch::new(BatchParts {
            fields: Arc::new(Fields {
                list,
                key: Some("station".into()),
                score: Some("quality_score".into()),
                open: false,
            }),
            time: vec![1_078_938_000_000_000; rows].into(),
            utc_offset: vec![60; rows].into(),
            key: Some(vec!["uci"; rows].into()),
            columns: vec![Column::Number(numbers), Column::Text(texts.into()), Column::Number(missing)],
            score: Some(vec![0.98; rows].into()),
            source_offsets: (41..41 + rows as u64).collect::<Vec<_>>().into(),
            raw: None,
        })
        .expect("fits")
    }

    #[test]
    fn lines_look_as_documented() {
        let encoder = CsvEncoder { partition: true, offset: true, processed_at: true, ..CsvEncoder::default() };
        let batch = batch(vec![Some("a, \"b\"".into()), None, Some(String::new())]);
        let mut out = Vec::new();
        encoder.write_header(batch.fields(), &mut out);
        encoder.write_rows(&batch, BatchContext { partition: "2", ..BatchContext::default() }, &mut out);
        insta::assert_snapshot!(String::from_utf8(out).expect("UTF-8"), @r#"
        timestamp,station,CO(GT),"note, ""quoted""",T,quality_score,qc_flags,fills,tests,partition,offset,processed_at
        2004-03-10T18:00:00+01:00,uci,1360.0,"a, ""b""",,0.98,q229,CO(GT)=forward_fill(2),,2,41,1970-01-01T00:00:00Z
        2004-03-10T18:00:00+01:00,uci,1360.0,,,0.98,q299,,,2,42,1970-01-01T00:00:00Z
        2004-03-10T18:00:00+01:00,uci,1360.0,"",,0.98,q229,,,2,43,1970-01-01T00:00:00Z
        "#);
    }

    #[test]
    fn a_field_with_the_name_of_another_column_is_found() {
        let fields = Fields { list: vec![Field::text("qc_flags"), Field::text("offset")], ..Fields::default() };
        assert_eq!(CsvEncoder::default().reserved_name(&fields), Some("qc_flags"));
        assert_eq!(CsvEncoder { marks: Marks::None, ..CsvEncoder::default() }.reserved_name(&fields), None);
        assert_eq!(
            CsvEncoder { marks: Marks::None, offset: true, ..CsvEncoder::default() }.reserved_name(&fields),
            Some("offset")
        );
    }

    #[test]
    fn a_field_with_the_name_of_another_column_is_written_under_one_of_its_own() {
        let list = ["tests", "T", "fills", "timestamp", "station", "quality_score", "tests_"].map(Field::text).to_vec();
        let fields =
            Fields { list, key: Some("station".into()), score: Some("quality_score".into()), ..Fields::default() };
        let mut out = Vec::new();
        CsvEncoder::default().write_header(&fields, &mut out);
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "timestamp,station,tests__,T,fills_,timestamp_,station_,quality_score,tests_,quality_score_,qc_flags,fills,tests\n"
        );
    }

    #[test]
    fn tests_are_named_and_flags_may_have_a_column_a_field() {
        let mut batch = batch(vec![None, None]);
        let change = |numbers: Numbers| {
            let quality = vec![CellQuality::OBSERVED.checked(Flag::Fail, 1).0, CellQuality::UNREADABLE.with_test(1).0];
            Ok(Numbers { quality: quality.into(), ..numbers })
        };
        batch.change_numbers(0, change).expect("changed");
        let tests: Vec<Arc<str>> = vec!["syntax".into(), "gross_range".into()];
        let context = BatchContext { tests: &tests, ..BatchContext::default() };
        let written = |marks| {
            let encoder = CsvEncoder { marks, ..CsvEncoder::default() };
            let mut out = Vec::new();
            encoder.write_header(batch.fields(), &mut out);
            encoder.write_rows(&batch, context, &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        insta::assert_snapshot!(written(Marks::Text), @r#"
        timestamp,station,CO(GT),"note, ""quoted""",T,quality_score,qc_flags,fills,tests
        2004-03-10T18:00:00+01:00,uci,1360.0,,,0.98,q499,,CO(GT)=gross_range
        2004-03-10T18:00:00+01:00,uci,1360.0,,,0.98,q499,,CO(GT)=syntax;CO(GT)=gross_range
        "#);
        insta::assert_snapshot!(written(Marks::Columns), @r#"
        timestamp,station,CO(GT),"note, ""quoted""",T,quality_score,CO(GT)_qc,"note, ""quoted""_qc",T_qc,fills,tests
        2004-03-10T18:00:00+01:00,uci,1360.0,,,0.98,4,9,9,,CO(GT)=gross_range
        2004-03-10T18:00:00+01:00,uci,1360.0,,,0.98,4,9,9,,CO(GT)=syntax;CO(GT)=gross_range
        "#);
    }

    #[test]
    fn texts_that_a_spreadsheet_would_take_for_a_formula_are_escaped_where_that_is_asked_for() {
        let texts = ["=1+1", "+1", "-x", "@sum", "\tx", "a=b", "'=1", ""];
        let batch = batch(texts.iter().map(|text| Some((*text).to_owned())).collect());
        let read = |escape_formulas| {
            let encoder = CsvEncoder { escape_formulas, marks: Marks::None, ..CsvEncoder::default() };
            let mut out = Vec::new();
            encoder.write_header(batch.fields(), &mut out);
            encoder.write_rows(&batch, BatchContext::default(), &mut out);
            let mut reader = csv::Reader::from_reader(&*out);
            reader.records().map(|record| record.expect("a record")[3].to_owned()).collect::<Vec<String>>()
        };
        assert_eq!(read(false), texts);
        assert_eq!(read(true), ["'=1+1", "'+1", "'-x", "'@sum", "'\tx", "a=b", "'=1", ""]);
    }

    proptest! {
        #[test]
        fn other_readers_read_every_text_back(
            texts in proptest::collection::vec(any::<String>(), 1..20),
            delimiter in prop::sample::select(b",;\t|".to_vec()),
        ) {
            let batch = batch(texts.iter().cloned().map(Some).collect());
            let encoder = CsvEncoder { delimiter, ..CsvEncoder::default() };
            let mut out = Vec::new();
            encoder.write_header(batch.fields(), &mut out);
            encoder.write_rows(&batch, BatchContext::default(), &mut out);
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&*out);
            let read: Vec<String> = reader.records().map(|record| record.expect("a record")[3].to_owned()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
