//! From JSON to columns.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::config::nearest;
use aqpipe_engine::record::{Batch, CellQuality, Fields, Kind, SAMPLE_RECORDS};
use aqpipe_engine::{Error, Result};
use arrow_array::builder::StringBuilder;

use super::cell::Cell;
use super::layout::{IGNORED, Layout};
use super::options::DecoderOptions;
use super::passed_over::PassedOver;
use super::property_names::SCORE;
use super::quality::TestBits;
use super::record_path::RecordPlace;
use super::rejected::Rejected;
use super::row::Row;
use super::row_values::Reading;
use super::shape::Expectation;
use crate::columns::{ColumnBuilder, KeyBuilder, RowsBuilder};
use crate::reading::time::TimeReader;
use crate::reading::{FieldCells, Key, KeyOrigin, NumberReader, UnreadableCells, join};

/// Bytes of records that may wait in one batch.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Names of ignored properties that are remembered: those of a stream may be data.
const IGNORED_NAMES_MAX: usize = 100;
/// What a saved state begins with that has more than the layout, whose own version is another one.
const WITH_TIMES_VERSION: u8 = 100;
/// The same with the kinds of fields that have not come yet.
const WITH_KINDS_VERSION: u8 = 101;

/// The layout, the state of the timestamps, and the kinds of fields that have not come yet.
type SavedParts = (Vec<u8>, Vec<u8>, Vec<(String, Kind)>);

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is a row of the next batch.
    Row,
    /// It does not fit the waiting rows, because it has other fields or they are many bytes already. [`Decoder::take`] those,
    /// then push it again.
    Full,
    /// It has none, and says so: what [`DecoderOptions::record`] names is null.
    Null,
}

/// Reads records into columns (see the [module](super) for their shape).
///
/// * An unknown property becomes a field. A sample of records says whether it holds numbers or text (true and false are text), or, behind the
///   sample, its first value that is neither null nor a word for "no value"; unless `numeric` lists it. A known field that a
///   record lacks is missing.
/// * In a field that is declared as a measurement, or that a stage uses as one, a text is read as a cell of CSV is. In any other
///   field of numbers a text has no value and fails the test `syntax`, as true, false and a decimal beyond 64 bits do. In
///   a field of text, a number is the text that it was written as.
/// * A record is rejected if it is not UTF-8, not JSON or not an object, has no valid timestamp, has a property twice, or has an
///   object or an array where a value belongs. [`Others`](super::Others) says what of that holds for properties that are not
///   declared.
/// * `NaN`, `Infinity` and their like are read as null.
/// * Cell quality comes from `quality`. If its flags are not one for each field, or a member has another shape, all of it is
///   ignored for that record and counted. A flag that contradicts its value (`good` without a value, `missing` with one) is
///   read as `missing` or `unknown`.
#[derive(Debug)]
pub struct Decoder {
    pub(super) layout: Layout,
    pub(super) tests: TestBits,
    keep_raw: bool,
    pub(super) row: Row,
    pub(super) expectation: Expectation,
    rows: RowsBuilder,
    /// Of the records in `rows`.
    bytes: usize,
    quality_ignored: u64,
    pub(super) numbers: NumberReader,
    /// Cells of numbers that could not be read, by the index of the field.
    unreadable: UnreadableCells,
    /// The publisher's codes that are not listed, by the index of their field.
    unlisted: UnreadableCells,
    /// Cells of text that spell numbers, among the first records, where no field is declared.
    numbers_as_text: UnreadableCells,
    /// Records that were looked at for these.
    pub(super) looked_at: u64,
    /// Names of properties that are ignored, among the first records.
    ignored_names: BTreeSet<String>,
    /// The properties with codes that no record has had, by their index, until that is told.
    unseen_codes: Vec<usize>,
    pub(super) times: TimeReader,
    /// Of the next record's message, in milliseconds since 1970.
    message_time: Option<i64>,
}

impl Decoder {
    /// A decoder with no rows.
    #[must_use]
    pub fn new(options: DecoderOptions) -> Decoder {
        let layout = Layout::new(&options);
        Decoder {
            rows: new_rows(&layout, options.keep_raw, 0),
            unseen_codes: (0..layout.flags.properties.len()).collect(),
            layout,
            tests: TestBits::new(options.tests),
            keep_raw: options.keep_raw,
            row: Row::default(),
            expectation: Expectation::default(),
            bytes: 0,
            quality_ignored: 0,
            numbers: options.numbers,
            unreadable: UnreadableCells::default(),
            unlisted: UnreadableCells::default(),
            numbers_as_text: UnreadableCells::default(),
            looked_at: 0,
            ignored_names: BTreeSet::new(),
            times: options.times,
            message_time: None,
        }
    }

    /// Reads one record, which starts at `source_offset` in its split and whose message has no key.
    ///
    /// # Errors
    /// Why it is not a record. Nothing of it stays behind.
    pub fn push(&mut self, source_offset: u64, payload: &[u8]) -> Result<Pushed, Rejected> {
        self.push_keyed(source_offset, payload, None)
    }

    /// The same with the key of its message.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_keyed(
        &mut self,
        source_offset: u64,
        payload: &[u8],
        message_key: Option<&[u8]>,
    ) -> Result<Pushed, Rejected> {
        if payload.len() > i32::MAX as usize {
            return Err(Rejected::new(format!("{} bytes are more than a record may have", payload.len())));
        }
        if self.rows() > 0 && self.bytes + payload.len() > BATCH_BYTES_MAX {
            return Ok(Pushed::Full);
        }
        let (source, start) = self.find_record(payload)?;
        let message_key = if self.layout.has_message_key() { message_key_text(message_key)? } else { None };
        let Some(start) = start else { return Ok(Pushed::Null) };
        if let Some(outcome) = self.push_expected(source_offset, source, message_key) {
            return outcome.map(|()| Pushed::Row);
        }
        let message = (message_key, self.message_time);
        let (layout, tests, times) = (&self.layout, &mut self.tests, &mut self.times);
        self.row.read(source, start, &mut Reading { layout, tests, times, message })?;
        if !self.fit_layout(source) {
            return Ok(Pushed::Full);
        }
        self.append(source_offset, source, message_key);
        if self.knows_kinds() {
            self.expectation.learn(source, &self.layout);
        }
        Ok(Pushed::Row)
    }

    /// Whether no record decides the kind of a field any more, and none is looked at for what it may mean.
    #[inline]
    fn knows_kinds(&self) -> bool {
        self.layout.unknown_kinds == 0 && !self.looks_at_texts()
    }

    #[inline]
    fn looks_at_texts(&self) -> bool {
        self.layout.asked == 0 && self.looked_at < SAMPLE_RECORDS
    }

    /// Adds a record that looks like the one before. `None` where it does not: nothing of it stays behind then.
    fn push_expected(
        &mut self,
        source_offset: u64,
        source: &str,
        message_key: Option<&str>,
    ) -> Option<Result<(), Rejected>> {
        let shape = self.expectation.shape(&self.layout).filter(|_| self.knows_kinds())?;
        if shape.ignores && self.looked_at < SAMPLE_RECORDS {
            return None;
        }
        let message = (message_key, self.message_time);
        let (layout, tests, times) = (&self.layout, &mut self.tests, &mut self.times);
        let into = (&mut *self.rows.columns, &self.numbers);
        let read = self.row.read_expected(source, shape, into, &mut Reading { layout, tests, times, message });
        match read {
            Some(Ok(())) => {
                for (index, cell) in &self.row.texts {
                    if let Some(ColumnBuilder::Text(texts)) = self.rows.columns.get_mut(*index) {
                        cell.append_text(texts, source);
                    }
                }
                for index in &shape.absent {
                    match self.rows.columns.get_mut(*index) {
                        Some(ColumnBuilder::Number(numbers)) => numbers.push_missing(CellQuality::MISSING),
                        Some(ColumnBuilder::Text(texts)) => texts.append_null(),
                        None => {}
                    }
                }
                self.row.quality.apply_expected(source, shape, &mut self.rows.columns);
                self.expectation.met();
                self.append_beside(source_offset, source, message_key);
            }
            Some(Err(_)) => self.rows.forget_begun_row(),
            None => {
                self.rows.forget_begun_row();
                self.expectation.missed();
            }
        }
        read
    }

    /// The text of a message, and the byte at which its record starts; `None` where it says that it has none.
    #[inline]
    pub(super) fn find_record<'p>(&self, payload: &'p [u8]) -> Result<(&'p str, Option<usize>), Rejected> {
        let source = text_of(payload)?;
        Ok((
            source,
            match &self.layout.record {
                None => Some(0),
                Some(record) => match record.find(source)? {
                    RecordPlace::At(start) => Some(start),
                    RecordPlace::Null => None,
                },
            },
        ))
    }

    /// Makes the layout one that the record fits; returns `false` where rows wait that have the present one.
    fn fit_layout(&mut self, source: &str) -> bool {
        let Row { cells, new, order, quality, ignored, .. } = &mut self.row;
        let known = self.layout.fields.len();
        let find_new = |name: &str| new.iter().position(|(new, _)| new == name).map(|place| known + place);
        let find_ignored = |name: &str| ignored.iter().any(|ignored| ignored.text(source) == name).then_some(IGNORED);
        let find_beside = |name: &str| self.layout.is_beside(name).then_some(IGNORED);
        let find = |name: &str| {
            let field = self.layout.field_of(name).or_else(|| find_new(name));
            field.or_else(|| find_ignored(name)).or_else(|| find_beside(name))
        };
        let first_may_be_key = order.first().is_some_and(|first| {
            let cell = if *first < known { cells.get(*first) } else { new.get(*first - known).map(|(_, cell)| cell) };
            *first == IGNORED || matches!(cell, Some(Cell::Text(_)))
        });
        let has_quality = quality.validate(source, order, first_may_be_key, find);
        let kind = |cell: &Cell| cell.kind(source, &self.numbers);
        let texts: Vec<usize> = match self.layout.unknown_kinds {
            0 => Vec::new(),
            _ => self.layout.unknown_kinds(cells).filter(|index| kind(&cells[*index]) == Kind::Text).collect(),
        };
        let has_score_field = new.iter().any(|(name, _)| name == SCORE);
        let scored =
            quality.score().is_some() && !self.layout.scored && !has_score_field && self.layout.has_room_for_score();
        let derived_known = quality.resolve_derived(&self.layout);
        if !new.is_empty() || !texts.is_empty() || !derived_known || scored {
            if self.rows.len() > 0 {
                return false;
            }
            let fields = new.iter().map(|(name, cell)| (name.as_str(), kind(cell)));
            self.layout.grow(fields, &texts, quality.derived(), scored);
            quality.resolve_derived(&self.layout);
            cells.extend(new.drain(..).map(|(_, cell)| cell));
            self.rows = new_rows(&self.layout, self.keep_raw, 0);
        }
        self.quality_ignored += u64::from(!has_quality);
        true
    }

    fn append(&mut self, source_offset: u64, source: &str, message_key: Option<&str>) {
        if self.looked_at < SAMPLE_RECORDS && !self.row.ignored.is_empty() {
            self.note_ignored(source);
        }
        if self.layout.unknown_kinds > 0 {
            let numbers: Vec<usize> = self
                .layout
                .unknown_kinds(&self.row.cells)
                .filter(|index| self.row.cells[*index].kind(source, &self.numbers) == Kind::Number)
                .collect();
            numbers.into_iter().for_each(|index| self.layout.decide_number(index));
        }
        let has_flags = !self.layout.flags.is_empty();
        if has_flags {
            self.unseen_codes.retain(|code| matches!(self.row.codes.get(*code), Some(Cell::Absent)));
            self.layout.flags.clear_missing(&mut self.row.cells, &self.row.codes, source);
        }
        let looks = self.looks_at_texts();
        let rows = &mut self.rows;
        for (index, (column, cell)) in rows.columns.iter_mut().zip(&self.row.cells).enumerate() {
            if cell.append_to(column, source, &self.numbers, self.layout.is_measurement(index)) {
                self.unreadable.add(index, cell.shown(source).trim().as_bytes(), source_offset);
            }
            if looks && matches!(column, ColumnBuilder::Text(_)) && cell.spells_number(source, &self.numbers) {
                self.numbers_as_text.add(index, cell.shown(source).trim().as_bytes(), source_offset);
            }
        }
        self.row.quality.apply(source, &self.layout, &self.row.order, &mut rows.columns);
        if has_flags {
            let unlisted = (&mut self.unlisted, source_offset);
            let cells = (&*self.row.cells, &*self.row.codes);
            self.layout.flags.apply(cells, source, &mut rows.columns, unlisted);
        }
        self.row.passed_over.commit();
        self.append_beside(source_offset, source, message_key);
    }

    /// Appends what a row has beside its fields.
    #[inline]
    fn append_beside(&mut self, source_offset: u64, source: &str, message_key: Option<&str>) {
        let (time, utc_offset) = self.row.time;
        self.times.taken(source_offset);
        let rows = &mut self.rows;
        rows.time.push(time);
        rows.utc_offset.push(utc_offset);
        rows.source_offsets.push(source_offset);
        if let KeyBuilder::Own(keys) = &mut rows.keys {
            match (&*self.row.keys, self.layout.key.as_ref().map(|key| &key.origin)) {
                ([key], _) => key.append_text(keys, source),
                (parts, Some(KeyOrigin::Columns(_, separator))) => {
                    keys.append_option(join(parts.iter().map(|part| part.text(source)), separator));
                }
                _ => keys.append_option(message_key),
            }
        }
        if let Some(scores) = &mut rows.scores {
            scores.append_option(self.row.quality.score());
        }
        if let Some(raw) = &mut rows.raw {
            raw.append_value(source);
        }
        self.looked_at += 1;
        self.bytes += source.len();
    }

    #[cold]
    fn note_ignored(&mut self, source: &str) {
        let names = self.row.ignored.iter().map(|name| name.text(source));
        let room = IGNORED_NAMES_MAX.saturating_sub(self.ignored_names.len());
        let fresh: Vec<String> =
            names.filter(|name| !self.ignored_names.contains(&**name)).map(Cow::into_owned).collect();
        self.ignored_names.extend(fresh.into_iter().take(room));
    }

    /// Names of properties that are ignored, from the first records: one of them may be meant by a name that no record has.
    pub(crate) fn ignored_names(&self) -> &BTreeSet<String> {
        &self.ignored_names
    }

    /// The properties that are the key.
    #[must_use]
    pub fn key_properties(&self) -> &[String] {
        self.layout.key.as_ref().map_or(&[], Key::columns)
    }

    /// Once the first records are read: a warning of properties with the publisher's codes that none of them had.
    pub(crate) fn absent_codes(&mut self, batch: &Batch) -> Option<String> {
        if self.unseen_codes.is_empty() || self.looked_at < SAMPLE_RECORDS {
            return None;
        }
        let quoted = |code: usize| {
            let name = self.layout.flags.properties.get(code).map_or("", String::as_str);
            match nearest(name, batch.fields().names()) {
                Some(near) => format!("`{name}` (is `{near}` meant?)"),
                None => format!("`{name}`"),
            }
        };
        let names: Vec<String> = std::mem::take(&mut self.unseen_codes).into_iter().map(quoted).collect();
        Some(format!(
            "the first {} records have no property {}, whose codes `flags` asks for: their values are carried unjudged",
            self.looked_at,
            names.join(", ")
        ))
    }

    /// The cells of text that spelt numbers since the last call, by the index of the field: a field of text by its first
    /// value may be meant as one of numbers.
    pub(crate) fn numbers_as_text(&mut self) -> Vec<(usize, FieldCells)> {
        if self.numbers_as_text.is_empty() { Vec::new() } else { self.numbers_as_text.take() }
    }

    /// The rows read since the last call, as a batch; `None` if there are none.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn take(&mut self) -> Result<Option<Batch>> {
        let rows = self.rows();
        if rows == 0 {
            return Ok(None);
        }
        let fresh = new_rows(&self.layout, self.keep_raw, rows);
        self.bytes = 0;
        self.times.begin_batch();
        std::mem::replace(&mut self.rows, fresh).finish(&self.layout.batch_fields()).map(Some)
    }

    /// How many rows wait to be taken.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many records had a `quality` that did not fit them, since the last call.
    pub fn quality_ignored(&mut self) -> u64 {
        std::mem::take(&mut self.quality_ignored)
    }

    /// The cells of measurements that could not be read, and the codes that are not listed, by the index of the field.
    pub(crate) fn problem_cells(&mut self) -> (&mut UnreadableCells, &mut UnreadableCells) {
        (&mut self.unreadable, &mut self.unlisted)
    }

    /// What was passed over since the last call.
    pub fn passed_over(&mut self) -> PassedOver {
        self.row.passed_over.take()
    }

    /// Whether the key of records is that of their message.
    #[must_use]
    pub fn has_message_key(&self) -> bool {
        self.layout.has_message_key()
    }

    /// Says the time of the message of the next record, in milliseconds since 1970.
    pub fn set_message_time(&mut self, millis: Option<i64>) {
        self.message_time = millis;
    }

    /// The time that the message of the last record gives it, where it is the record's time.
    #[must_use]
    pub fn time_of_message(&self) -> Option<(i64, i16)> {
        if self.layout.timestamp.is_empty() { self.times.time_of_message(self.message_time) } else { None }
    }

    /// Whether the bytes of a record at this time do not say it.
    #[must_use]
    pub fn needs_time(&self, instant: i64) -> bool {
        self.layout.timestamp.is_empty() || self.times.has_to_be_known(instant)
    }

    /// The reader of the timestamps.
    pub fn times(&mut self) -> &mut TimeReader {
        &mut self.times
    }

    /// The layout that the next batch has unless a record changes it.
    #[must_use]
    pub fn fields(&self) -> Arc<Fields> {
        self.layout.batch_fields()
    }

    /// The known fields and their kinds, and what the reader of the timestamps knows, for [`restore`](Self::restore).
    #[must_use]
    pub fn snapshot_state(&self) -> Vec<u8> {
        let (layout, times, decided) =
            (self.layout.snapshot_state(), self.times.saved(u64::MAX), self.layout.decided());
        // Bytes and names: nothing that cannot be serialised.
        match (times.is_empty(), decided.is_empty()) {
            (true, true) => layout,
            (false, true) => postcard::to_extend(&(layout, times), vec![WITH_TIMES_VERSION]).unwrap_or_default(),
            _ => postcard::to_extend(&(layout, times, decided), vec![WITH_KINDS_VERSION]).unwrap_or_default(),
        }
    }

    /// Adds the fields that [`snapshot_state`](Self::snapshot_state) saved behind those declared now. Call it before the first
    /// record; an empty `saved` adds none.
    ///
    /// # Errors
    /// Where the bytes are not what this version saves.
    pub fn restore(&mut self, saved: &[u8]) -> Result<()> {
        if let [version @ (WITH_TIMES_VERSION | WITH_KINDS_VERSION), saved @ ..] = saved {
            let unreadable = || Error::new("the saved state of an earlier run cannot be read");
            let has_kinds = *version == WITH_KINDS_VERSION;
            let read = if has_kinds { postcard::from_bytes(saved) } else { without_kinds(saved) };
            let (layout, times, decided): SavedParts = read.map_err(|error| unreadable().because(error))?;
            if !self.times.restore(&times) {
                return Err(unreadable());
            }
            self.layout.restore(&layout)?;
            if has_kinds {
                self.layout.decide(decided.into_iter().collect());
            }
        } else if !saved.is_empty() {
            self.layout.restore(saved)?;
        }
        self.renew_rows();
        Ok(())
    }

    /// Begins with rows of the present layout, before the first record.
    pub(super) fn renew_rows(&mut self) {
        self.rows = new_rows(&self.layout, self.keep_raw, 0);
    }
}

fn without_kinds(saved: &[u8]) -> postcard::Result<SavedParts> {
    let (layout, times) = postcard::from_bytes(saved)?;
    Ok((layout, times, Vec::new()))
}

fn new_rows(layout: &Layout, keep_raw: bool, room: usize) -> RowsBuilder {
    let keys = match layout.key.as_ref().map(|key| &key.origin) {
        None => KeyBuilder::Absent,
        Some(KeyOrigin::Value(value)) => KeyBuilder::Constant(Arc::clone(value)),
        Some(KeyOrigin::Columns(..) | KeyOrigin::Message) => KeyBuilder::Own(StringBuilder::new()),
    };
    RowsBuilder::new(&layout.batch_fields(), keys, keep_raw, room)
}

/// A message as text, without what writers put before their JSON: a byte order mark, or the five bytes of a schema registry's
/// serializer, a zero and the schema's number (Confluent's wire format).
#[inline]
fn text_of(payload: &[u8]) -> Result<&str, Rejected> {
    if let [0, b'{', ..] = payload {
        return Err(Rejected::new("it is UTF-16 and not UTF-8"));
    }
    if let [0, _, _, _, _, framed @ ..] = payload {
        let text = std::str::from_utf8(framed).ok().filter(|text| text.trim_start().starts_with(['{', '[']));
        return text.ok_or_else(|| {
            Rejected::new(
                "it begins like messages of a schema registry, and what follows is no JSON: is it Avro or Protobuf, which \
                 cannot be read?",
            )
        });
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| Rejected::new(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The key of a message as text; an empty one is none.
fn message_key_text(key: Option<&[u8]>) -> Result<Option<&str>, Rejected> {
    let key = key.filter(|key| !key.is_empty()).map(std::str::from_utf8).transpose();
    key.map_err(|error| Rejected::new(format!("the message's key is not UTF-8 at byte {}", error.valid_up_to())))
}
