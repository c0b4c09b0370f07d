//! Why a record is no row.

use std::io::Read;

use aqpipe_engine::record::Kind;

use super::cell_text::not_in;
use super::column_plan::{seems_split_by, shown};
use super::dialect::has_line_end;
use super::records::Records;
use super::row_decoder::{RowDecoder, trim};

/// Characters of a value in a reason.
const SHOWN_CHARS_MAX: usize = 40;

impl RowDecoder {
    /// Whether the last record has no digit where its time is: a line of units.
    pub(super) fn has_no_digit_in_time<R: Read>(&self, record: &Records<R>) -> bool {
        let columns = self.plan.time.iter().filter(|column| **column < record.columns());
        !columns.flat_map(|column| record.cell(*column)).any(u8::is_ascii_digit)
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

    /// What a value says that stands in a column without a name.
    #[cold]
    pub(super) fn unnamed<R: Read>(&self, record: &Records<R>, column: usize) -> String {
        let value = shorten(record.cell(column));
        format!("column {} is `{value}`, and the header has no name for it", column + 1)
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
