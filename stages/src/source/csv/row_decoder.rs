//! From records to rows: each one becomes a row, or a dead letter with its reason.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Fields};
use arrow_array::builder::StringBuilder;

use super::cell_text::trim;
use super::column_plan::{ColumnPlan, PlannedField};
use super::config::CsvSourceConfig;
use super::records::Records;
use crate::columns::{ColumnBuilder, KeyBuilder, RowsBuilder};
use crate::reading::time::{TimeReader, Zone};
use crate::reading::{
    Key, KeyJoiner, KeyOptions, KeyOrigin, NumberReader, PublisherFlags, Reading, UnreadableCells, Verdict,
};

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
    pub(super) config: Arc<CsvSourceConfig>,
    pub(super) plan: ColumnPlan,
    pub(super) layout: Arc<Fields>,
    /// The fields of unknown kind, which have had no value yet.
    pub(super) unknown_kinds: Vec<usize>,
    /// The field of each column that can be read while its end is looked for. Without columns, none can.
    pub(super) plain_numbers: Vec<Option<usize>>,
    /// The fields of text.
    pub(super) texts: Vec<usize>,
    /// Why the time of a record was refused that is now decoded once more: a text that is refused is counted.
    refused_time: Option<String>,
    pub(super) numbers: NumberReader,
    /// The publisher's codes for each field that has some.
    pub(super) flags: Vec<Option<PublisherFlags>>,
    /// Cells of measurements that could not be read, and codes that are not listed.
    pub(super) unreadable: UnreadableCells,
    pub(super) unlisted: UnreadableCells,
    pub(super) time: TimeReader,
    pub(super) key: Option<Key>,
    /// The key of the last record, where several columns make it.
    pub(super) joined_key: Option<String>,
    key_joiner: KeyJoiner,
    /// What the next record has from its message.
    pub(super) message: RowMessage,
    pub(super) keep_raw: bool,
    pub(super) joined: Vec<u8>,
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
            plain_numbers: Vec::new(),
            texts: Vec::new(),
            refused_time: None,
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
        if let Err(decoded) = self.check(record) {
            return decoded;
        }
        let time = match self.refused_time.take().map_or_else(|| self.time_of(record), Err) {
            Ok(time) => time,
            Err(why) => return Decoded::Rejected(why),
        };
        if !self.unknown_kinds.is_empty() && self.decide_kinds(record, rows.len() > 0) {
            return Decoded::LayoutChange;
        }
        self.append_beside(record, source_offset, time, rows);
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
                ColumnBuilder::Text(text) => self.append_text(cell, text),
            }
        }
        Decoded::Row
    }

    /// Adds the last record, whose [numbers](Self::plain_numbers) stand in the columns already. `false` where it is to be decoded like any
    /// other: then nothing else of it was added.
    #[inline]
    pub(super) fn decode_plain<R: Read>(
        &mut self,
        record: &Records<R>,
        source_offset: u64,
        rows: &mut RowsBuilder,
    ) -> bool {
        self.refused_time = None;
        if self.check(record).is_err() {
            return false;
        }
        let time = match self.time_of(record) {
            Ok(time) => time,
            Err(why) => {
                self.refused_time = Some(why);
                return false;
            }
        };
        self.append_beside(record, source_offset, time, rows);
        for index in &self.texts {
            if let (Some(field), Some(ColumnBuilder::Text(text))) =
                (self.plan.fields.get(*index), rows.columns.get_mut(*index))
            {
                self.append_text(record.cell(field.column), text);
            }
        }
        true
    }

    /// Checks a record, and reads its key.
    #[inline]
    fn check<R: Read>(&mut self, record: &Records<R>) -> Result<(), Decoded> {
        if !record.raw().is_ascii()
            && let Some(why) = self.no_text(record)
        {
            return Err(Decoded::Rejected(why));
        }
        if record.columns() != self.plan.columns
            && let Some(why) = self.wrong_width(record)
        {
            return Err(Decoded::Malformed(why));
        }
        if record.spans_lines() && !self.may_span_lines(record) {
            return Err(Decoded::Malformed("the row goes over several lines: is a quote not closed?".to_owned()));
        }
        if let Some(why) = self.unnamed_value(record) {
            return Err(Decoded::Rejected(why));
        }
        // Before the time, which may go by the order of the records of its key.
        self.join_key(record).map_err(Decoded::Rejected)
    }

    /// Appends what a row has beside its fields.
    #[inline]
    fn append_beside<R: Read>(
        &mut self,
        record: &Records<R>,
        source_offset: u64,
        (time, utc_offset): (i64, i16),
        rows: &mut RowsBuilder,
    ) {
        self.time.taken(source_offset);
        rows.time.push(time);
        rows.utc_offset.push(utc_offset);
        rows.source_offsets.push(source_offset);
        if let KeyBuilder::Own(keys) = &mut rows.keys {
            self.append_key(record, keys);
        }
        if let Some(kept) = &mut rows.raw {
            kept.append_value(record.original());
        }
    }

    #[inline]
    fn append_text(&self, cell: &[u8], text: &mut StringBuilder) {
        let present = !self.numbers.is_empty_text(trim(cell));
        text.append_option(present.then(|| String::from_utf8_lossy(cell)));
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

    /// Why the row does not fit the header: it has a value in a column without a name at its end.
    #[inline]
    fn unnamed_value<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let column = (self.plan.empty_from..record.columns()).find(|column| !trim(record.cell(*column)).is_empty())?;
        Some(self.unnamed(record, column))
    }
}

/// What the publisher's code says of a field's cell.
#[inline]
pub(super) fn verdict<R: Read>(field: &PlannedField, flags: Option<&PublisherFlags>, record: &Records<R>) -> Verdict {
    match (field.flags, flags) {
        (Some(column), Some(flags)) => flags.verdict(trim(record.cell(column))),
        _ => Verdict::Absent,
    }
}
