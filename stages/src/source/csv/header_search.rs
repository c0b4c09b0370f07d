//! The line that names the columns, where it is not the expected one.

use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::Error;

use super::cell_text::seem_record;
use super::file_head::{Head, HeadRules};
use super::file_reading::{COMMENT_MARKS, FileReading};
use super::input_files::InputFile;
use super::records::ReadOutcome;

/// Records behind a header that is not the right one, among which the right one is looked for.
const HEADER_SEARCH_RECORDS_MAX: u64 = 100;

impl FileReading {
    /// Whether each file is read by its own header.
    pub(super) fn is_by_name(&self) -> bool {
        self.config.is_declared() && self.config.columns.is_empty()
    }

    /// The rules for a file of which the line that names the columns does not stand where it does in the first file: it is the one that
    /// has all names that are wanted.
    pub(super) fn rules_of_another_head(&self, head: Option<&Head>, span: &InputFile) -> Option<HeadRules> {
        self.first.as_ref().filter(|(first, _)| *first != span.name && self.is_by_name())?;
        // A line that names the time is a header, though it lacks others: rows follow it.
        if head.and_then(|head| head.names.as_ref()).is_some_and(|names| self.has_wanted(names) || self.has_time(names))
        {
            return None;
        }
        // A file may also be shorter than what stands before the header of the first one.
        let (line, is_behind_records) = self.better_header(head.map_or(0, |head| head.line), span)?;
        if is_behind_records {
            return None;
        }
        Some(self.rules.with_skipped(u32::try_from(line - 1).ok()?))
    }

    /// Whether all columns that are asked for are among these names of a file.
    fn has_wanted<S: AsRef<str>>(&self, names: &[S]) -> bool {
        self.config.wanted().into_iter().all(|name| self.has(names, name))
    }

    /// Whether a column of the time is among these names of a file.
    fn has_time(&self, names: &[String]) -> bool {
        self.config.timestamp.names().into_iter().any(|name| self.has(names, name))
    }

    fn has<S: AsRef<str>>(&self, names: &[S], name: &str) -> bool {
        let meant = |cell: &S| self.config.rename.get(cell.as_ref()).map_or(cell.as_ref(), String::as_str) == name;
        names.iter().any(meant)
    }

    /// An error about a header, with the option that would find the right one.
    #[cold]
    pub(super) fn with_better_header(&self, error: Error, head: &Head, span: &InputFile) -> Error {
        let first = head.names.iter().flatten().next().map_or("", String::as_str);
        if let Some(mark) = COMMENT_MARKS.into_iter().find(|mark| first.starts_with(mark)) {
            return error.help(format!("if such a line is a comment, set comment = \"{mark}\""));
        }
        let place = format!("{}:{}", span.name, head.line);
        let names_time = head.names.as_ref().is_some_and(|names| self.has_time(names));
        if let Some((line, false)) = self.better_header(head.line, span).filter(|_| !names_time) {
            let help = match &self.first {
                Some((first, line)) if *first != span.name => {
                    format!(
                        "the names stand in line {line} of {first}: with `fields`, and without `columns`, they are looked for in \
                         each file"
                    )
                }
                _ => format!("set skip_lines = {}: line {line} names them", line - 1),
            };
            return Error::config("this is not the line that names the columns").at(place).help(help);
        }
        let names = head.names.as_deref().unwrap_or_default();
        match self.config.columns.is_empty() {
            // Its line is one with names, or a record: `columns` says what they are.
            false => {
                let lines = head.end.max(head.line + 1) - 1 - u64::from(self.is_record(names));
                error.help(format!("leave `header` out and set skip_lines = {lines}: rows are read by `columns`"))
            }
            true if seem_record(names.iter().map(String::as_str)) => error.help(format!(
                "this line seems to be a record: a file without a header is read with `columns`, a name for each of its {} \
                 columns",
                names.len()
            )),
            true => error,
        }
    }

    /// The line of a file that names the columns, where that is not the one of its head, and whether a record seems to stand before it.
    fn better_header(&self, not: u64, span: &InputFile) -> Option<(u64, bool)> {
        let file = File::open(&span.name).ok()?;
        let mut records = self.rules.records(&Arc::new(file), span, 0, 1).ok()?;
        records.skip_bom().ok()?;
        let mut is_behind_records = false;
        for _ in 0..HEADER_SEARCH_RECORDS_MAX {
            match records.next() {
                Ok(ReadOutcome::Record) => {}
                Ok(ReadOutcome::Read) => continue,
                _ => break,
            }
            let cells = (0..records.columns()).map(|column| String::from_utf8_lossy(records.cell(column)));
            let cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
            let is_right = match self.config.columns.len() {
                0 => self.has_wanted(&cells),
                columns => cells.len() == columns && !self.is_record(&cells),
            };
            if is_right && records.record_line() != not {
                return Some((records.record_line(), is_behind_records)).filter(|(line, _)| *line > 0);
            }
            is_behind_records |= cells.len() > 1 && seem_record(cells.iter().map(String::as_str));
        }
        None
    }

    /// Whether cells are a record of `columns`: their time begins with a digit.
    fn is_record(&self, cells: &[String]) -> bool {
        let times = self.config.timestamp.names();
        let named = self.config.columns.iter().zip(cells);
        let mut of_time =
            named.filter(|(name, _)| times.contains(&self.config.rename.get(*name).unwrap_or(name).as_str()));
        of_time.any(|(_, cell)| cell.starts_with(|c: char| c.is_ascii_digit()))
    }
}
