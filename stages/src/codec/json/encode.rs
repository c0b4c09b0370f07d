//! From columns to JSON, a row at a time. What is the same for all rows is escaped once.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Fields, Flag, Provenance, QcTests, TIMESTAMP};
use arrow_array::{Array, StringArray};
use arrow_buffer::NullBuffer;

use super::property_names::QUALITY;
use crate::codec::clock_codes::is_clock_code;
use crate::codec::text;
use crate::codec::unique_names::unique_names;
use crate::warn_once::WarnOnce;

/// Provenance and distance.
const PROVENANCE_BITS: u32 = 0xfff0;
const TEST_BITS: u32 = 0xffff_0000;
const DERIVED_BITS: u32 = (Provenance::Derived as u32) << 4;

/// Writes records as JSON objects (see the [module](super) for their shape).
#[derive(Debug)]
pub struct Encoder {
    tests: Arc<QcTests>,
    template: Option<RecordTemplate>,
    flags: Vec<u8>,
    warn_once: WarnOnce,
}

/// The parts of a record that are the same for all rows.
#[derive(Debug)]
struct RecordTemplate {
    fields: Arc<Fields>,
    tests: Vec<Arc<str>>,
    /// `,"station":`
    key: Fragment,
    /// `,"CO(GT)":` for each field.
    properties: Vec<Fragment>,
    /// `,"derived":["hour"]`, or nothing.
    derived: Vec<u8>,
    /// `"gross_range"` for each test.
    test_names: Vec<Vec<u8>>,
}

/// Bytes that are written with each record. Where there are few, they are copied at a fixed length, which is some moves and no call.
#[derive(Debug)]
struct Fragment {
    /// With zeros behind, up to [`FIXED_BYTES`](Fragment::FIXED_BYTES).
    bytes: Vec<u8>,
    length: usize,
}

impl Fragment {
    const FIXED_BYTES: usize = 16;

    fn new(mut bytes: Vec<u8>) -> Fragment {
        let length = bytes.len();
        bytes.resize(length.max(Fragment::FIXED_BYTES), 0);
        Fragment { bytes, length }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        match self.bytes.first_chunk::<{ Fragment::FIXED_BYTES }>() {
            Some(fixed) if self.length <= Fragment::FIXED_BYTES => {
                let end = out.len() + self.length;
                out.extend_from_slice(fixed);
                out.truncate(end);
            }
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

/// A column's parts, for one batch.
enum ColumnView<'a> {
    Number {
        values: &'a [f64],
        nulls: Option<&'a NullBuffer>,
        quality: &'a [u32],
        implied: u32,
        /// Whether it is written as an integer.
        is_code: bool,
    },
    Text(&'a StringArray),
}

/// The name of a field or of the key that the wire format reserves for another property; the encoder writes such a field under
/// another name.
#[must_use]
pub fn reserved_name(fields: &Fields) -> Option<&str> {
    let taken = |name: &&str| [TIMESTAMP, QUALITY].contains(name);
    let key = fields.key.as_deref();
    key.filter(taken).or_else(|| fields.names().find(|name| taken(name) || key == Some(name)))
}

impl Encoder {
    /// An encoder that takes the names of tests from `tests`.
    #[must_use]
    pub fn new(tests: Arc<QcTests>) -> Encoder {
        Encoder { tests, template: None, flags: Vec::new(), warn_once: WarnOnce::default() }
    }

    /// Appends one JSON object a record to `out` (no line end), and the end of each in `out` to `ends`.
    ///
    /// A field with a reserved name (see [`reserved_name`]) is written with `_` appended.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn encode(&mut self, batch: &Batch, out: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<()> {
        let tests = self.tests.names();
        let template = match self.template.take() {
            Some(template) if template.fits(batch.fields(), &tests) => template,
            _ => RecordTemplate::new(batch.fields(), tests, &self.warn_once),
        };
        let template = self.template.insert(template);
        let columns: Vec<ColumnView<'_>> =
            template.fields.list.iter().zip(batch.columns()).map(ColumnView::of).collect();
        ends.reserve(batch.rows());
        for row in 0..batch.rows() {
            template.write_row(batch, &columns, row, &mut self.flags, out);
            ends.push(out.len());
        }
        Ok(())
    }
}

impl<'a> ColumnView<'a> {
    fn of((field, column): (&aqpipe_engine::record::Field, &'a Column)) -> ColumnView<'a> {
        match column {
            Column::Text(text) => ColumnView::Text(text),
            Column::Number(numbers) => ColumnView::Number {
                values: numbers.values.values(),
                nulls: numbers.values.nulls(),
                quality: &numbers.quality,
                implied: if field.derived { DERIVED_BITS } else { 0 },
                is_code: is_clock_code(field),
            },
        }
    }
}

impl RecordTemplate {
    fn new(fields: &Arc<Fields>, tests: Vec<Arc<str>>, warn_once: &WarnOnce) -> RecordTemplate {
        let names: Vec<&str> = fields.key.as_deref().into_iter().chain(fields.names()).collect();
        let written = unique_names(&names, &[TIMESTAMP, QUALITY]);
        warn_once.warn_renamed(&names, &written);
        let (key, written) = written.split_at(usize::from(fields.key.is_some()));
        let property = |name: &str| {
            let mut fragment = vec![b','];
            write_text(&mut fragment, name);
            fragment.push(b':');
            Fragment::new(fragment)
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
        RecordTemplate {
            fields: Arc::clone(fields),
            key: key.first().map_or_else(|| Fragment::new(Vec::new()), |name| property(name)),
            properties: written.iter().map(|name| property(name)).collect(),
            derived,
            test_names: test_names.collect(),
            tests,
        }
    }

    fn fits(&self, fields: &Arc<Fields>, tests: &[Arc<str>]) -> bool {
        (Arc::ptr_eq(&self.fields, fields) || self.fields == *fields) && self.tests == tests
    }

    fn write_row(&self, batch: &Batch, columns: &[ColumnView<'_>], row: usize, flags: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        text::write_timestamp(out, batch.time()[row], batch.utc_offset()[row]);
        out.push(b'"');
        if let Some(keys) = batch.key() {
            self.key.write(out);
            write_text_cell(out, keys, row);
        }
        flags.clear();
        let mut unusual = 0;
        for (property, cells) in self.properties.iter().zip(columns) {
            property.write(out);
            match cells {
                ColumnView::Number { values, nulls, quality, implied, is_code } => {
                    let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                    let write = if *is_code { text::write_code } else { text::write_number };
                    if !(valid && write(out, values[row])) {
                        out.extend_from_slice(b"null");
                    }
                    // A reader takes a value of such a field for derived, and a gap in it for none.
                    let implied = if valid { *implied } else { 0 };
                    unusual |= (quality[row] ^ implied) & (PROVENANCE_BITS | TEST_BITS);
                    flags.push(b'0' + CellQuality(quality[row]).flag() as u8);
                }
                ColumnView::Text(text) => {
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
        if unusual & TEST_BITS != 0 {
            self.write_members(out, b",\"tests\":{", columns, row, |out, quality, _| {
                let mut separator = b'[';
                for (_, name) in
                    self.test_names.iter().enumerate().filter(|(bit, _)| quality.tests() & (1 << (bit & 15)) != 0)
                {
                    out.push(separator);
                    out.extend_from_slice(name);
                    separator = b',';
                }
                if separator == b',' {
                    out.push(b']');
                }
                separator == b','
            });
        }
        if unusual & PROVENANCE_BITS != 0 {
            self.write_members(out, b",\"fills\":{", columns, row, |out, quality, implied| {
                let differs = quality.0 & PROVENANCE_BITS != implied;
                if differs {
                    out.push(b'"');
                    text::write_fill(out, quality);
                    out.push(b'"');
                }
                differs
            });
        }
        out.extend_from_slice(b"}}");
    }

    /// Writes `name`, which opens an object, and a member for each measurement for which `value` appends something. `value` gets
    /// the cell's quality and the provenance that the field implies, and returns whether it appended something. Writes nothing
    /// where it never did.
    #[cold]
    fn write_members(
        &self,
        out: &mut Vec<u8>,
        name: &[u8],
        columns: &[ColumnView<'_>],
        row: usize,
        value: impl Fn(&mut Vec<u8>, CellQuality, u32) -> bool,
    ) {
        let start = out.len();
        out.extend_from_slice(name);
        let members_start = out.len();
        for (property, cells) in self.properties.iter().zip(columns) {
            let ColumnView::Number { nulls, quality, implied, .. } = cells else { continue };
            let is_missing = nulls.is_some_and(|nulls| nulls.is_null(row));
            let before = out.len();
            // A property starts with a comma, which the first member does without.
            out.extend_from_slice(if before == members_start { &property.bytes()[1..] } else { property.bytes() });
            if !value(out, CellQuality(quality[row]), if is_missing { 0 } else { *implied }) {
                out.truncate(before);
            }
        }
        if out.len() == members_start {
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
