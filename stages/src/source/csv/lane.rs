//! Reads files row by row into columns.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Kind, Mark, Numbers, Position, Tests};
use aqpipe_engine::stage::{DeadLetter, Lane, Next, Start};
use aqpipe_engine::{Error, Result};
use arrow_array::builder::StringBuilder;
use arrow_array::{BinaryArray, Float64Array, StringArray};
use arrow_buffer::NullBufferBuilder;
use csv::{ByteRecord, Reader, ReaderBuilder};
use serde::{Deserialize, Serialize};

use super::columns::Header;
use super::files::Files;
use super::sentinels::Sentinels;
use super::time::Clock;
use super::{KeyOf, number};

/// Bytes read from a file at once.
const BUFFER: usize = 1 << 18;
/// The most of a bad value that a reason shows.
const SHOWN: usize = 60;

/// What a lane is told of its files.
#[derive(Clone)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) decimal: u8,
    pub(super) columns: Option<Vec<String>>,
    pub(super) rename: BTreeMap<String, String>,
    pub(super) missing: Sentinels,
    pub(super) clock: Clock,
    pub(super) time_columns: Vec<String>,
    pub(super) key: KeyOf,
    pub(super) declared: Option<Vec<Field>>,
    pub(super) text_fields: Vec<String>,
    pub(super) numeric: Arc<BTreeSet<String>>,
    pub(super) keep_raw: bool,
    pub(super) max_records: Option<u64>,
    pub(super) facts: Arc<Facts>,
}

/// The header of the first file, and that file's name.
pub(super) fn header(layout: &Layout, files: &Files) -> Result<(String, Header)> {
    let path = files.paths().first().ok_or_else(|| Error::bug("no files"))?;
    let open = Open::at(layout, path)?;
    Ok((open.name, open.header))
}

/// An open file.
struct Open {
    name: String,
    reader: Reader<File>,
    /// The same file, to read the bytes of a row again.
    bytes: File,
    header: Header,
}

impl Open {
    fn at(layout: &Layout, path: &Path) -> Result<Open> {
        let name = path.display().to_string();
        let failed = |e: std::io::Error| Error::new(format!("{name} cannot be read")).because(e);
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Error::config(format!("{name} is a directory, not a file")));
        }
        let bytes = file.try_clone().map_err(failed)?;
        let mut reader = ReaderBuilder::new()
            .delimiter(layout.delimiter)
            .quote(layout.quote)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(file);
        if let Some(columns) = &layout.columns {
            let header = Header::new(columns.iter().cloned(), &layout.rename);
            return Ok(Open { name, reader, bytes, header });
        }
        let mut first = ByteRecord::new();
        let found =
            reader.read_byte_record(&mut first).map_err(|e| Error::new(format!("{name} cannot be read")).because(e))?;
        if !found {
            return Err(Error::config("the file is empty: not even a header is there").at(name));
        }
        let names: Option<Vec<String>> =
            first.iter().map(|cell| std::str::from_utf8(cell).ok().map(str::to_owned)).collect();
        let names = names.ok_or_else(|| Error::config("the header is not in UTF-8").at(format!("{name}:1")))?;
        let header = Header::new(names.into_iter(), &layout.rename);
        if let Some(twice) = header.twice() {
            return Err(Error::config(format!("two columns are called `{twice}`"))
                .at(format!("{name}:1"))
                .help("`rename` goes by name too: name the columns apart in the file"));
        }
        Ok(Open { name, reader, bytes, header })
    }

    fn raw(&self, from: u64, to: u64) -> Result<Vec<u8>> {
        let mut raw = vec![0; (to - from) as usize];
        self.bytes
            .read_exact_at(&mut raw, from)
            .map_err(|e| Error::new(format!("{} cannot be read again", self.name)).because(e))?;
        Ok(raw)
    }
}

/// Where the parts of a record stand in a row.
struct Plan {
    width: usize,
    time: Vec<usize>,
    key: Option<usize>,
    columns: Vec<usize>,
    fields: Vec<Field>,
    /// Whether a field's kind is still to be decided.
    undecided: bool,
    layout: Arc<Fields>,
}

impl Plan {
    fn of(header: &Header, layout: &Layout, known: &BTreeMap<String, Kind>) -> Result<Plan> {
        let find =
            |name: &String| header.original(name).ok_or_else(|| Error::config(format!("there is no column `{name}`")));
        let (columns, mut fields): (Vec<usize>, Vec<Field>) = header.fields(layout).into_iter().unzip();
        for field in &mut fields {
            if let (Kind::Undecided, Some(kind)) = (field.kind, known.get(&*field.name)) {
                field.kind = *kind;
            }
        }
        if let Some(declared) = layout.declared.as_ref().filter(|declared| declared.len() != fields.len()) {
            let lost = declared.iter().find(|field| header.renamed(&field.name).is_none());
            let lost = lost.map_or("", |field| &field.name);
            return Err(Error::config(format!("there is no column `{lost}`")));
        }
        let key = match &layout.key {
            KeyOf::Column(column) => Some(find(column)?),
            KeyOf::Nothing | KeyOf::Constant { .. } => None,
        };
        let time = layout.time_columns.iter().map(find).collect::<Result<_>>()?;
        let mut plan =
            Plan { width: header.width(), time, key, columns, fields, undecided: false, layout: Arc::default() };
        plan.settle(&layout.key);
        Ok(plan)
    }

    /// Makes the layout of batches from the fields as they are known now.
    fn settle(&mut self, key: &KeyOf) {
        let shown = |field: &Field| match field.kind {
            Kind::Undecided => Field { kind: Kind::Number, ..field.clone() },
            Kind::Number | Kind::Text => field.clone(),
        };
        self.undecided = self.fields.iter().any(|field| field.kind == Kind::Undecided);
        self.layout = Arc::new(Fields {
            list: self.fields.iter().map(shown).collect(),
            key: match key {
                KeyOf::Nothing => None,
                KeyOf::Column(name) | KeyOf::Constant { name, .. } => Some(name.as_str().into()),
            },
            score: None,
            open: false,
        });
    }
}

/// What a later run needs besides the position.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Carry {
    version: u8,
    /// The files that were read whole, with their lengths.
    finished: Vec<(String, u64)>,
    /// The line of the current file where the next row is looked for.
    line: u64,
    kinds: BTreeMap<String, Kind>,
}

const VERSION: u8 = 1;

pub(super) struct CsvLane {
    layout: Arc<Layout>,
    files: Files,
    finished: Vec<(String, u64)>,
    /// Bytes of the finished files.
    base: u64,
    open: Option<Open>,
    plan: Plan,
    kinds: BTreeMap<String, Kind>,
    record: ByteRecord,
    /// The record was read and waits for the next call: it begins another layout.
    pending: bool,
    position: Position,
    total: u64,
    stamp: Vec<u8>,
    first_header: (String, Header),
}

impl CsvLane {
    pub(super) fn open(layout: Arc<Layout>, files: Files, start: Option<&Start>) -> Result<CsvLane> {
        let carry = match start.and_then(|start| start.state.first()).filter(|state| !state.is_empty()) {
            None => Carry { line: 1, ..Carry::default() },
            Some(state) => {
                postcard::from_bytes::<Carry>(state).ok().filter(|carry| carry.version == VERSION).ok_or_else(|| {
                    Error::new("the saved position of the files cannot be read").help("start afresh with `--fresh`")
                })?
            }
        };
        let position = start.map(|start| start.position).unwrap_or_default();
        let first_header = header(&layout, &files)?;
        let plan =
            Plan::of(&first_header.1, &layout, &carry.kinds).map_err(|e| e.at(format!("{}:1", first_header.0)))?;
        let base = carry.finished.iter().map(|(_, length)| length).sum();
        let total = files.bytes();
        let mut lane = CsvLane {
            layout,
            files,
            finished: Vec::new(),
            base,
            open: None,
            plan,
            kinds: carry.kinds,
            record: ByteRecord::new(),
            pending: false,
            position,
            total,
            stamp: Vec::new(),
            first_header,
        };
        lane.resume(carry.finished, carry.line, position.at)?;
        Ok(lane)
    }

    /// Goes to where an earlier run stopped, which must be the same files still.
    fn resume(&mut self, finished: Vec<(String, u64)>, line: u64, at: u64) -> Result<()> {
        let changed = |name: &str, what: &str| {
            Error::new(format!("{name} {what} since the run that is to go on"))
                .help("put it back, or start from the beginning with `--fresh`")
        };
        for (index, (name, length)) in finished.iter().enumerate() {
            let path = self.files.paths().get(index);
            if path.is_none_or(|path| path.display().to_string() != *name) {
                return Err(changed(name, "is gone, or others came before it,"));
            }
            if path.and_then(|path| path.metadata().ok()).is_none_or(|metadata| metadata.len() != *length) {
                return Err(changed(name, "has changed"));
            }
        }
        self.finished = finished;
        if at <= self.base {
            return Ok(());
        }
        let within = at - self.base;
        self.open_next()?;
        let Some(open) = &mut self.open else { return Err(changed(&self.files.name(), "is gone")) };
        let length = open.bytes.metadata().map_or(0, |metadata| metadata.len());
        if length < within {
            return Err(changed(&open.name, "has become shorter"));
        }
        let mut place = csv::Position::new();
        place.set_byte(within).set_line(line.max(1));
        open.reader.seek(place).map_err(|e| Error::new(format!("{} cannot be read", open.name)).because(e))
    }

    /// Opens the file after the finished ones. It must have the columns of the first.
    fn open_next(&mut self) -> Result<bool> {
        let Some(path) = self.files.paths().get(self.finished.len()) else { return Ok(false) };
        let open = Open::at(&self.layout, path)?;
        if open.header != self.first_header.1 {
            return Err(Error::config(format!("its columns are not those of {}", self.first_header.0))
                .at(format!("{}:1", open.name))
                .help("`parallel = true` reads each file by itself"));
        }
        self.open = Some(open);
        Ok(true)
    }

    /// Reads the next record of any file into `self.record`.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(false);
            }
            let Some(open) = &mut self.open else { return Ok(false) };
            let found = open.reader.read_byte_record(&mut self.record);
            if found.map_err(|e| Error::new(format!("{} cannot be read", open.name)).because(e))? {
                return Ok(true);
            }
            let length = open.reader.position().byte();
            self.base += length;
            self.finished.push((open.name.clone(), length));
            self.open = None;
        }
    }

    fn record_start(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::byte)
    }

    fn file_position(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.reader.position().byte())
    }

    /// Looks at the fields whose kind is not known: whether the record in hand decides that one is text.
    fn decide(&mut self, rows: usize) -> bool {
        let mut changes = Vec::new();
        for (i, field) in self.plan.fields.iter().enumerate().filter(|(_, field)| field.kind == Kind::Undecided) {
            let cell = self.record.get(self.plan.columns[i]).unwrap_or_default().trim_ascii();
            if self.layout.missing.is_word(cell) {
                continue;
            }
            match number::parse(cell, self.layout.decimal) {
                Some(value) if self.layout.missing.is_number(value) => {}
                Some(_) => changes.push((i, Kind::Number, Arc::clone(&field.name))),
                None => changes.push((i, Kind::Text, Arc::clone(&field.name))),
            }
        }
        if rows > 0 && changes.iter().any(|(_, kind, _)| *kind == Kind::Text) {
            return false;
        }
        for (i, kind, name) in &changes {
            self.plan.fields[*i].kind = *kind;
            self.kinds.insert(name.to_string(), *kind);
        }
        if !changes.is_empty() {
            self.plan.settle(&self.layout.key);
        }
        true
    }

    /// Why the record in hand is none, or its time.
    fn check(&mut self) -> Result<super::time::Instant, String> {
        let cells = self.record.len();
        if cells < self.plan.width {
            return Err(self.wrong_width(cells));
        }
        let named = self.first_header.1.width();
        if cells > named && (named..cells).any(|i| !self.record[i].trim_ascii().is_empty()) {
            return Err(self.wrong_width(cells));
        }
        if !self.record.as_slice().is_ascii() && self.record.iter().any(|cell| std::str::from_utf8(cell).is_err()) {
            return Err("the row is not in UTF-8".to_owned());
        }
        if let Some(key) = self.plan.key
            && self.record[key].trim_ascii().is_empty()
        {
            return Err("the key is empty".to_owned());
        }
        self.stamp.clear();
        for (i, column) in self.plan.time.iter().enumerate() {
            if i > 0 {
                self.stamp.push(b' ');
            }
            self.stamp.extend_from_slice(self.record[*column].trim_ascii());
        }
        self.layout.clock.read(&self.stamp).map_err(|reason| {
            let names = self.layout.time_columns.join("`, `");
            format!("no valid timestamp in `{names}`: `{}`: {reason}", shorten(&self.stamp))
        })
    }

    fn wrong_width(&self, cells: usize) -> String {
        let (width, names) = (self.plan.width, self.first_header.1.width());
        let mut reason = format!("the row has {cells} columns, the header names {names}");
        if cells > width && self.layout.delimiter == b',' && self.layout.decimal == b',' {
            reason.push_str(": a decimal comma without quotes cannot be told from a delimiter");
        } else if cells > width && self.layout.delimiter == b',' {
            reason.push_str(": a comma within a value needs quotes");
        }
        reason
    }

    fn dead(&self, reason: String) -> Result<DeadLetter> {
        let Some(open) = &self.open else { return Err(Error::bug("a row without a file")) };
        let from = self.record_start();
        let raw = open.raw(from, open.reader.position().byte())?;
        let content = trim_ends(&raw);
        // The reader counts what is left of the line before to this row.
        let ahead = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
        let line = self.record.position().map_or(0, csv::Position::line) + ahead as u64;
        Ok(DeadLetter {
            place: Some(format!("{}:{line}", open.name)),
            ..DeadLetter::new(self.base + from, reason, Some(content.to_vec()))
        })
    }
}

fn trim_ends(raw: &[u8]) -> &[u8] {
    let end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let from = raw.iter().position(|byte| !end(byte)).unwrap_or(raw.len());
    let to = raw.iter().rposition(|byte| !end(byte)).map_or(from, |last| last + 1);
    &raw[from..to]
}

fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// Columns in the making.
struct Rows {
    layout: Arc<Fields>,
    time: Vec<i64>,
    offset: Vec<i16>,
    origin: Vec<u64>,
    key: Option<StringBuilder>,
    columns: Vec<Cells>,
    /// Where each row ends in its file, where the bytes of rows are kept.
    raw: Vec<(u64, u64)>,
}

enum Cells {
    Number { values: Vec<f64>, nulls: NullBufferBuilder, marks: Vec<u32> },
    Text(StringBuilder),
}

impl Rows {
    fn new(plan: &Plan, capacity: usize) -> Rows {
        let columns = plan.layout.list.iter().map(|field| match field.kind {
            Kind::Text => Cells::Text(StringBuilder::new()),
            Kind::Number | Kind::Undecided => Cells::Number {
                values: Vec::with_capacity(capacity),
                nulls: NullBufferBuilder::new(capacity),
                marks: Vec::with_capacity(capacity),
            },
        });
        Rows {
            layout: Arc::clone(&plan.layout),
            time: Vec::with_capacity(capacity),
            offset: Vec::with_capacity(capacity),
            origin: Vec::with_capacity(capacity),
            key: plan.key.map(|_| StringBuilder::new()),
            columns: columns.collect(),
            raw: Vec::new(),
        }
    }

    fn push(&mut self, lane: &CsvLane, (time, offset): super::time::Instant, origin: u64) {
        let (plan, layout, record) = (&lane.plan, &lane.layout, &lane.record);
        self.time.push(time);
        self.offset.push(offset);
        self.origin.push(origin);
        if let (Some(keys), Some(column)) = (&mut self.key, plan.key) {
            keys.append_value(text(&record[column]));
        }
        for (cells, column) in self.columns.iter_mut().zip(&plan.columns) {
            let cell = record[*column].trim_ascii();
            match cells {
                Cells::Number { values, nulls, marks } => {
                    let (value, mark) = measure(cell, layout);
                    match value {
                        Some(_) => nulls.append_non_null(),
                        None => nulls.append_null(),
                    }
                    values.push(value.unwrap_or_default());
                    marks.push(mark.0);
                }
                Cells::Text(texts) if layout.missing.is_word(cell) => texts.append_null(),
                Cells::Text(texts) => texts.append_value(text(cell)),
            }
        }
    }

    fn finish(self, key: &KeyOf, raw: Option<BinaryArray>) -> Result<Batch> {
        let rows = self.time.len();
        let key = match (self.key, key) {
            (Some(mut keys), _) => Some(keys.finish()),
            (None, KeyOf::Constant { value, .. }) => {
                Some(StringArray::from_iter_values(std::iter::repeat_n(value.as_str(), rows)))
            }
            (None, _) => None,
        };
        let columns = self.columns.into_iter().map(|cells| match cells {
            Cells::Number { values, mut nulls, marks } => Column::Number(Numbers {
                values: Float64Array::new(values.into(), nulls.finish()),
                marks: marks.into(),
            }),
            Cells::Text(mut texts) => Column::Text(texts.finish()),
        });
        Batch::new(BatchParts {
            fields: self.layout,
            time: self.time.into(),
            offset: self.offset.into(),
            key,
            columns: columns.collect(),
            score: None,
            origin: self.origin.into(),
            raw,
        })
    }
}

/// A cell of a field of numbers.
#[inline]
fn measure(cell: &[u8], layout: &Layout) -> (Option<f64>, Mark) {
    match number::parse(cell, layout.decimal) {
        Some(value) if layout.missing.is_number(value) => (None, Mark::MISSING),
        Some(value) => (Some(value), Mark::OBSERVED),
        None if layout.missing.is_word(cell) => (None, Mark::MISSING),
        None => (None, Mark::MISSING.with_test(Tests::NOT_A_NUMBER)),
    }
}

/// A cell that was found to be UTF-8.
fn text(cell: &[u8]) -> &str {
    std::str::from_utf8(cell).unwrap_or_default()
}

impl Lane for CsvLane {
    fn next(&mut self, max: usize, _: Instant) -> Result<Next> {
        let left = self.layout.max_records.map_or(u64::MAX, |most| most.saturating_sub(self.position.row));
        let max = max.min(usize::try_from(left).unwrap_or(usize::MAX));
        if max == 0 {
            return Ok(Next::End);
        }
        let began = self.position;
        let (mut rows, mut dead) = (Rows::new(&self.plan, max), Vec::new());
        let mut more = true;
        while rows.time.len() + dead.len() < max {
            // The bytes of one batch's rows are read again from one file.
            let crosses = self.layout.keep_raw && self.open.is_none() && !rows.raw.is_empty();
            if crosses {
                break;
            }
            if !self.pending && !self.advance()? {
                more = false;
                break;
            }
            self.pending = false;
            if self.record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            let origin = self.base + self.record_start();
            match self.check() {
                Err(reason) => dead.push(self.dead(reason)?),
                Ok(time) => {
                    if self.plan.undecided {
                        if !self.decide(rows.time.len()) {
                            self.pending = true;
                            break;
                        }
                        if rows.time.is_empty() {
                            rows = Rows::new(&self.plan, max);
                        }
                    }
                    rows.push(self, time, origin);
                    if self.layout.keep_raw {
                        rows.raw.push((self.record_start(), self.file_position()));
                    }
                }
            }
        }
        let read = rows.time.len() + dead.len();
        let at = self.base + if self.pending { self.record_start() } else { self.file_position() };
        self.position = Position { at, row: began.row + read as u64 };
        self.layout.read(at.saturating_sub(began.at));
        if read == 0 {
            return Ok(if more { Next::Quiet } else { Next::End });
        }
        if at > 0 {
            let expected = (self.total as f64 / at as f64 * self.position.row as f64) as u64;
            let expected = expected.min(self.layout.max_records.unwrap_or(u64::MAX)).max(self.position.row);
            self.layout.facts.expected.store(expected, Ordering::Relaxed);
        }
        let raw = self.raw_of(&rows)?;
        Ok(Next::Rows(rows.finish(&self.layout.key, raw)?, dead))
    }

    fn position(&self) -> Position {
        self.position
    }

    fn carry(&self) -> Result<Vec<u8>> {
        let line = match (&self.open, self.pending) {
            (_, true) => self.record.position().map_or(1, csv::Position::line),
            (Some(open), false) => open.reader.position().line(),
            (None, false) => 1,
        };
        let carry = Carry { version: VERSION, finished: self.finished.clone(), line, kinds: self.kinds.clone() };
        postcard::to_stdvec(&carry).map_err(|e| Error::bug("a position cannot be saved").because(e))
    }
}

impl CsvLane {
    fn raw_of(&self, rows: &Rows) -> Result<Option<BinaryArray>> {
        if !self.layout.keep_raw {
            return Ok(None);
        }
        let (Some((from, _)), Some((_, to))) = (rows.raw.first(), rows.raw.last()) else {
            return Ok(Some(BinaryArray::from_iter_values(std::iter::empty::<&[u8]>())));
        };
        let bytes = match &self.open {
            Some(open) => open.raw(*from, *to)?,
            None => return Err(Error::bug("rows without a file")),
        };
        let each =
            rows.raw.iter().map(|(start, end)| trim_ends(&bytes[(start - from) as usize..(end - from) as usize]));
        Ok(Some(BinaryArray::from_iter_values(each)))
    }
}
