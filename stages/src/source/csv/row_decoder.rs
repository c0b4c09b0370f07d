//! From records to rows: each one becomes a row, or a dead letter with its reason.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Fields, Kind};
use arrow_array::builder::StringBuilder;

use super::cell_text::not_in;
use super::column_plan::{ColumnPlan, PlannedField, seems_split_by, shown};
use super::config::CsvSourceConfig;
use super::dialect::has_line_end;
use super::records::Records;
use crate::columns::{ColumnBuilder, KeyBuilder, RowsBuilder};
use crate::reading::time::{TimeReader, Zone};
use crate::reading::{
    Key, KeyJoiner, KeyOptions, KeyOrigin, NumberReader, PublisherFlags, Reading, UnreadableCells, Verdict, is_code,
};

/// Characters of a value in a reason.
const SHOWN_CHARS_MAX: usize = 40;

/// What became of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// It is a row.
    Row,
    /// It is a dead letter, for this reason.
    Rejected(String),
    /// It is a dead letter whose end is uncertain: if it spans lines, only its first line is given up.
    Malformed(String),
    /// Its values decide the kind of fields and so change the layout: take the rows before it, then decode it again.
    LayoutChange,
}

/// What a row has from the message that it is.
#[derive(Debug, Default)]
pub(super) struct RowMessage {
    pub(super) key: Option<String>,
    /// In milliseconds since 1970.
    pub(super) time: Option<i64>,
}

/// Turns records into rows of one layout.
pub(super) struct RowDecoder {
    config: Arc<CsvSourceConfig>,
    plan: ColumnPlan,
    layout: Arc<Fields>,
    /// The fields of unknown kind, which have had no value yet.
    unknown_kinds: Vec<usize>,
    numbers: NumberReader,
    /// The publisher's codes for each field that has some.
    flags: Vec<Option<PublisherFlags>>,
    /// Cells of measurements that could not be read, and codes that are not listed.
    pub(super) unreadable: UnreadableCells,
    pub(super) unlisted: UnreadableCells,
    time: TimeReader,
    key: Option<Key>,
    /// The key of the last record, where several columns make it.
    joined_key: Option<String>,
    key_joiner: KeyJoiner,
    /// What the next record has from its message.
    pub(super) message: RowMessage,
    keep_raw: bool,
    joined: Vec<u8>,
}

impl RowDecoder {
    /// A decoder for files with these columns, by options that `check` has accepted; `source_test` is the bit of the test `source`.
    pub(super) fn new(
        config: &Arc<CsvSourceConfig>,
        plan: ColumnPlan,
        source_test: u8,
        keep_raw: bool,
    ) -> Result<RowDecoder> {
        let zone = Zone::parse(&config.timezone).unwrap_or_default();
        let time = TimeReader::new(&config.timestamp, zone).map_err(aqpipe_engine::Error::config)?;
        let mut decoder = RowDecoder {
            layout: Arc::default(),
            unknown_kinds: Vec::new(),
            numbers: NumberReader::new(&config.numbers(), source_test),
            flags: plan
                .fields
                .iter()
                .map(|field| Some(PublisherFlags::new(config.flags.get(&field.name)?, source_test)))
                .collect(),
            unreadable: UnreadableCells::default(),
            unlisted: UnreadableCells::default(),
            time,
            key: config.key.as_ref().map(KeyOptions::key),
            joined_key: None,
            key_joiner: KeyJoiner::default(),
            message: RowMessage::default(),
            keep_raw,
            joined: Vec::new(),
            config: Arc::clone(config),
            plan,
        };
        decoder.rebuild_layout();
        Ok(decoder)
    }

    /// The kinds of all fields, by name.
    pub(super) fn kinds(&self) -> Vec<(String, Kind)> {
        self.plan.fields.iter().map(|field| (field.name.clone(), field.kind)).collect()
    }

    /// The reader of the times.
    pub(super) fn times(&mut self) -> &mut TimeReader {
        &mut self.time
    }

    /// Whether the cells of a row at this time do not say it.
    pub(super) fn needs_time(&self, instant: i64) -> bool {
        self.plan.time.is_empty() || self.time.has_to_be_known(instant)
    }

    /// The time that the message gives the row, where that is the row's time.
    pub(super) fn time_of_message(&self) -> Option<(i64, i16)> {
        if self.plan.time.is_empty() { self.time.time_of_message(self.message.time) } else { None }
    }

    /// What the reader of the times needs to go on before the record at an offset.
    pub(super) fn saved_times(&self, before: u64) -> Vec<u8> {
        self.time.saved(before)
    }

    /// Takes over the kinds that an earlier run has found.
    pub(super) fn restore_kinds(&mut self, kinds: &[(String, Kind)]) {
        for field in self.plan.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == field.name) {
                field.kind = *kind;
            }
        }
        self.rebuild_layout();
    }

    fn rebuild_layout(&mut self) {
        self.layout = Arc::new(self.plan.batch_layout(&self.config));
        let unknown_kinds = |slot: &usize| self.plan.fields[*slot].kind == Kind::Unknown;
        self.unknown_kinds = (0..self.plan.fields.len()).filter(unknown_kinds).collect();
    }

    /// Empty rows of the current layout, with room for so many.
    pub(super) fn rows(&self, room: usize) -> RowsBuilder {
        let keys = match self.key.as_ref().map(|key| &key.origin) {
            Some(KeyOrigin::Value(key)) => KeyBuilder::Constant(Arc::clone(key)),
            Some(KeyOrigin::Columns(..) | KeyOrigin::Message) => KeyBuilder::Own(StringBuilder::new()),
            None => KeyBuilder::Absent,
        };
        RowsBuilder::new(&self.layout, keys, self.keep_raw, room)
    }

    /// Rows of the current layout as a batch.
    pub(super) fn batch(&self, rows: RowsBuilder) -> Result<Batch> {
        rows.finish(&self.layout)
    }

    /// Adds the last record, which starts at `source_offset` in its split, to the rows.
    #[inline]
    pub(super) fn decode<R: Read>(
        &mut self,
        record: &Records<R>,
        source_offset: u64,
        rows: &mut RowsBuilder,
    ) -> Decoded {
        if !record.raw().is_ascii()
            && let Some(why) = self.no_text(record)
        {
            return Decoded::Rejected(why);
        }
        if record.columns() != self.plan.columns
            && let Some(why) = self.wrong_width(record)
        {
            return Decoded::Malformed(why);
        }
        if record.spans_lines() && !self.may_span_lines(record) {
            return Decoded::Malformed("the row goes over several lines: is a quote not closed?".to_owned());
        }
        if let Some(why) = self.unnamed_value(record) {
            return Decoded::Rejected(why);
        }
        // Before the time, which may go by the order of the records of its key.
        if let Err(why) = self.join_key(record) {
            return Decoded::Rejected(why);
        }
        let (time, offset) = match self.time_of(record) {
            Ok(time) => time,
            Err(why) => return Decoded::Rejected(why),
        };
        if !self.unknown_kinds.is_empty() && self.decide_kinds(record, rows.len() > 0) {
            return Decoded::LayoutChange;
        }
        self.time.taken(source_offset);
        rows.time.push(time);
        rows.utc_offset.push(offset);
        rows.source_offsets.push(source_offset);
        if let KeyBuilder::Own(keys) = &mut rows.keys {
            self.append_key(record, keys);
        }
        if let Some(kept) = &mut rows.raw {
            kept.append_value(record.original());
        }
        for (index, (field, cells)) in self.plan.fields.iter().zip(&mut rows.columns).enumerate() {
            let cell = record.cell(field.column);
            match cells {
                ColumnBuilder::Number(cells) if field.flags.is_none() => match self.numbers.read(trim(cell)) {
                    Reading::Value(number) => cells.push(number),
                    reading => {
                        if reading == Reading::Unreadable {
                            self.unreadable.add(index, trim(cell), source_offset);
                        }
                        self.numbers.append(cells, reading);
                    }
                },
                ColumnBuilder::Number(cells) => {
                    let verdict = verdict(field, self.flags[index].as_ref(), record);
                    if verdict == Verdict::Missing {
                        cells.push_missing(CellQuality::MISSING);
                        continue;
                    }
                    let reading = self.numbers.read(trim(cell));
                    if reading == Reading::Unreadable {
                        self.unreadable.add(index, trim(cell), source_offset);
                    }
                    self.numbers.append(cells, reading);
                    if let (Some(column), Some(flags)) = (field.flags, &self.flags[index]) {
                        if verdict == Verdict::Unlisted {
                            self.unlisted.add(index, trim(record.cell(column)), source_offset);
                        }
                        flags.apply(verdict, cells);
                    }
                }
                ColumnBuilder::Text(text) => {
                    let present = !self.numbers.is_empty_text(trim(cell));
                    text.append_option(present.then(|| String::from_utf8_lossy(cell)));
                }
            }
        }
        Decoded::Row
    }

    /// Joins the key of a record, where several columns make it.
    #[inline]
    fn join_key<R: Read>(&mut self, record: &Records<R>) -> Result<(), String> {
        if let (Some(key), [_, _, ..]) = (&self.key, &*self.plan.key) {
            let parts = self.plan.key.iter().map(|column| Self::key_part(record, *column));
            self.joined_key = self.key_joiner.join(parts, key.separator())?;
        }
        Ok(())
    }

    fn key_part<R: Read>(record: &Records<R>, column: usize) -> Option<Cow<'_, str>> {
        // What stands in the cell, whatever it would be as a measurement: `NA` is a station's name.
        let part = trim(record.cell(column));
        (!part.is_empty()).then(|| String::from_utf8_lossy(part))
    }

    fn append_key<R: Read>(&self, record: &Records<R>, keys: &mut StringBuilder) {
        match &*self.plan.key {
            [] => keys.append_option(self.message.key.as_deref()),
            [column] => keys.append_option(Self::key_part(record, *column)),
            _ => keys.append_option(self.joined_key.as_deref()),
        }
    }

    /// The names of the fields, in the order of the layout.
    pub(super) fn field_name(&self, index: usize) -> &str {
        self.plan.fields.get(index).map_or("", |field| &field.name)
    }

    /// The part of each column.
    pub(super) fn plan(&self) -> &ColumnPlan {
        &self.plan
    }

    /// The options that samples are judged by.
    pub(super) fn config(&self) -> &CsvSourceConfig {
        &self.config
    }

    /// The fields, with what a cell of each says, for a record of the sample.
    pub(super) fn cells<'a, R: Read>(
        &'a self,
        record: &'a Records<R>,
    ) -> impl Iterator<Item = (usize, &'a [u8], Reading)> {
        self.plan.fields.iter().enumerate().map(|(index, field)| {
            let cell = trim(record.cell(field.column));
            (index, cell, self.reading(index, record))
        })
    }

    /// What the cell of a field says, if its publisher has a value there.
    fn reading<R: Read>(&self, index: usize, record: &Records<R>) -> Reading {
        let field = &self.plan.fields[index];
        match verdict(field, self.flags[index].as_ref(), record) {
            Verdict::Missing => Reading::Missing,
            _ => self.numbers.read(trim(record.cell(field.column))),
        }
    }

    /// Whether a record is a full row, whatever its cells say.
    pub(super) fn is_full_row<R: Read>(&self, record: &Records<R>) -> bool {
        record.columns() == self.plan.columns
            || (record.columns() >= self.plan.named && record.columns() < self.plan.columns)
    }

    /// Whether a field is text.
    pub(super) fn is_text(&self, index: usize) -> bool {
        self.plan.fields.get(index).is_some_and(|field| field.kind == Kind::Text)
    }

    /// The fields whose kind is unknown.
    pub(super) fn unknown_kinds(&self) -> &[usize] {
        &self.unknown_kinds
    }

    /// Sets the kinds of fields, before the first row.
    pub(super) fn decide(&mut self, kinds: &[(usize, Kind)]) {
        for (index, kind) in kinds {
            self.plan.fields[*index].kind = *kind;
        }
        self.rebuild_layout();
    }

    /// Decides the kind of fields by their first values. Returns whether the layout changes; it is not changed while there are
    /// rows of the current one.
    fn decide_kinds<R: Read>(&mut self, record: &Records<R>, has_rows: bool) -> bool {
        let first = |slot: usize| {
            let cell = trim(record.cell(self.plan.fields[slot].column));
            match self.reading(slot, record) {
                Reading::Missing => None,
                Reading::Unreadable => Some(Kind::Text),
                _ if is_code(cell) => Some(Kind::Text),
                _ => Some(Kind::Number),
            }
        };
        let decided: Vec<(usize, Kind)> =
            self.unknown_kinds.iter().filter_map(|slot| first(*slot).map(|kind| (*slot, kind))).collect();
        if decided.is_empty() {
            return false;
        }
        let changes = decided.iter().any(|(_, kind)| *kind == Kind::Text);
        if !(changes && has_rows) {
            for (slot, kind) in decided {
                self.plan.fields[slot].kind = kind;
            }
            self.rebuild_layout();
        }
        changes
    }

    /// Takes another file's columns, which hold the same fields.
    pub(super) fn use_plan(&mut self, mut plan: ColumnPlan) {
        for field in &mut plan.fields {
            if let Some(known) = self.plan.fields.iter().find(|known| known.name == field.name) {
                field.kind = known.kind;
            }
        }
        self.plan = plan;
        self.rebuild_layout();
    }

    /// Whether the last record has no digit where its time is: a line of units.
    pub(super) fn has_no_digit_in_time<R: Read>(&self, record: &Records<R>) -> bool {
        let columns = self.plan.time.iter().filter(|column| **column < record.columns());
        !columns.flat_map(|column| record.cell(*column)).any(u8::is_ascii_digit)
    }

    /// Why a row cannot be carried of which a cell that is needed is no text.
    #[cold]
    fn no_text<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let fields = self.plan.fields.iter().map(|field| field.column);
        let mut used = self.plan.time.iter().chain(&self.plan.key).copied().chain(fields);
        let column =
            used.find(|column| *column < record.columns() && std::str::from_utf8(record.cell(*column)).is_err())?;
        let hint = if self.config.of_messages { "" } else { ": `encoding` says what the file is" };
        Some(format!("column {} is {}{hint}", column + 1, not_in(record.encoding())))
    }

    #[inline]
    fn time_of<R: Read>(&mut self, record: &Records<R>) -> Result<(i64, i16), String> {
        let (plan, joined, message) = (&self.plan, &self.joined_key, &self.message);
        let key = || match (&*plan.key, joined) {
            ([column], _) => trim(record.cell(*column)),
            (_, Some(joined)) => joined.as_bytes(),
            _ => message.key.as_deref().unwrap_or_default().as_bytes(),
        };
        if self.plan.time.is_empty() {
            return self.time.read_message(message.time, key).map_err(|why| format!("the timestamp: {why}"));
        }
        let parsed = if let [column] = *self.plan.time {
            self.time.read(trim(record.cell(column)), key)
        } else {
            self.joined.clear();
            for column in &self.plan.time {
                if !self.joined.is_empty() {
                    self.joined.push(b' ');
                }
                self.joined.extend_from_slice(trim(record.cell(*column)));
            }
            self.time.read(&self.joined, key)
        };
        parsed.map_err(|why| self.no_time(record, &why))
    }

    #[cold]
    fn no_time<R: Read>(&self, record: &Records<R>, why: &str) -> String {
        let names = self.config.timestamp.names();
        let cells: Vec<&[u8]> = self.plan.time.iter().map(|column| trim(record.cell(*column))).collect();
        let (names, verb) = (names.join("` and `"), if names.len() == 1 { "is" } else { "are" });
        let text = shorten(&cells.join(&b' '));
        format!("`{names}` {verb} `{text}`, which {why}")
    }

    /// Why the row has a wrong number of columns; `None` if it only lacks columns without a name at its end.
    #[cold]
    fn wrong_width<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let (has, wants) = (record.columns(), self.plan.columns);
        if has < wants && has >= self.plan.named {
            return None;
        }
        let delimiter = self.config.delimiter;
        let other = seems_split_by(&String::from_utf8_lossy(record.raw()), delimiter, wants.max(2) - 1);
        let hint = if record.spans_lines() {
            ": is a quote not closed?".to_owned()
        } else if let (1, Some(other)) = (has, other) {
            format!(": the file seems to use `{}`", shown(other))
        } else if has > wants && delimiter == ',' {
            ": are its decimal commas not quoted?".to_owned()
        } else if has < wants {
            ": was it cut off?".to_owned()
        } else {
            String::new()
        };
        let columns = if has == 1 { "column" } else { "columns" };
        Some(format!("the row has {has} {columns} and the header {wants}{hint}"))
    }

    /// Whether all line ends of the row are inside text. A line end in a timestamp or a measurement, or a quote in the middle of
    /// a cell, means that a quote was not closed and the row has swallowed others.
    #[cold]
    fn may_span_lines<R: Read>(&self, record: &Records<R>) -> bool {
        let measured = self.plan.fields.iter().filter(|field| field.kind == Kind::Number).map(|field| field.column);
        let mut single = self.plan.time.iter().chain(&self.plan.key).copied().chain(measured);
        record.is_well_quoted() && !single.any(|column| has_line_end(record.cell(column)))
    }

    /// Why the row does not fit the header: it has a value in a column without a name at its end.
    #[inline]
    fn unnamed_value<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let column = (self.plan.named..record.columns()).find(|column| !trim(record.cell(*column)).is_empty())?;
        let value = shorten(record.cell(column));
        Some(format!("column {} is `{value}`, and the header has no name for it", column + 1))
    }
}

/// What the publisher's code says of a field's cell.
#[inline]
fn verdict<R: Read>(field: &PlannedField, flags: Option<&PublisherFlags>, record: &Records<R>) -> Verdict {
    match (field.flags, flags) {
        (Some(column), Some(flags)) => flags.verdict(trim(record.cell(column))),
        _ => Verdict::Absent,
    }
}

/// A cell without blanks around it.
#[inline]
fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => cell.trim_ascii(),
        _ => cell,
    }
}

/// A value for a reason, shortened.
fn shorten(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
