//! The record that was read last: where it lies, and its cells.

use std::borrow::Cow;
use std::io::Read;

use encoding_rs::Encoding;

use super::dialect::has_line_end;
use super::records::Records;

impl<R: Read> Records<R> {
    /// The byte where the last record starts.
    pub(super) fn record_at(&self) -> u64 {
        self.offset + self.span.start as u64
    }

    /// The line where the last record starts.
    pub(super) fn record_line(&self) -> u64 {
        self.span.line
    }

    /// The last record's bytes, without its line end.
    pub(super) fn raw(&self) -> &[u8] {
        &self.buffer[self.span.start..self.span.end]
    }

    /// The last record's bytes as the file has them.
    pub(super) fn original(&self) -> Cow<'_, [u8]> {
        match self.form.byte_order() {
            None => Cow::Borrowed(self.raw()),
            Some(order) => Cow::Owned(order.original(self.raw())),
        }
    }

    /// The encoding of the file.
    pub(super) fn encoding(&self) -> &'static Encoding {
        self.form.encoding
    }

    /// How many cells the last record has.
    pub(super) fn columns(&self) -> usize {
        self.span.columns
    }

    /// A cell of the last record, without its quotes.
    #[inline]
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let (cells, between) = match self.span.is_plain {
            true => (&self.buffer[self.span.start..self.span.end], 1),
            false => (&*self.cells, 0),
        };
        let start = if column == 0 { 0 } else { self.ends[column - 1] + between };
        &cells[start..self.ends[column]]
    }

    /// Whether the last record spans several lines, as only quotes let it do.
    #[inline]
    pub(super) fn spans_lines(&self) -> bool {
        let is_plain = self.raw().len() + 1 == self.span.written + self.span.columns;
        !is_plain && has_line_end(self.raw())
    }

    /// Whether every cell that begins with a quote ends with one.
    pub(super) fn is_well_quoted(&self) -> bool {
        self.dialect.is_well_quoted(self.raw())
    }

    /// Whether a cell begins with a quote that is never closed.
    pub(super) fn has_open_quote(&self) -> bool {
        self.dialect.has_open_quote(self.raw())
    }

    /// Goes back to the start of the last record.
    pub(super) fn unread(&mut self) {
        self.head = self.span.start;
        self.line = self.span.line;
        self.stale = true;
    }

    /// Makes the first line of the last record, at most its first `most` bytes, the whole record. Reading resumes after it.
    pub(super) fn reject_first_line(&mut self, most: usize) {
        let start = self.span.start;
        let bytes = &self.buffer[start..self.tail.min(start + most)];
        let length = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
        self.head = start + length;
        self.span.end = self.head;
        // The end of the line is still to come, and counts itself.
        self.line = self.span.line;
        self.stale = true;
    }
}
