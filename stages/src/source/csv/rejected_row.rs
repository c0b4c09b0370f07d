//! Why a record is no row.

use std::io::Read;

use aqpipe_engine::record::Kind;

use super::cell_text::{not_in, trim};
use super::column_plan::{seems_split_by, shown};
use super::dialect::has_line_end;
use super::records::Records;
use super::row_decoder::RowDecoder;
use crate::reading::Reading;
use crate::reading::time::{TimeReader, Zone};

/// Characters of a value in a reason.
const SHOWN_CHARS_MAX: usize = 40;

impl RowDecoder {
    /// Whether the last record has no digit where its time is: a line of units.
    pub(super) fn has_no_digit_in_time<R: Read>(&self, record: &Records<R>) -> bool {
        let mut columns = self.plan.time.iter().filter(|column| **column < record.columns()).peekable();
        columns.peek().is_some() && !columns.flat_map(|column| record.cell(*column)).any(u8::is_ascii_digit)
    }

    /// Why a row cannot be carried of which a cell that is needed is no text.
    #[cold]
    pub(super) fn no_text<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let fields = self.plan.fields.iter().map(|field| field.column);
        let mut used = self.plan.time.iter().chain(&self.plan.key).copied().chain(fields);
        let column =
            used.find(|column| *column < record.columns() && std::str::from_utf8(record.cell(*column)).is_err())?;
        let hint = if self.config.of_messages { "" } else { ": `encoding` says what the file is" };
        Some(format!("column {} is {}{hint}", column + 1, not_in(record.encoding())))
    }

    #[cold]
    pub(super) fn no_time<R: Read>(&self, record: &Records<R>, why: &str) -> String {
        let names = self.config.timestamp.names();
        let cells: Vec<&[u8]> = self.plan.time.iter().map(|column| trim(record.cell(*column))).collect();
        let (names, verb) = (names.join("` and `"), if names.len() == 1 { "is" } else { "are" });
        let text = shorten(&cells.join(&b' '));
        format!("`{names}` {verb} `{text}`, which {why}")
    }

    /// Why the row has a wrong number of columns; `None` if it only lacks columns without a name at its end.
    #[cold]
    pub(super) fn wrong_width<R: Read>(&self, record: &Records<R>) -> Option<String> {
        let (has, wants) = (record.columns(), self.plan.columns);
        if has < wants && has >= self.plan.named || self.only_ends_with_delimiter(record) {
            return None;
        }
        let delimiter = self.config.delimiter;
        let other = seems_split_by(&String::from_utf8_lossy(record.raw()), delimiter, wants.max(2) - 1);
        let hint = if record.spans_lines() {
            ": is a quote not closed?".to_owned()
        } else if let (1, Some(other)) = (has, other) {
            match self.config.of_messages {
                true => format!(": it seems to be split by `{0}`: set delimiter = \"{0}\"", shown(other)),
                false => format!(": the file seems to use `{}`", shown(other)),
            }
        } else if self.names_time(record) {
            ": it seems to be a header that spells the names otherwise, and what follows is not read by it".to_owned()
        } else if self.is_one_column_further(record) {
            ": are its first cells names of rows?".to_owned()
        } else if has == wants + 1 && trim(record.cell(wants)).is_empty() {
            match delimiter {
                ',' => format!(": it ends with a `{delimiter}`, or a decimal comma is not quoted"),
                _ => format!(": it ends with a `{}`", shown(delimiter)),
            }
        } else if has > wants && delimiter == ',' {
            ": are its decimal commas not quoted?".to_owned()
        } else if has < wants {
            ": was it cut off?".to_owned()
        } else {
            String::new()
        };
        let columns = if has == 1 { "column" } else { "columns" };
        Some(format!("the row has {has} {columns} and {} {wants}{hint}", self.namer()))
    }

    /// What a value says that stands in a column without a name.
    #[cold]
    pub(super) fn unnamed<R: Read>(&self, record: &Records<R>, column: usize) -> String {
        let value = shorten(record.cell(column));
        let hint = if self.config.is_declared() { "" } else { "; with `fields` it would be passed over" };
        format!(
            "column {} is `{value}`, and {} no name for it{hint}",
            column + 1,
            match self.config.columns.len() {
                0 => "the header has",
                _ => "`columns` has",
            }
        )
    }

    /// Whether a cell holds the name of a column of the time, in whatever letters.
    fn names_time<R: Read>(&self, record: &Records<R>) -> bool {
        let is =
            |cell: &[u8], name: &String| String::from_utf8_lossy(cell).trim().to_lowercase() == name.to_lowercase();
        let mut times = self.plan.time.iter().filter_map(|column| self.plan.names.get(*column));
        times.any(|name| (0..record.columns()).any(|column| is(record.cell(column), name)))
    }

    /// What names the columns.
    fn namer(&self) -> &'static str {
        if self.config.columns.is_empty() { "the header" } else { "`columns`" }
    }

    /// Whether a row has a cell too many that is empty, in a file whose rows all end so.
    #[cold]
    pub(super) fn only_ends_with_delimiter<R: Read>(&self, record: &Records<R>) -> bool {
        let columns = self.plan.columns;
        self.plan.ends_with_delimiter && record.columns() == columns + 1 && trim(record.cell(columns)).is_empty()
    }

    /// Whether a row has the cells of all columns behind one more.
    #[cold]
    pub(super) fn is_one_column_further<R: Read>(&self, record: &Records<R>) -> bool {
        // Where a measurement stands before the time, the cell too many may be its fraction.
        let is_before_time = self.plan.time.contains(&0) || self.config.delimiter != ',';
        is_before_time && record.columns() == self.plan.columns + 1 && self.reads_at(record, 1)
    }

    /// Whether the cells of a record, so many columns further on, hold a valid time and a measurement.
    #[cold]
    pub(super) fn reads_at<R: Read>(&self, record: &Records<R>, further: usize) -> bool {
        let cell = |column: usize| {
            let column = column + further;
            (column < record.columns()).then(|| trim(record.cell(column)))
        };
        let zone = Zone::parse(&self.config.timezone).unwrap_or_default();
        let times: Option<Vec<&[u8]>> = self.plan.time.iter().map(|column| cell(*column)).collect();
        let (Some(times), Ok(mut reader)) = (times, TimeReader::new(&self.config.timestamp, zone)) else {
            return false;
        };
        if times.is_empty() || reader.read(&times.join(&b' '), || &b""[..]).is_err() {
            return false;
        }
        let measured = self.plan.fields.iter().filter(|field| field.kind != Kind::Text);
        let readings: Vec<Reading> =
            measured.filter_map(|field| cell(field.column)).map(|cell| self.numbers.read(cell)).collect();
        let is_value = |reading: &Reading| matches!(reading, Reading::Value(_) | Reading::Suspect(_));
        match further {
            0 => readings.is_empty() || readings.iter().any(is_value),
            _ => readings.iter().all(|reading| *reading != Reading::Unreadable),
        }
    }

    /// Whether all line ends of the row are inside text. A line end in a timestamp or a measurement, or a quote in the middle of
    /// a cell, means that a quote was not closed and the row has swallowed others.
    #[cold]
    pub(super) fn may_span_lines<R: Read>(&self, record: &Records<R>) -> bool {
        let measured = self.plan.fields.iter().filter(|field| field.kind == Kind::Number).map(|field| field.column);
        let mut single = self.plan.time.iter().chain(&self.plan.key).copied().chain(measured);
        record.is_well_quoted() && !single.any(|column| has_line_end(record.cell(column)))
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
