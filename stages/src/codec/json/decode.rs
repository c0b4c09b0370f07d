//! From JSON to columns.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, Fields, Kind, QcTests};
use arrow_array::{BinaryArray, Float64Array};
use arrow_buffer::{Buffer, OffsetBuffer};

use super::columns::{Builder, Texts};
use super::layout::Layout;
use super::quality::TestBits;
use super::row::{Cell, Row};

/// How many bytes of records may wait in one batch.
const MOST_BYTES: usize = 64 << 20;

/// How records are read.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// The property that is the timestamp.
    pub timestamp: String,
    /// The property that is the key.
    pub key: Option<String>,
    /// The fields that are known before the first record; of the rest of it only `open` counts, for the layout of the
    /// batches. Other properties are added as they appear, behind these.
    pub declared: Option<Fields>,
    /// Fields that hold numbers, whatever their first value looks like.
    pub numeric: Arc<BTreeSet<String>>,
    /// The bits of tests.
    pub tests: Arc<QcTests>,
    /// Whether to keep the bytes of each record in the batch.
    pub keep_raw: bool,
}

/// What became of a record that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is a row of the next batch.
    Row,
    /// It does not fit the rows that wait, for it has other fields (or they are many bytes already): [`Decoder::take`]
    /// those first, then push it again.
    Full,
}

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason, for the dead letter.
    pub reason: String,
}

impl Rejected {
    pub(super) fn new(reason: impl Into<String>) -> Rejected {
        Rejected { reason: reason.into() }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejected {}

/// Reads records into columns (see the [module](super) for their shape).
///
/// * A property that is not known becomes a field; its first value that is not null says whether it holds numbers or
///   text (true and false are text), unless `numeric` lists it. A known field that a record lacks is missing.
/// * In a field of numbers, what is no number (a text, true or false, a decimal beyond 64 bits) becomes missing with the
///   test `not_a_number`. In a field of text, a number is the text that it was written as.
/// * A record is rejected where it is not UTF-8, not JSON or not an object, has no valid timestamp, has a property
///   twice, or an object or an array where a value belongs.
/// * Marks come from `quality` where it is there. Where its flags are not one for each field, or any of it is not of its
///   shape, all of it is ignored for that record, and counted. A flag that contradicts its value (`good` without a
///   value, `missing` with one) is `missing` or `unknown`.
#[derive(Debug)]
pub struct Decoder {
    layout: Layout,
    tests: TestBits,
    keep_raw: bool,
    row: Row,
    time: Vec<i64>,
    offset: Vec<i16>,
    origin: Vec<u64>,
    keys: Texts,
    columns: Vec<Builder>,
    scores: Vec<Option<f64>>,
    raw: Vec<u8>,
    raw_ends: Vec<i32>,
    bytes: usize,
    marks_ignored: u64,
}

impl Decoder {
    /// A decoder with no rows.
    #[must_use]
    pub fn new(options: DecoderOptions) -> Decoder {
        let mut decoder = Decoder {
            layout: Layout::new(&options),
            tests: TestBits::new(options.tests),
            keep_raw: options.keep_raw,
            row: Row::default(),
            time: Vec::new(),
            offset: Vec::new(),
            origin: Vec::new(),
            keys: Texts::new(0),
            columns: Vec::new(),
            scores: Vec::new(),
            raw: Vec::new(),
            raw_ends: vec![0],
            bytes: 0,
            marks_ignored: 0,
        };
        decoder.columns = decoder.new_columns(0);
        decoder
    }

    fn new_columns(&self, rows: usize) -> Vec<Builder> {
        self.layout.fields.iter().map(|field| Builder::new(field.kind, rows)).collect()
    }

    /// Reads one record that starts at `origin` of its split.
    ///
    /// # Errors
    /// Why it is not a record. Nothing of it stays behind.
    pub fn push(&mut self, origin: u64, payload: &[u8]) -> Result<Pushed, Rejected> {
        if payload.len() > i32::MAX as usize {
            return Err(Rejected::new(format!("{} bytes are more than a record may have", payload.len())));
        }
        if self.rows() > 0 && self.bytes + payload.len() > MOST_BYTES {
            return Ok(Pushed::Full);
        }
        let source = std::str::from_utf8(payload)
            .map_err(|error| Rejected::new(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
        self.row.read(source, &self.layout, &mut self.tests)?;
        if self.make_room(source) == Pushed::Full {
            return Ok(Pushed::Full);
        }
        self.append(origin, source);
        Ok(Pushed::Row)
    }

    /// Makes the layout one that the record fits, which only an empty batch can be given.
    fn make_room(&mut self, source: &str) -> Pushed {
        let Row { cells, new, order, quality, .. } = &mut self.row;
        let known = self.layout.fields.len();
        let find_new = |name: &str| new.iter().position(|(new, _)| new == name).map(|place| known + place);
        let has_marks = quality.settle(source, order, |name| self.layout.field(name).or_else(|| find_new(name)));
        let texts: Vec<usize> = match self.layout.undecided {
            0 => Vec::new(),
            _ => undecided(&self.layout, cells).filter(|index| cells[*index].kind() == Kind::Text).collect(),
        };
        let has_score_field = new.iter().any(|(name, _)| name == super::SCORE);
        let scored =
            quality.score.is_some() && !self.layout.scored && !has_score_field && self.layout.has_room_for_score();
        let settled = quality.find_derived(&self.layout);
        if !new.is_empty() || !texts.is_empty() || !settled || scored {
            if !self.time.is_empty() {
                return Pushed::Full;
            }
            let fields = new.iter().map(|(name, cell)| (name.as_str(), cell));
            self.layout.grow(fields, &texts, quality.derived(), scored);
            quality.find_derived(&self.layout);
            cells.extend(new.drain(..).map(|(_, cell)| cell));
            self.columns = self.new_columns(0);
        }
        self.marks_ignored += u64::from(!has_marks);
        Pushed::Row
    }

    fn append(&mut self, origin: u64, source: &str) {
        if self.layout.undecided > 0 {
            let numbers: Vec<usize> = undecided(&self.layout, &self.row.cells)
                .filter(|index| self.row.cells[*index].kind() == Kind::Number)
                .collect();
            numbers.into_iter().for_each(|index| self.layout.decide_number(index));
        }
        let (time, offset) = self.row.time.unwrap_or_default();
        self.time.push(time);
        self.offset.push(offset);
        self.origin.push(origin);
        if self.layout.has_key() {
            self.keys.push_cell(self.row.key.as_ref().unwrap_or(&Cell::Absent), source);
        }
        for (column, cell) in self.columns.iter_mut().zip(&self.row.cells) {
            column.push(cell, source);
        }
        if self.layout.scored {
            self.scores.push(self.row.quality.score);
        }
        self.row.quality.apply(source, &self.layout, &self.row.order, &mut self.columns);
        if self.keep_raw {
            self.raw.extend_from_slice(source.as_bytes());
            self.raw_ends.push(self.raw.len() as i32);
        }
        self.bytes += source.len();
    }

    /// The rows read since the last call, as a batch; `None` where there are none.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn take(&mut self) -> Result<Option<Batch>> {
        let rows = self.rows();
        if rows == 0 {
            return Ok(None);
        }
        let room = || Vec::with_capacity(rows);
        let fresh = self.new_columns(rows);
        let columns = std::mem::replace(&mut self.columns, fresh);
        let keys = std::mem::replace(&mut self.keys, Texts::new(rows));
        let raw = std::mem::take(&mut self.raw);
        let raw_ends = std::mem::replace(&mut self.raw_ends, vec![0]);
        let scores = std::mem::take(&mut self.scores);
        self.bytes = 0;
        Batch::new(BatchParts {
            fields: self.layout.shared(),
            time: std::mem::replace(&mut self.time, room()).into(),
            utc_offset: std::mem::replace(&mut self.offset, Vec::with_capacity(rows)).into(),
            key: self.layout.has_key().then(|| keys.finish()).transpose()?,
            columns: columns.into_iter().map(Builder::finish).collect::<Result<_>>()?,
            score: self.layout.scored.then(|| Float64Array::from(scores)),
            source_offsets: std::mem::replace(&mut self.origin, Vec::with_capacity(rows)).into(),
            raw: self
                .keep_raw
                .then(|| BinaryArray::new(OffsetBuffer::new(raw_ends.into()), Buffer::from_vec(raw), None)),
        })
        .map(Some)
    }

    /// How many rows wait to be taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// How many records had marks that could not be read back, since the last call.
    pub fn marks_ignored(&mut self) -> u64 {
        std::mem::take(&mut self.marks_ignored)
    }

    /// The layout that the next batch has unless a record changes it.
    #[must_use]
    pub fn fields(&self) -> Arc<Fields> {
        self.layout.shared()
    }

    /// The known fields and their kinds, for [`restore`](Self::restore).
    #[must_use]
    pub fn carry(&self) -> Vec<u8> {
        self.layout.carry()
    }

    /// Knows the fields again that [`carry`](Self::carry) saved, behind those declared now. To be called before the first
    /// record; nothing carried is nothing known.
    ///
    /// # Errors
    /// Where the bytes are not what this version saves.
    pub fn restore(&mut self, carried: &[u8]) -> Result<()> {
        if !carried.is_empty() {
            self.layout.restore(carried)?;
            self.columns = self.new_columns(0);
        }
        Ok(())
    }
}

/// The fields of which only nulls were seen before this record.
fn undecided<'a>(layout: &'a Layout, cells: &'a [Cell]) -> impl Iterator<Item = usize> + 'a {
    let fields = layout.fields.iter().take(cells.len()).enumerate();
    fields.filter(|(_, field)| field.kind == Kind::Unknown).map(|(index, _)| index)
}
