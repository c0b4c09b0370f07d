//! From columns to JSON, a row at a time, with everything that does not change from row to row escaped beforehand.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Fields, Flag, Provenance, QcTests, TIMESTAMP};
use arrow_array::{Array, StringArray};
use arrow_buffer::NullBuffer;

use super::QUALITY;
use crate::codec::names::{Told, apart};
use crate::codec::text;

/// Provenance and distance.
const PROVENANCE: u32 = 0xfff0;
const TESTS: u32 = 0xffff_0000;
const DERIVED: u32 = (Provenance::Derived as u32) << 4;

/// Writes records as JSON objects (see the [module](super) for their shape).
#[derive(Debug)]
pub struct Encoder {
    tests: Arc<QcTests>,
    bound: Option<Bound>,
    flags: Vec<u8>,
    told: Told,
}

/// What stays the same from row to row.
#[derive(Debug)]
struct Bound {
    fields: Arc<Fields>,
    tests: Vec<Arc<str>>,
    /// `,"station":`
    key: Vec<u8>,
    /// `,"CO(GT)":` a field.
    properties: Vec<Vec<u8>>,
    /// `,"derived":["hour"]`, or nothing.
    derived: Vec<u8>,
    /// `"gross_range"` a test.
    test_names: Vec<Vec<u8>>,
}

/// A column, taken apart once a batch.
enum Cells<'a> {
    Number { values: &'a [f64], nulls: Option<&'a NullBuffer>, marks: &'a [u32], usual: u32 },
    Text(&'a StringArray),
}

/// The name among these fields (or the key's) that belongs to another property of the wire format, so that they are written
/// under another one.
#[must_use]
pub fn taken_name(fields: &Fields) -> Option<&str> {
    let taken = |name: &&str| [TIMESTAMP, QUALITY].contains(name);
    let key = fields.key.as_deref();
    key.filter(taken).or_else(|| fields.names().find(|name| taken(name) || key == Some(name)))
}

impl Encoder {
    /// An encoder that takes the names of tests from `tests`.
    #[must_use]
    pub fn new(tests: Arc<QcTests>) -> Encoder {
        Encoder { tests, bound: None, flags: Vec::new(), told: Told::default() }
    }

    /// Appends one JSON object a record to `out` (no line end), and the end of each in `out` to `ends`.
    ///
    /// A field with a name that belongs to another property (see [`taken_name`]) is written with `_` behind it.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn encode(&mut self, batch: &Batch, out: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<()> {
        let tests = self.tests.names();
        let bound = match self.bound.take() {
            Some(bound) if bound.fits(batch.fields(), &tests) => bound,
            _ => Bound::new(batch.fields(), tests, &self.told),
        };
        let bound = self.bound.insert(bound);
        let columns: Vec<Cells<'_>> = bound.fields.list.iter().zip(batch.columns()).map(Cells::of).collect();
        ends.reserve(batch.rows());
        for row in 0..batch.rows() {
            bound.write_row(batch, &columns, row, &mut self.flags, out);
            ends.push(out.len());
        }
        Ok(())
    }
}

impl<'a> Cells<'a> {
    fn of((field, column): (&aqpipe_engine::record::Field, &'a Column)) -> Cells<'a> {
        match column {
            Column::Text(text) => Cells::Text(text),
            Column::Number(numbers) => Cells::Number {
                values: numbers.values.values(),
                nulls: numbers.values.nulls(),
                marks: &numbers.quality,
                usual: if field.derived { DERIVED } else { 0 },
            },
        }
    }
}

impl Bound {
    fn new(fields: &Arc<Fields>, tests: Vec<Arc<str>>, told: &Told) -> Bound {
        let names: Vec<&str> = fields.key.as_deref().into_iter().chain(fields.names()).collect();
        let written = apart(&names, &[TIMESTAMP, QUALITY]);
        told.renamed(&names, &written);
        let (key, written) = written.split_at(usize::from(fields.key.is_some()));
        let property = |name: &str| {
            let mut fragment = vec![b','];
            write_text(&mut fragment, name);
            fragment.push(b':');
            fragment
        };
        let mut derived = Vec::new();
        for (_, name) in fields.list.iter().zip(written).filter(|(field, _)| field.derived) {
            derived.extend_from_slice(if derived.is_empty() { b",\"derived\":[" } else { b"," });
            write_text(&mut derived, name);
        }
        if !derived.is_empty() {
            derived.push(b']');
        }
        let test_names = tests.iter().map(|name| {
            let mut quoted = Vec::new();
            write_text(&mut quoted, name);
            quoted
        });
        Bound {
            fields: Arc::clone(fields),
            key: key.first().map(|name| property(name)).unwrap_or_default(),
            properties: written.iter().map(|name| property(name)).collect(),
            derived,
            test_names: test_names.collect(),
            tests,
        }
    }

    fn fits(&self, fields: &Arc<Fields>, tests: &[Arc<str>]) -> bool {
        (Arc::ptr_eq(&self.fields, fields) || self.fields == *fields) && self.tests == tests
    }

    fn write_row(&self, batch: &Batch, columns: &[Cells<'_>], row: usize, flags: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        text::write_timestamp(out, batch.time()[row], batch.utc_offset()[row]);
        out.push(b'"');
        if let Some(keys) = batch.key() {
            out.extend_from_slice(&self.key);
            write_text_cell(out, keys, row);
        }
        flags.clear();
        let mut notable = 0;
        for (property, cells) in self.properties.iter().zip(columns) {
            out.extend_from_slice(property);
            match cells {
                Cells::Number { values, nulls, marks, usual } => {
                    let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                    if !(valid && text::write_number(out, values[row])) {
                        out.extend_from_slice(b"null");
                    }
                    notable |= (marks[row] ^ usual) & (PROVENANCE | TESTS);
                    flags.push(b'0' + CellQuality(marks[row]).flag() as u8);
                }
                Cells::Text(text) => {
                    write_text_cell(out, text, row);
                    let flag = if text.is_valid(row) { Flag::Unknown } else { Flag::Missing };
                    flags.push(b'0' + flag as u8);
                }
            }
        }
        out.extend_from_slice(b",\"quality\":{");
        let score = batch.score().filter(|score| score.is_valid(row)).map(|score| score.value(row));
        if let Some(score) = score.filter(|score| score.is_finite()) {
            out.extend_from_slice(b"\"score\":");
            text::write_number(out, score);
            out.push(b',');
        }
        out.extend_from_slice(b"\"flags\":\"");
        out.extend_from_slice(flags);
        out.push(b'"');
        out.extend_from_slice(&self.derived);
        if notable & TESTS != 0 {
            self.write_members(out, b",\"tests\":{", columns, row, |out, mark, _| {
                let mut before = b'[';
                for (_, name) in
                    self.test_names.iter().enumerate().filter(|(bit, _)| mark.tests() & (1 << (bit & 15)) != 0)
                {
                    out.push(before);
                    out.extend_from_slice(name);
                    before = b',';
                }
                if before == b',' {
                    out.push(b']');
                }
                before == b','
            });
        }
        if notable & PROVENANCE != 0 {
            self.write_members(out, b",\"fills\":{", columns, row, |out, mark, usual| {
                let differs = mark.0 & PROVENANCE != usual;
                if differs {
                    out.push(b'"');
                    text::write_fill(out, mark);
                    out.push(b'"');
                }
                differs
            });
        }
        out.extend_from_slice(b"}}");
    }

    /// Writes `name`, which opens an object, and `"FIELD":…}` with what `value` appends for a measurement; `value` is told the mark and the
    /// provenance that goes without saying, and returns whether it appended something. Nothing where it never did.
    #[cold]
    fn write_members(
        &self,
        out: &mut Vec<u8>,
        name: &[u8],
        columns: &[Cells<'_>],
        row: usize,
        value: impl Fn(&mut Vec<u8>, CellQuality, u32) -> bool,
    ) {
        let start = out.len();
        out.extend_from_slice(name);
        let opened = out.len();
        for (property, cells) in self.properties.iter().zip(columns) {
            let Cells::Number { nulls, marks, usual, .. } = cells else { continue };
            let null = nulls.is_some_and(|nulls| nulls.is_null(row));
            let before = out.len();
            // A property starts with a comma, which the first member does without.
            out.extend_from_slice(if before == opened { &property[1..] } else { property });
            if !value(out, CellQuality(marks[row]), if null { 0 } else { *usual }) {
                out.truncate(before);
            }
        }
        if out.len() == opened {
            out.truncate(start);
        } else {
            out.push(b'}');
        }
    }
}

fn write_text_cell(out: &mut Vec<u8>, texts: &StringArray, row: usize) {
    if texts.is_valid(row) { write_text(out, texts.value(row)) } else { out.extend_from_slice(b"null") }
}

/// Appends a text as JSON, quotes included.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        serde_json::to_writer(out, text).expect("a vector takes all bytes, a text is JSON");
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}
