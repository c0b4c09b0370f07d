//! From bytes to records: where each one starts and ends, and its cells.

use std::io::{self, Read};

use crc32fast::Hasher;
use csv_core::{ReadRecordResult, Reader};

use super::dialect::{Dialect, has_line_end};

/// Bytes of the longest record. A longer one is a mistake in the file, such as a quote that is never closed.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes read at once.
const READ_CHUNK_BYTES: usize = 256 * 1024;

/// The outcome of [`Records::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// A record.
    Record,
    /// A line of a record that has no end within [`RECORD_BYTES_MAX`] bytes, or that many bytes of the line.
    TooLong,
    /// No record yet, but more bytes were read: the caller may look at the clock.
    Read,
    /// The input ends within a record, and may grow.
    Torn,
    /// The end of the input.
    End,
}

/// Where the last record lies.
#[derive(Clone, Copy, Debug, Default)]
struct RecordSpan {
    /// Its bytes in the buffer, without the end of its line.
    start: usize,
    end: usize,
    line: u64,
    columns: usize,
}

/// The records of one input. Lines end in `\n`, `\r\n` or `\r`; blank lines and lines of separators alone are no records.
///
/// A record depends only on the bytes from its start on, so that reading can resume at any record.
pub(super) struct Records<R> {
    input: R,
    dialect: Dialect,
    /// Bytes of the input that are not in the buffer yet.
    remaining: u64,
    /// Whether the input may grow beyond those.
    open_end: bool,
    /// The checksum of the input up to the end of the buffer.
    checksum: Hasher,
    buffer: Vec<u8>,
    head: usize,
    tail: usize,
    /// Where the buffer's first byte lies in the input.
    offset: u64,
    /// The line of `head`, from 1; 0 if unknown.
    line: u64,
    tokens: Reader,
    /// Whether `tokens` has to be reset before the next record.
    stale: bool,
    cells: Vec<u8>,
    ends: Vec<usize>,
    span: RecordSpan,
}

/// Whether the record at `head` is complete.
enum Tokenised {
    /// It has this many bytes, its line end included.
    Complete(usize),
    /// Its end is not in the buffer.
    Incomplete,
    /// The input ends within it, and may grow.
    Torn,
}

impl<R: Read> Records<R> {
    /// The records of an input that stands at its byte `at`, on line `line`, with `remaining` bytes from there.
    pub(super) fn new(input: R, dialect: Dialect, at: u64, remaining: u64, line: u64) -> Records<R> {
        Records {
            input,
            dialect,
            remaining,
            open_end: false,
            checksum: Hasher::new(),
            buffer: vec![0; READ_CHUNK_BYTES],
            head: 0,
            tail: 0,
            offset: at,
            line,
            tokens: dialect.reader(),
            stale: true,
            cells: vec![0; 4096],
            ends: vec![0; 64],
            span: RecordSpan::default(),
        }
    }

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

    /// The input may grow: from now on a record without an end is [torn](ReadOutcome::Torn).
    pub(super) fn open_end(&mut self) {
        self.open_end = true;
    }

    /// The input does not grow: a record without an end is a record.
    pub(super) fn close_end(&mut self) {
        self.open_end = false;
    }

    /// The input has grown by so many bytes.
    pub(super) fn extend(&mut self, more: u64) {
        self.remaining += more;
    }

    /// How many bytes of the input were read, and their CRC-32.
    pub(super) fn checksum_so_far(&self) -> (u64, u32) {
        (self.offset + self.tail as u64, self.checksum.clone().finalize())
    }

    /// Skips a byte order mark; call it at the first byte of a file only.
    pub(super) fn skip_bom(&mut self) -> io::Result<()> {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        while self.tail < BOM.len() && self.remaining > 0 {
            self.fill()?;
        }
        if self.buffer[..self.tail].starts_with(BOM) {
            self.head = BOM.len();
        }
        Ok(())
    }

    /// Goes to the next record.
    pub(super) fn next(&mut self) -> io::Result<ReadOutcome> {
        loop {
            let at_record = self.skip_line_ends();
            if !at_record {
                if self.remaining == 0 {
                    return Ok(ReadOutcome::End);
                }
                self.fill()?;
                return Ok(ReadOutcome::Read);
            }
            match self.tokenise() {
                Tokenised::Complete(bytes) if bytes <= RECORD_BYTES_MAX => {
                    let (start, line) = (self.head, self.line);
                    self.head += bytes;
                    self.advance_line(start);
                    if !self.is_blank() {
                        let end = self.end_of_record(start);
                        self.span = RecordSpan { start, end, line, columns: self.span.columns };
                        return Ok(ReadOutcome::Record);
                    }
                }
                Tokenised::Incomplete if self.tail - self.head <= RECORD_BYTES_MAX => {
                    self.fill()?;
                    return Ok(ReadOutcome::Read);
                }
                Tokenised::Torn if self.tail - self.head <= RECORD_BYTES_MAX => return Ok(ReadOutcome::Torn),
                Tokenised::Complete(_) | Tokenised::Incomplete | Tokenised::Torn => {
                    self.span = RecordSpan { start: self.head, end: self.head, line: self.line, columns: 0 };
                    self.reject_first_line(RECORD_BYTES_MAX);
                    return Ok(ReadOutcome::TooLong);
                }
            }
        }
    }

    /// The byte where the next record or the blank lines before it start.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.head as u64
    }

    /// The line of [`position`](Self::position).
    pub(super) fn line(&self) -> u64 {
        self.line
    }

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

    /// How many cells the last record has.
    pub(super) fn columns(&self) -> usize {
        self.span.columns
    }

    /// A cell of the last record, without its quotes.
    #[inline]
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        &self.cells[start..self.ends[column]]
    }

    /// Whether the last record spans several lines, as only quotes let it do.
    #[inline]
    pub(super) fn spans_lines(&self) -> bool {
        let written = self.ends[..self.span.columns].last().copied().unwrap_or(0);
        let is_plain = self.raw().len() + 1 == written + self.span.columns;
        !is_plain && has_line_end(self.raw())
    }

    /// Whether every cell that begins with a quote ends with one.
    pub(super) fn is_well_quoted(&self) -> bool {
        self.dialect.is_well_quoted(self.raw())
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

    /// Skips the ends of blank lines; returns whether a record starts there.
    fn skip_line_ends(&mut self) -> bool {
        while self.head < self.tail {
            match self.buffer[self.head] {
                b'\n' => self.head += 1,
                b'\r' if self.head + 1 < self.tail => {
                    self.head += if self.buffer[self.head + 1] == b'\n' { 2 } else { 1 };
                }
                // `\n` may follow.
                b'\r' if self.remaining > 0 => return false,
                b'\r' => self.head += 1,
                _ => return true,
            }
            self.line += u64::from(self.line > 0);
        }
        false
    }

    fn tokenise(&mut self) -> Tokenised {
        if self.stale {
            self.tokens.reset();
            // A line end first: at the start of a file the parser would skip a byte order mark.
            self.tokens.read_record(b"\n", &mut [0], &mut [0]);
            self.stale = false;
        }
        self.tokens.set_line(0);
        let input = &self.buffer[self.head..self.tail];
        let (mut read, mut written, mut cells) = (0, 0, 0);
        loop {
            // An empty input would tell the parser that the record ends here.
            if read == input.len() && (self.remaining > 0 || self.open_end) {
                self.stale = true;
                return if self.remaining > 0 { Tokenised::Incomplete } else { Tokenised::Torn };
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
        self.span.columns = cells;
        if read > 0 && input[read - 1] == b'\r' && !self.stale {
            match input.get(read) {
                Some(b'\n') => read += 1,
                None if self.remaining > 0 => {
                    self.stale = true;
                    return Tokenised::Incomplete;
                }
                _ => {}
            }
        }
        Tokenised::Complete(read)
    }

    /// Counts the lines of a record that starts at `start` and ends at `head`.
    fn advance_line(&mut self, start: usize) {
        if self.line == 0 {
            return;
        }
        let ending = &self.buffer[start..self.head];
        // The parser counts every `\n` but one that follows a `\r`.
        self.line += self.tokens.line() + u64::from(ending.ends_with(b"\r\n") || ending.ends_with(b"\r"));
    }

    fn end_of_record(&self, start: usize) -> usize {
        let bytes = &self.buffer[start..self.head];
        let trimmed = bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n"));
        start + trimmed.or_else(|| bytes.strip_suffix(b"\r")).unwrap_or(bytes).len()
    }

    /// Whether all cells are blank.
    fn is_blank(&self) -> bool {
        let written = if self.span.columns == 0 { 0 } else { self.ends[self.span.columns - 1] };
        self.cells[..written].iter().all(|byte| matches!(byte, b' ' | b'\t'))
    }

    /// Reads more bytes into the buffer.
    fn fill(&mut self) -> io::Result<()> {
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
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.checksum.update(&self.buffer[self.tail..self.tail + read]);
        self.tail += read;
        self.remaining -= read as u64;
        Ok(())
    }
}
