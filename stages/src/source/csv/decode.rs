//! Records to rows: each becomes a row of columns, or a dead letter with its reason.

use std::io::Read;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Fields, Kind, QcTests};
use arrow_array::builder::StringBuilder;

use super::config::CsvSourceConfig;
use super::dialect::has_line_end;
use super::missing::Missing;
use super::plan::{Plan, seems_split_by, shown};
use super::records::Records;
use super::time::TimeFormat;
use crate::codec::number::parse_f64;
use crate::input::cells::{Cells, Keys, Rows};
use crate::input::zone;

/// No value, because what stands there is no number.
const NOT_A_NUMBER: CellQuality = CellQuality::MISSING.with_test(QcTests::NOT_A_NUMBER);
/// Characters of a value that a reason shows.
const SHOWN: usize = 40;

/// What a record came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A row.
    Row,
    /// It cannot be carried, for this reason.
    Dead(String),
    /// It cannot even be told where it ends: where it goes over lines, its first line alone is to be given up.
    Broken(String),
    /// It decides what fields hold, and so changes the layout: the rows before it are to leave first. Nothing of it was
    /// taken.
    Changes,
}

/// Turns records into rows of one layout.
pub(super) struct Decoder {
    config: Arc<CsvSourceConfig>,
    plan: Plan,
    layout: Arc<Fields>,
    /// Fields whose first value is still to come.
    undecided: Vec<usize>,
    decimal: u8,
    missing: Missing,
    time: TimeFormat,
    key: Option<Arc<str>>,
    keep_raw: bool,
    joined: Vec<u8>,
}

impl Decoder {
    /// A decoder for files of this plan. What `check` refused does not come here.
    pub(super) fn new(config: &Arc<CsvSourceConfig>, plan: Plan, keep_raw: bool) -> Result<Decoder> {
        let decimal = config.decimal as u8;
        let zone = zone::parse(&config.timezone).unwrap_or(0);
        let time = TimeFormat::new(config.timestamp.format.as_deref(), zone).map_err(aqpipe_engine::Error::config)?;
        let mut decoder = Decoder {
            layout: Arc::default(),
            undecided: Vec::new(),
            decimal,
            missing: Missing::new(&config.missing, decimal),
            time,
            key: config.key.as_ref().and_then(|key| key.value.as_deref()).map(Arc::from),
            keep_raw,
            joined: Vec::new(),
            config: Arc::clone(config),
            plan,
        };
        decoder.settle();
        Ok(decoder)
    }

    /// What is known of the fields that were not declared, by name.
    pub(super) fn kinds(&self) -> Vec<(String, Kind)> {
        self.plan.fields.iter().map(|field| (field.name.clone(), field.kind)).collect()
    }

    /// Goes on with what was known of fields.
    pub(super) fn know(&mut self, kinds: &[(String, Kind)]) {
        for field in self.plan.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == field.name) {
                field.kind = *kind;
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.layout = Arc::new(self.plan.settled(&self.config));
        let undecided = |slot: &usize| self.plan.fields[*slot].kind == Kind::Unknown;
        self.undecided = (0..self.plan.fields.len()).filter(undecided).collect();
    }

    /// No rows of the present layout, with room for some.
    pub(super) fn rows(&self, room: usize) -> Rows {
        let keys = match (&self.key, self.plan.key) {
            (Some(key), _) => Keys::Constant(Arc::clone(key)),
            (None, Some(_)) => Keys::Own(StringBuilder::new()),
            (None, None) => Keys::Absent,
        };
        Rows::new(&self.layout, keys, self.keep_raw, room)
    }

    /// Rows of the present layout as a batch.
    pub(super) fn batch(&self, rows: Rows) -> Result<Batch> {
        rows.finish(&self.layout)
    }

    /// Adds the record that was found last, which starts at `origin` in its split, to the rows.
    #[inline]
    pub(super) fn decode<R: Read>(&mut self, record: &Records<R>, origin: u64, rows: &mut Rows) -> Decoded {
        let raw = record.raw();
        if !raw.is_ascii()
            && let Err(error) = std::str::from_utf8(raw)
        {
            return Decoded::Dead(format!("the row is not UTF-8 at its byte {}", error.valid_up_to()));
        }
        if record.columns() != self.plan.columns
            && let Some(why) = self.wrong_width(record)
        {
            return Decoded::Broken(why);
        }
        if record.spans_lines() && !self.may_span_lines(record) {
            return Decoded::Broken("the row goes over several lines: is a quote not closed?".to_owned());
        }
        if let Some(why) = self.unnamed_value(record) {
            return Decoded::Dead(why);
        }
        let (time, offset) = match self.time_of(record) {
            Ok(time) => time,
            Err(why) => return Decoded::Dead(why),
        };
        if !self.undecided.is_empty() && self.decide(record, rows.len() > 0) {
            return Decoded::Changes;
        }
        rows.time.push(time);
        rows.offset.push(offset);
        rows.origin.push(origin);
        if let (Keys::Own(keys), Some(column)) = (&mut rows.keys, self.plan.key) {
            let key = trim(record.cell(column));
            keys.append_option((!self.missing.is_word(key)).then(|| String::from_utf8_lossy(key)));
        }
        if let Some(kept) = &mut rows.raw {
            kept.append_value(raw);
        }
        for (field, cells) in self.plan.fields.iter().zip(&mut rows.columns) {
            let cell = record.cell(field.column);
            match cells {
                Cells::Number(cells) => match parse_f64(trim(cell), self.decimal) {
                    Some(number) if !self.missing.is_number(number) => cells.push(number),
                    Some(_) => cells.push_absent(CellQuality::MISSING),
                    None if self.missing.is_word(trim(cell)) => cells.push_absent(CellQuality::MISSING),
                    None => cells.push_absent(NOT_A_NUMBER),
                },
                Cells::Text(text) => {
                    let present = !self.missing.is_cell(trim(cell), self.decimal);
                    text.append_option(present.then(|| String::from_utf8_lossy(cell)));
                }
            }
        }
        Decoded::Row
    }

    /// Lets the first values of undecided fields decide what those hold; whether the layout changes, which it only does
    /// where there are no rows of the present one.
    fn decide<R: Read>(&mut self, record: &Records<R>, has_rows: bool) -> bool {
        let first = |slot: usize| {
            let cell = trim(record.cell(self.plan.fields[slot].column));
            match parse_f64(cell, self.decimal) {
                Some(number) => (!self.missing.is_number(number)).then_some(Kind::Number),
                None => (!self.missing.is_word(cell)).then_some(Kind::Text),
            }
        };
        let decided: Vec<(usize, Kind)> =
            self.undecided.iter().filter_map(|slot| first(*slot).map(|kind| (*slot, kind))).collect();
        if decided.is_empty() {
            return false;
        }
        let changes = decided.iter().any(|(_, kind)| *kind == Kind::Text);
        if !(changes && has_rows) {
            for (slot, kind) in decided {
                self.plan.fields[slot].kind = kind;
            }
            self.settle();
        }
        changes
    }

    #[inline]
    fn time_of<R: Read>(&mut self, record: &Records<R>) -> Result<(i64, i16), String> {
        let parsed = if let [column] = *self.plan.time {
            self.time.parse(trim(record.cell(column)))
        } else {
            self.joined.clear();
            for column in &self.plan.time {
                if !self.joined.is_empty() {
                    self.joined.push(b' ');
                }
                self.joined.extend_from_slice(trim(record.cell(*column)));
            }
            self.time.parse(&self.joined)
        };
        parsed.map_err(|why| self.no_time(record, &why))
    }

    #[cold]
    fn no_time<R: Read>(&self, record: &Records<R>, why: &str) -> String {
        let names = self.config.timestamp.names();
        let cells: Vec<&[u8]> = self.plan.time.iter().map(|column| trim(record.cell(*column))).collect();
        let (names, verb) = (names.join("` and `"), if names.len() == 1 { "is" } else { "are" });
        let text = shorten(&cells.join(&b' '));
        format!("`{names}` {verb} `{text}`, which is not {}: {why}", self.time.expectation())
    }

    /// Why the row's number of columns is wrong, unless it only lacks columns without a name at its end.
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

    /// Whether the row's line ends are inside of text. A timestamp or a measurement with a line end in it, or a quote in
    /// the middle of a cell, says that a quote was not closed and that other rows were taken for a part of this one.
    #[cold]
    fn may_span_lines<R: Read>(&self, record: &Records<R>) -> bool {
        let measured = self.plan.fields.iter().filter(|field| field.kind == Kind::Number).map(|field| field.column);
        let mut single = self.plan.time.iter().copied().chain(self.plan.key).chain(measured);
        record.is_well_quoted() && !single.any(|column| has_line_end(record.cell(column)))
    }

    /// What stands in a column at the end that has no name, for it says that the row is not what the header says.
    #[inline]
    fn unnamed_value<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let column = (self.plan.named..record.columns()).find(|column| !trim(record.cell(*column)).is_empty())?;
        let value = shorten(record.cell(column));
        Some(format!("column {} is `{value}`, and the header has no name for it", column + 1))
    }
}

/// A cell without the blanks around it.
#[inline]
fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => cell.trim_ascii(),
        _ => cell,
    }
}

/// A value as a reason shows it.
fn shorten(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
