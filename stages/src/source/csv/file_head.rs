//! The lines of a file before its records: its own identity, the names of its columns, their units.

use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::{Error, Result};

use super::cell_text::{ENCODING_HELP, not_in, seem_record};
use super::config::CsvSourceConfig;
use super::dialect::Dialect;
use super::file_text::FileText;
use super::input_files::{InputFile, UNKNOWN_LENGTH};
use super::record_input::BYTE_ORDER_MARK;
use super::records::{ReadOutcome, Records};

/// Lines before the records that are known again where they come again.
const HEAD_LINES_KEPT_MAX: usize = 16;
/// Bytes of such a line.
const HEAD_LINE_BYTES_MAX: usize = 64 << 10;
/// What spreadsheets are told the delimiter by, in a line of its own.
const SEPARATOR_LINE: &[u8] = b"sep=";

/// By which rules files are begun.
#[derive(Clone)]
pub(super) struct HeadRules {
    pub(super) dialect: Dialect,
    comment: Option<Arc<[u8]>>,
    skip_lines: u32,
    skip_after_header: u32,
    has_header: bool,
    /// Whether the decimal mark is the delimiter.
    pub(super) may_split_numbers: bool,
    /// Whether a file without a line is passed over: it is one of several.
    pub(super) may_be_empty: bool,
}

/// The lines of a file before its records.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The names of the columns, where the file has them.
    pub(super) names: Option<Vec<String>>,
    /// The last column that has a name.
    pub(super) last_name: Option<usize>,
    /// The line that names them; the first one of the records where none does.
    pub(super) line: u64,
    /// The line behind the head.
    pub(super) end: u64,
    /// Whether a line tells spreadsheets the delimiter.
    pub(super) has_separator_line: bool,
    /// The line that names the columns, as it is written.
    pub(super) header: Box<[u8]>,
    /// The others, as they are written.
    pub(super) lines: Vec<Box<[u8]>>,
    /// Whether it stands behind other lines than that of the first file.
    pub(super) is_elsewhere: bool,
    /// How many of those stand before the header.
    pub(super) lines_before: usize,
    /// Whether the rows end with a delimiter that the header lacks.
    pub(super) ends_with_delimiter: bool,
    /// Lines behind the header that are still to be passed over.
    pub(super) lines_to_skip: u32,
    /// The bytes by which one of them may begin that comes again: most records begin otherwise.
    starts: [u64; 4],
}

impl HeadRules {
    pub(super) fn of(config: &CsvSourceConfig) -> HeadRules {
        HeadRules {
            // `check` has accepted only ASCII characters.
            dialect: Dialect { delimiter: config.delimiter as u8, quote: config.quote.bytes().next() },
            comment: config.comment.as_ref().map(|comment| comment.as_bytes().into()),
            skip_lines: config.skip_lines,
            skip_after_header: config.skip_after_header,
            has_header: config.has_header(),
            may_split_numbers: config.decimal == config.delimiter,
            may_be_empty: false,
        }
    }

    /// The records of an open file from the byte `from` of its text on, on the line `line`.
    pub(super) fn records(
        &self,
        file: &Arc<File>,
        span: &InputFile,
        from: u64,
        line: u64,
    ) -> Result<Records<FileText>> {
        let text = FileText::open(file, span.form, span.stored, from).map_err(|e| unreadable(span, e))?;
        let left = if span.form.is_plain() { span.length.saturating_sub(from) } else { UNKNOWN_LENGTH };
        Ok(Records::new(text, self.dialect, from, left, line).of_form(span.form, self.comment.clone()))
    }

    /// The records of an open file behind its head, and the head; nothing where the file may grow and its head is not whole yet, or
    /// where it may be empty and is.
    ///
    /// # Errors
    /// Where the names of the columns are not there, or no text.
    pub(super) fn open(
        &self,
        file: &Arc<File>,
        span: &InputFile,
        may_grow: bool,
    ) -> Result<Option<(Records<FileText>, Head)>> {
        let mut records = self.records(file, span, 0, 1)?;
        if may_grow {
            records.open_end();
        }
        let failed = |e| unreadable(span, e);
        records.skip_bom().map_err(failed)?;
        let mut head = Head::default();
        for _ in 0..self.skip_lines {
            if !head.add_line(&mut records, span)? && may_grow {
                return Ok(None);
            }
        }
        if self.begins_with_separator_line(&mut records).map_err(failed)? {
            if !head.add_line(&mut records, span)? && may_grow {
                return Ok(None);
            }
            self.check_separator(records.raw(), span)?;
            head.has_separator_line = true;
        }
        head.line = records.line();
        head.lines_before = head.lines.len();
        if self.has_header {
            match next(&mut records, span)? {
                ReadOutcome::Record => {}
                ReadOutcome::End | ReadOutcome::Torn if may_grow => return Ok(None),
                ReadOutcome::End if self.may_be_empty => return Ok(None),
                ReadOutcome::End => return Err(empty(span)),
                _ => {
                    let message = format!("the first line of {} has no end, so it cannot be a header", span.name);
                    return Err(Error::config(message).help("is this a CSV file, and are its quotes closed?"));
                }
            }
            head.line = records.record_line();
            head.name(&records, span)?;
            for _ in 0..self.skip_after_header {
                if !head.add_line(&mut records, span)? && may_grow {
                    return Ok(None);
                }
            }
        }
        head.end = records.line();
        head.note_starts(self.dialect.quote);
        Ok(Some((records, head)))
    }

    /// The rules for a file whose header stands behind so many lines.
    pub(super) fn with_skipped(&self, lines: u32) -> HeadRules {
        HeadRules { skip_lines: lines, ..self.clone() }
    }

    fn begins_with_separator_line(&self, records: &mut Records<FileText>) -> std::io::Result<bool> {
        let quoted = [&[self.dialect.quote.unwrap_or(b'"')], SEPARATOR_LINE].concat();
        Ok(records.begins_with(SEPARATOR_LINE)? || records.begins_with(&quoted)?)
    }

    /// Checks what a line says that tells spreadsheets the delimiter.
    fn check_separator(&self, line: &[u8], span: &InputFile) -> Result<()> {
        let quote = self.dialect.quote.unwrap_or(b'"');
        let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != quote).collect();
        let told = String::from_utf8_lossy(line.get(SEPARATOR_LINE.len()..).unwrap_or_default());
        let delimiter = char::from(self.dialect.delimiter);
        match told.chars().next() {
            Some(told) if told != delimiter && told != ' ' => {
                let (told, is) = (told.escape_default(), delimiter.escape_default());
                let message =
                    format!("the file says that its columns are split by `{told}`, and `delimiter` is \"{is}\"");
                Err(Error::config(message).at(format!("{}:1", span.name)).help(format!("set delimiter = \"{told}\"")))
            }
            _ => Ok(()),
        }
    }
}

impl Head {
    /// Goes behind the next line; returns `false` where that is not whole.
    fn add_line(&mut self, records: &mut Records<FileText>, span: &InputFile) -> Result<bool> {
        match records.next_line().map_err(|e| unreadable(span, e))? {
            ReadOutcome::Record => self.keep(records.raw()),
            ReadOutcome::TooLong => {
                let message = format!("line {} of {} has no end", records.line(), span.name);
                return Err(Error::config(message).help("is this a CSV file?"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes the names of the columns from the last record.
    fn name(&mut self, records: &Records<FileText>, span: &InputFile) -> Result<()> {
        let names = names(records, span)?;
        self.last_name = names.iter().rposition(|name| !name.is_empty());
        self.names = Some(names);
        self.header = if records.raw().len() <= HEAD_LINE_BYTES_MAX { records.raw().into() } else { Box::default() };
        Ok(())
    }

    fn note_starts(&mut self, quote: Option<u8>) {
        let lines = self.lines.iter().filter_map(|line| line.first()).chain(self.header.first());
        let first_name = self.names.iter().flatten().next().and_then(|name| name.as_bytes().first());
        let starts = lines.chain(first_name).chain(&quote).chain(BYTE_ORDER_MARK.first()).chain(b" \t").copied();
        for start in starts.collect::<Vec<u8>>() {
            self.starts[usize::from(start >> 6)] |= 1 << (start & 63);
        }
    }

    fn keep(&mut self, line: &[u8]) {
        let is_blank = line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if self.lines.len() < HEAD_LINES_KEPT_MAX && line.len() <= HEAD_LINE_BYTES_MAX && !is_blank {
            self.lines.push(line.into());
        }
    }

    /// Goes to the next record. Lines that belong to the head are passed over first.
    #[inline]
    pub(super) fn next(&mut self, records: &mut Records<FileText>) -> std::io::Result<ReadOutcome> {
        if self.lines_to_skip > 0 { self.pass_over_line(records) } else { records.next() }
    }

    #[cold]
    fn pass_over_line(&mut self, records: &mut Records<FileText>) -> std::io::Result<ReadOutcome> {
        Ok(match records.next_line()? {
            // Where files were joined, the lines behind the header may have been left out.
            ReadOutcome::Record if seems_record(records.raw(), records.dialect.delimiter) => {
                records.unread();
                self.lines_to_skip = 0;
                ReadOutcome::Read
            }
            ReadOutcome::Record => {
                self.lines_to_skip -= 1;
                self.keep(records.raw());
                self.note_starts(None);
                ReadOutcome::Read
            }
            // It is no line of a head.
            ReadOutcome::TooLong => {
                self.lines_to_skip = 0;
                ReadOutcome::Read
            }
            other => other,
        })
    }

    /// The head of what stands behind the last record, which names the columns anew.
    pub(super) fn begun_again(&self, rules: &HeadRules, records: &Records<FileText>, span: &InputFile) -> Result<Head> {
        let mut head = Head {
            lines: self.lines.clone(),
            starts: self.starts,
            ends_with_delimiter: self.ends_with_delimiter,
            ..Head::default()
        };
        head.line = records.record_line();
        head.end = if head.line == 0 { 0 } else { records.line() + u64::from(rules.skip_after_header) };
        head.lines_to_skip = rules.skip_after_header;
        head.name(records, span)?;
        head.note_starts(rules.dialect.quote);
        Ok(head)
    }

    /// Whether the last record is a line of the head that comes again, as where files were joined or a logger was started again.
    #[inline]
    pub(super) fn repeats(&self, records: &Records<FileText>) -> bool {
        let raw = records.raw();
        raw.first().is_some_and(|first| self.starts[usize::from(first >> 6)] >> (first & 63) & 1 == 1)
            && self.is_line_again(records)
    }

    fn is_line_again(&self, records: &Records<FileText>) -> bool {
        let raw = records.raw();
        let known = || self.lines.iter().chain([&self.header]);
        let same = |line: &[u8]| known().any(|known| known.len() == line.len() && **known == *line);
        same(raw) || self.names_again(records) || raw.strip_prefix(BYTE_ORDER_MARK).is_some_and(same)
    }

    /// Whether the last record holds the names of the columns, however they are quoted.
    fn names_again(&self, records: &Records<FileText>) -> bool {
        let Some(names) = &self.names else { return false };
        if records.columns() != names.len() {
            return false;
        }
        let is = |(column, name): (usize, &String)| {
            let cell = records.cell(column);
            let cell = if column == 0 { cell.strip_prefix(BYTE_ORDER_MARK).unwrap_or(cell) } else { cell };
            cell.trim_ascii() == name.as_bytes()
        };
        // The last name first: in most records that cell is a number.
        self.last_name.is_some_and(|last| is((last, &names[last]))) && names.iter().enumerate().all(is)
    }
}

/// The next record, or what is there in its place.
pub(super) fn next(records: &mut Records<FileText>, span: &InputFile) -> Result<ReadOutcome> {
    loop {
        match records.next().map_err(|e| unreadable(span, e))? {
            ReadOutcome::Read => {}
            other => return Ok(other),
        }
    }
}

fn names(records: &Records<FileText>, span: &InputFile) -> Result<Vec<String>> {
    let failed = |what: String| Error::config(what).at(format!("{}:{}", span.name, records.record_line()));
    if records.raw().contains(&0) {
        return Err(failed("the names of the columns have zero bytes between them".to_owned())
            .help("if it is UTF-16 without a mark of its byte order, set encoding = \"utf-16le\" or \"utf-16be\""));
    }
    let cells = (0..records.columns()).map(|column| std::str::from_utf8(records.cell(column)));
    let names: Result<Vec<&str>, _> = cells.collect();
    let names = names.map_err(|_| {
        failed(format!("the names of the columns are {}", not_in(span.form.encoding))).help(ENCODING_HELP)
    })?;
    Ok(names.into_iter().map(|name| name_in(name).to_owned()).collect())
}

/// The name in a cell of a header, which may have the mark of byte order before it where files were joined.
pub(super) fn name_in(cell: &str) -> &str {
    let name = cell.trim();
    match name.strip_prefix('\u{feff}') {
        // Behind the mark a quote begins no cell.
        Some(name) => name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).trim(),
        None => name,
    }
}

fn empty(span: &InputFile) -> Error {
    Error::config(format!("{} is empty: it has no line that names its columns", span.name))
        .help("a file without a header is read with `columns = [\"Date\", …]`, which name its columns instead")
}

pub(super) fn unreadable(span: &InputFile, cause: std::io::Error) -> Error {
    Error::new(format!("cannot read {}", span.name)).because(cause)
}

/// Whether a line seems to be a record.
fn seems_record(line: &[u8], delimiter: u8) -> bool {
    let text = String::from_utf8_lossy(line);
    seem_record(
        text.split(char::from(delimiter)).map(|cell| cell.trim_matches(|c: char| c == '"' || c.is_whitespace())),
    )
}
