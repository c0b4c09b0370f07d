//! Bytes to records: where each one starts and ends, and its cells.

use std::io::{self, Read};

use crc32fast::Hasher;
use csv_core::{ReadRecordResult, Reader};

use super::dialect::{Dialect, has_line_end};

/// Bytes of the largest record. What is longer is a mistake in the file, such as a quote that is never closed.
pub(super) const RECORD_MAX: usize = 1 << 20;
/// Bytes read at once.
const READ: usize = 256 * 1024;

/// What [`Records::next`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record.
    Record,
    /// A line, or a piece of [`RECORD_MAX`] bytes of one, of a record that has no end within that many bytes.
    TooLong,
    /// Nothing yet: more was read. A good moment to look at the clock.
    Read,
    /// The input ends within a record, and its end is not final: more may come.
    Torn,
    /// The end of the input.
    End,
}

/// Where the record that was found last lies.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Its bytes in the buffer, without the end of its line.
    start: usize,
    end: usize,
    line: u64,
    columns: usize,
}

/// The records of one input. Lines end in `\n`, `\r\n` or `\r`; blank lines and lines of separators alone are no
/// records.
///
/// What is found at a byte depends on the bytes from there on alone, so that reading can go on at any record.
pub(super) struct Records<R> {
    input: R,
    dialect: Dialect,
    /// Bytes of the input that are not in the buffer yet.
    left: u64,
    /// Whether more may come behind those.
    open_end: bool,
    /// Of all bytes of the input up to the end of the buffer.
    checksum: Hasher,
    buffer: Vec<u8>,
    head: usize,
    tail: usize,
    /// Where the buffer's first byte lies in the input.
    offset: u64,
    /// The line of `head`, from 1; 0 where it is not known.
    line: u64,
    tokens: Reader,
    /// Whether the tokens' state is not that of the start of a record.
    stale: bool,
    cells: Vec<u8>,
    ends: Vec<usize>,
    place: Place,
}

/// Whether a record is complete.
enum Token {
    /// It is, with so many bytes, its end of line included.
    Record(usize),
    /// Its end is not in the buffer.
    Open,
    /// Its end is not there, and there may be more later.
    Torn,
}

impl<R: Read> Records<R> {
    /// Records of an input whose next byte is its byte `at`, on line `line`, and which has `left` bytes from there.
    pub(super) fn new(input: R, dialect: Dialect, at: u64, left: u64, line: u64) -> Records<R> {
        Records {
            input,
            dialect,
            left,
            open_end: false,
            checksum: Hasher::new(),
            buffer: vec![0; READ],
            head: 0,
            tail: 0,
            offset: at,
            line,
            tokens: dialect.reader(),
            stale: true,
            cells: vec![0; 4096],
            ends: vec![0; 64],
            place: Place::default(),
        }
    }

    /// With the checksum of the bytes before the first one.
    pub(super) fn behind(self, checksum: Hasher) -> Records<R> {
        Records { checksum, ..self }
    }

    /// A record without an end at the end of the input is [torn](Found::Torn) from now on.
    pub(super) fn open_end(&mut self) {
        self.open_end = true;
    }

    /// There is nothing behind the end: what stands there is a record as it is.
    pub(super) fn close_end(&mut self) {
        self.open_end = false;
    }

    /// There are so many bytes more.
    pub(super) fn extend(&mut self, more: u64) {
        self.left += more;
    }

    /// How many bytes of the input were read, and their checksum.
    pub(super) fn heard(&self) -> (u64, u32) {
        (self.offset + self.tail as u64, self.checksum.clone().finalize())
    }

    /// Skips a byte order mark; call it at the first byte of a file only.
    pub(super) fn skip_bom(&mut self) -> io::Result<()> {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        while self.tail < BOM.len() && self.left > 0 {
            self.fill()?;
        }
        if self.buffer[..self.tail].starts_with(BOM) {
            self.head = BOM.len();
        }
        Ok(())
    }

    /// Goes to the next record.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        loop {
            let at_record = self.skip_line_ends();
            if !at_record {
                if self.left == 0 {
                    return Ok(Found::End);
                }
                self.fill()?;
                return Ok(Found::Read);
            }
            match self.tokenise() {
                Token::Record(bytes) if bytes <= RECORD_MAX => {
                    let (start, line) = (self.head, self.line);
                    self.head += bytes;
                    self.advance_line(start);
                    if !self.is_blank() {
                        let end = self.end_of_record(start);
                        self.place = Place { start, end, line, columns: self.place.columns };
                        return Ok(Found::Record);
                    }
                }
                Token::Open if self.tail - self.head <= RECORD_MAX => {
                    self.fill()?;
                    return Ok(Found::Read);
                }
                Token::Torn if self.tail - self.head <= RECORD_MAX => return Ok(Found::Torn),
                Token::Record(_) | Token::Open | Token::Torn => {
                    self.place = Place { start: self.head, end: self.head, line: self.line, columns: 0 };
                    self.give_up_first_line(RECORD_MAX);
                    return Ok(Found::TooLong);
                }
            }
        }
    }

    /// Where the next record starts, or blank lines before it.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.head as u64
    }

    /// The line of [`position`](Self::position).
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Where the record starts.
    pub(super) fn record_at(&self) -> u64 {
        self.offset + self.place.start as u64
    }

    /// The line that the record starts on.
    pub(super) fn record_line(&self) -> u64 {
        self.place.line
    }

    /// The record's bytes, without the end of its line.
    pub(super) fn raw(&self) -> &[u8] {
        &self.buffer[self.place.start..self.place.end]
    }

    /// How many cells the record has.
    pub(super) fn columns(&self) -> usize {
        self.place.columns
    }

    /// A cell of the record, its quotes taken away.
    #[inline]
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        &self.cells[start..self.ends[column]]
    }

    /// Whether the record goes over several lines, which only quotes let it do.
    #[inline]
    pub(super) fn spans_lines(&self) -> bool {
        let written = self.ends[..self.place.columns].last().copied().unwrap_or(0);
        let is_plain = self.raw().len() + 1 == written + self.place.columns;
        !is_plain && has_line_end(self.raw())
    }

    /// Whether every cell that begins with a quote ends with one.
    pub(super) fn is_well_quoted(&self) -> bool {
        self.dialect.is_well_quoted(self.raw())
    }

    /// Goes back to before the record.
    pub(super) fn unread(&mut self) {
        self.head = self.place.start;
        self.line = self.place.line;
        self.stale = true;
    }

    /// Makes the first line of the record, or its first `most` bytes, all that was read: reading goes on behind it.
    pub(super) fn give_up_first_line(&mut self, most: usize) {
        let start = self.place.start;
        let bytes = &self.buffer[start..self.tail.min(start + most)];
        let length = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
        self.head = start + length;
        self.place.end = self.head;
        // The end of the line is still to come, and counts itself.
        self.line = self.place.line;
        self.stale = true;
    }

    /// Goes behind the ends of blank lines; whether a record starts there.
    fn skip_line_ends(&mut self) -> bool {
        while self.head < self.tail {
            match self.buffer[self.head] {
                b'\n' => self.head += 1,
                b'\r' if self.head + 1 < self.tail => {
                    self.head += if self.buffer[self.head + 1] == b'\n' { 2 } else { 1 };
                }
                // Whether `\n` follows is not known yet.
                b'\r' if self.left > 0 => return false,
                b'\r' => self.head += 1,
                _ => return true,
            }
            self.line += u64::from(self.line > 0);
        }
        false
    }

    fn tokenise(&mut self) -> Token {
        if self.stale {
            self.tokens.reset();
            // A first line end tells the reader that this is not the start of a file, where it would look for a mark.
            self.tokens.read_record(b"\n", &mut [0], &mut [0]);
            self.stale = false;
        }
        self.tokens.set_line(0);
        let input = &self.buffer[self.head..self.tail];
        let (mut read, mut written, mut cells) = (0, 0, 0);
        loop {
            // An empty input would tell the reader that there is no more.
            if read == input.len() && (self.left > 0 || self.open_end) {
                self.stale = true;
                return if self.left > 0 { Token::Open } else { Token::Torn };
            }
            let (result, bytes_in, bytes_out, ends) =
                self.tokens.read_record(&input[read..], &mut self.cells[written..], &mut self.ends[cells..]);
            if read == input.len() {
                self.stale = true;
            }
            read += bytes_in;
            written += bytes_out;
            cells += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.cells.resize(self.cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        self.place.columns = cells;
        if read > 0 && input[read - 1] == b'\r' && !self.stale {
            match input.get(read) {
                Some(b'\n') => read += 1,
                None if self.left > 0 => {
                    self.stale = true;
                    return Token::Open;
                }
                _ => {}
            }
        }
        Token::Record(read)
    }

    /// Counts the lines of a record that starts at `start` and ends at `head`.
    fn advance_line(&mut self, start: usize) {
        if self.line == 0 {
            return;
        }
        let ending = &self.buffer[start..self.head];
        // The reader saw every `\n` but the one that follows a `\r`.
        self.line += self.tokens.line() + u64::from(ending.ends_with(b"\r\n") || ending.ends_with(b"\r"));
    }

    fn end_of_record(&self, start: usize) -> usize {
        let bytes = &self.buffer[start..self.head];
        let trimmed = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"));
        start + trimmed.or_else(|| bytes.strip_suffix(b"\r")).unwrap_or(bytes).len()
    }

    /// Whether all cells are blank.
    fn is_blank(&self) -> bool {
        let written = if self.place.columns == 0 { 0 } else { self.ends[self.place.columns - 1] };
        self.cells[..written].iter().all(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.head..self.tail, 0);
        self.offset += self.head as u64;
        self.tail -= self.head;
        self.head = 0;
        if self.tail == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = (self.buffer.len() - self.tail).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = loop {
            match self.input.read(&mut self.buffer[self.tail..self.tail + room]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.checksum.update(&self.buffer[self.tail..self.tail + read]);
        self.tail += read;
        self.left -= read as u64;
        Ok(())
    }
}
