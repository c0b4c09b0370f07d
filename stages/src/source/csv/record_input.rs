//! The bytes that records are found in: a part of the input at a time, with the checksum of what was read.

use std::io::{self, Read};
use std::sync::Arc;

use crc32fast::Hasher;

use super::file_form::FileForm;
use super::input_files::UNKNOWN_LENGTH;
use super::records::{RecordSpan, Records};
use super::stored_bytes::SHORTER;

/// The mark of byte order as UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The last bytes that were read, by which a file is known again that grows: some dozens of rows, of which no two are of one time.
pub(super) const LAST_BYTES: usize = 4096;

impl<R: Read> Records<R> {
    /// Makes these bytes the whole input, in place of what is left of the one before.
    pub(super) fn restart(&mut self, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        (self.head, self.tail, self.offset, self.line) = (0, bytes.len(), 0, 1);
        (self.remaining, self.stale, self.span) = (0, true, RecordSpan::default());
    }

    /// With the checksum of the bytes before the first one.
    pub(super) fn with_checksum(self, checksum: Hasher) -> Records<R> {
        Records { checksum, ..self }
    }

    /// With the last bytes before the first one.
    pub(super) fn with_last(self, last: Vec<u8>) -> Records<R> {
        Records { last, ..self }
    }

    /// The last bytes that were read, and the byte of the input where they begin.
    pub(super) fn last_read(&self) -> (u64, &[u8]) {
        ((self.offset + self.tail as u64).saturating_sub(self.last.len() as u64), &self.last)
    }

    /// Of messages, each of which is a record, whether it has a value or not.
    pub(super) fn of_messages(self) -> Records<R> {
        Records { keeps_blanks: true, ..self }
    }

    /// Of an input of this form, whose comments begin so.
    pub(super) fn of_form(self, form: FileForm, comment: Option<Arc<[u8]>>) -> Records<R> {
        Records { form, encoding: form.of_cells(), comment, ..self }
    }

    /// The input itself.
    pub(super) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The input may grow: from now on a record without an end is [torn](ReadOutcome::Torn).
    pub(super) fn open_end(&mut self) {
        self.open_end = true;
    }

    /// The input does not grow: a record without an end is a record.
    pub(super) fn close_end(&mut self) {
        self.open_end = false;
    }

    /// The input has grown by so many bytes, or by some.
    pub(super) fn extend(&mut self, more: u64) {
        self.remaining = self.remaining.saturating_add(more);
    }

    /// How many bytes of the input were read, and their CRC-32.
    pub(super) fn checksum_so_far(&self) -> (u64, u32) {
        (self.offset + self.tail as u64, self.checksum.clone().finalize())
    }

    /// Skips a byte order mark; call it at the first byte of a file only.
    pub(super) fn skip_bom(&mut self) -> io::Result<()> {
        if self.begins_with(BYTE_ORDER_MARK)? {
            self.head += BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// Whether the input goes on with these bytes, ASCII letters of either case.
    pub(super) fn begins_with(&mut self, start: &[u8]) -> io::Result<bool> {
        while self.tail - self.head < start.len() && self.remaining > 0 {
            self.fill()?;
        }
        Ok(self.buffer[self.head..self.tail].get(..start.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(start)))
    }

    /// Reads more bytes into the buffer.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.head..self.tail, 0);
        self.offset += self.head as u64;
        self.tail -= self.head;
        self.head = 0;
        if self.tail == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = (self.buffer.len() - self.tail).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let read = loop {
            match self.input.read(&mut self.buffer[self.tail..self.tail + room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if read == 0 {
            if self.remaining != UNKNOWN_LENGTH {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, SHORTER));
            }
            self.remaining = 0;
            return Ok(());
        }
        let new = &self.buffer[self.tail..self.tail + read];
        self.checksum.update(new);
        let new = &new[read.saturating_sub(LAST_BYTES)..];
        self.last.drain(..(self.last.len() + new.len()).saturating_sub(LAST_BYTES));
        self.last.extend_from_slice(new);
        self.tail += read;
        if self.remaining != UNKNOWN_LENGTH {
            self.remaining -= read as u64;
        }
        Ok(())
    }
}
