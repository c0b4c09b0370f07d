//! From bytes to records: where each one starts and ends, and its cells.

use std::io::{self, Read};
use std::sync::Arc;

use crc32fast::Hasher;
use csv_core::{ReadRecordResult, Reader};
use encoding_rs::Encoding;

use super::cell_text::decode_cells;
use super::dialect::{CellEnds, Dialect};
use super::file_form::FileForm;
use super::plain_line::{CellParts, PlainLine, plain_line};
use crate::columns::ColumnBuilder;
use crate::reading::NumberReader;

/// Bytes of the longest record. A longer one is a mistake in the file, such as a quote that is never closed.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes read at once.
const READ_CHUNK_BYTES: usize = 256 * 1024;
/// Records that are not looked at as lines without quotes once others came: a file of rows with quotes costs no more than that.
const PLAIN_PAUSE_MAX: u32 = 1_024;

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
pub(super) struct RecordSpan {
    /// Its bytes in the buffer, without the end of its line.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: u64,
    pub(super) columns: usize,
    /// The bytes of its cells, before they were decoded.
    pub(super) written: usize,
    /// Whether its cells lie in the buffer, with a delimiter between two.
    pub(super) is_plain: bool,
}

/// The records of one input. Lines end in `\n`, `\r\n` or `\r`; blank lines and lines of separators alone are no records.
///
/// A line that begins as a comment is no record either.
///
/// A record depends only on the bytes from its start on, so that reading can resume at any record.
pub(super) struct Records<R> {
    pub(super) input: R,
    pub(super) dialect: Dialect,
    /// How the input became this text.
    pub(super) form: FileForm,
    /// The encoding of its cells, unless they are UTF-8.
    pub(super) encoding: Option<&'static Encoding>,
    /// What comments begin with.
    pub(super) comment: Option<Arc<[u8]>>,
    /// Bytes of the input that are not in the buffer yet; [`UNKNOWN_LENGTH`] where it goes on to its end.
    pub(super) remaining: u64,
    /// Whether a record without a value is one: a message is, a line of a file is not.
    pub(super) keeps_blanks: bool,
    /// Whether the input may grow beyond those.
    pub(super) open_end: bool,
    /// The checksum of the input up to the end of the buffer.
    pub(super) checksum: Hasher,
    /// The last bytes up to there.
    pub(super) last: Vec<u8>,
    pub(super) buffer: Vec<u8>,
    pub(super) head: usize,
    pub(super) tail: usize,
    /// Where the buffer's first byte lies in the input.
    pub(super) offset: u64,
    /// The line of `head`, from 1; 0 if unknown.
    pub(super) line: u64,
    pub(super) tokens: Reader,
    /// Whether `tokens` has to be reset before the next record.
    pub(super) stale: bool,
    pub(super) cells: Vec<u8>,
    pub(super) decoded: Vec<u8>,
    pub(super) ends: Vec<usize>,
    pub(super) span: RecordSpan,
    /// What may end a cell of a line without quotes.
    pub(super) stops: CellEnds,
    /// Records to pass before the next one is looked at as such a line, and how many that will be after the next that is none.
    pub(super) plain_left: u32,
    pub(super) plain_pause: u32,
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
            form: FileForm::default(),
            encoding: None,
            comment: None,
            remaining,
            keeps_blanks: false,
            open_end: false,
            checksum: Hasher::new(),
            last: Vec::new(),
            buffer: vec![0; READ_CHUNK_BYTES],
            head: 0,
            tail: 0,
            offset: at,
            line,
            tokens: dialect.reader(),
            stale: true,
            cells: vec![0; 4096],
            decoded: Vec::new(),
            ends: vec![0; 64],
            span: RecordSpan::default(),
            stops: dialect.cell_ends(),
            plain_left: 0,
            plain_pause: 0,
        }
    }

    /// Goes to the next line, whatever it holds, as a record without cells.
    pub(super) fn next_line(&mut self) -> io::Result<ReadOutcome> {
        loop {
            if self.head == self.tail && self.remaining == 0 {
                return Ok(if self.open_end { ReadOutcome::Torn } else { ReadOutcome::End });
            }
            match self.line_from_head() {
                Tokenised::Complete(bytes) => {
                    let (start, line) = (self.head, self.line);
                    self.head += bytes;
                    let has_end = matches!(self.buffer[start..self.head].last(), Some(b'\n' | b'\r'));
                    self.line += u64::from(line > 0 && has_end);
                    self.stale = true;
                    let end = self.end_of_record(start);
                    self.span = RecordSpan { start, end, line, ..RecordSpan::default() };
                    return Ok(ReadOutcome::Record);
                }
                Tokenised::Incomplete if self.tail - self.head <= RECORD_BYTES_MAX => self.fill()?,
                Tokenised::Incomplete => return Ok(ReadOutcome::TooLong),
                Tokenised::Torn => return Ok(ReadOutcome::Torn),
            }
        }
    }

    /// The length of the line at `head`, with its end.
    fn line_from_head(&self) -> Tokenised {
        let rest = &self.buffer[self.head..self.tail];
        match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) if rest[end] == b'\n' => Tokenised::Complete(end + 1),
            Some(end) if rest.get(end + 1) == Some(&b'\n') => Tokenised::Complete(end + 2),
            Some(end) if end + 1 < rest.len() || self.remaining == 0 => Tokenised::Complete(end + 1),
            _ if self.remaining > 0 => Tokenised::Incomplete,
            _ if self.open_end => Tokenised::Torn,
            _ => Tokenised::Complete(rest.len()),
        }
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
            let is_comment =
                self.comment.as_ref().is_some_and(|start| self.buffer[self.head..self.tail].starts_with(start));
            match if is_comment { self.line_from_head() } else { self.tokenise() } {
                Tokenised::Complete(bytes) if is_comment && bytes <= RECORD_BYTES_MAX => {
                    // Its end is counted where line ends are skipped.
                    let start = self.head;
                    self.head += bytes;
                    self.head = self.end_of_record(start);
                    self.stale = true;
                }
                Tokenised::Complete(bytes) if bytes <= RECORD_BYTES_MAX => {
                    let (start, line) = (self.head, self.line);
                    self.head += bytes;
                    self.advance_line(start);
                    if !self.is_blank() || self.keeps_blanks {
                        let end = self.end_of_record(start);
                        self.span = RecordSpan { start, end, line, ..self.span };
                        if let Some(encoding) = self.encoding {
                            self.decode_cells(encoding);
                        }
                        return Ok(ReadOutcome::Record);
                    }
                }
                Tokenised::Incomplete if self.tail - self.head <= RECORD_BYTES_MAX => {
                    self.fill()?;
                    return Ok(ReadOutcome::Read);
                }
                Tokenised::Torn if self.tail - self.head <= RECORD_BYTES_MAX => return Ok(ReadOutcome::Torn),
                Tokenised::Complete(_) | Tokenised::Incomplete | Tokenised::Torn => {
                    let (at, line) = (self.head, self.line);
                    self.span = RecordSpan { start: at, end: at, line, ..RecordSpan::default() };
                    self.reject_first_line(RECORD_BYTES_MAX);
                    return Ok(ReadOutcome::TooLong);
                }
            }
        }
    }

    /// Goes to the next record where that is a line without quotes, and reads its numbers into the columns. `false` where it is to be
    /// read by [`next`](Self::next): then nothing has moved, but some numbers may stand in the columns.
    #[inline]
    pub(super) fn next_plain(
        &mut self,
        numbers: &[Option<usize>],
        reader: &NumberReader,
        columns: &mut [ColumnBuilder],
    ) -> bool {
        if self.plain_left > 0 {
            self.plain_left -= 1;
            return false;
        }
        let bytes = &self.buffer[self.head..self.tail];
        let parts = CellParts { numbers, reader, stops: &self.stops };
        if self.ends.len() < numbers.len() {
            self.ends.resize(numbers.len(), 0);
        }
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r') || *byte == self.dialect.delimiter;
        let is_other =
            bytes.first().is_none_or(is_blank) || self.comment.as_ref().is_some_and(|c| bytes.starts_with(c));
        let found = if is_other { None } else { plain_line(bytes, self.dialect, parts, columns, &mut self.ends) };
        let Some(PlainLine { text, bytes, is_ascii }) = found else {
            self.plain_left = self.plain_pause;
            self.plain_pause = (2 * self.plain_pause + 1).min(PLAIN_PAUSE_MAX);
            return false;
        };
        if bytes > RECORD_BYTES_MAX || (self.encoding.is_some() && !is_ascii) {
            return false;
        }
        self.plain_pause = self.plain_pause.saturating_sub(1);
        let (start, line, columns) = (self.head, self.line, numbers.len());
        self.span = RecordSpan { start, end: start + text, line, columns, written: text + 1 - columns, is_plain: true };
        self.head += bytes;
        self.line += u64::from(line > 0);
        true
    }

    /// The byte where the next record or the blank lines before it start.
    pub(super) fn position(&self) -> u64 {
        self.offset + self.head as u64
    }

    /// The line of [`position`](Self::position).
    pub(super) fn line(&self) -> u64 {
        self.line
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
        self.span.is_plain = false;
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
        (self.span.columns, self.span.written) = (cells, if cells == 0 { 0 } else { self.ends[cells - 1] });
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

    /// Turns the cells of the last record into UTF-8.
    fn decode_cells(&mut self, encoding: &'static Encoding) {
        if !self.raw().is_ascii() {
            decode_cells(encoding, &mut self.cells, &mut self.ends[..self.span.columns], &mut self.decoded);
        }
    }

    /// Whether all cells are blank.
    fn is_blank(&self) -> bool {
        self.cells[..self.span.written].iter().all(|byte| matches!(byte, b' ' | b'\t'))
    }
}
