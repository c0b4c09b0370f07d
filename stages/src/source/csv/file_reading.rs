//! How the files of a source are read: each by its own header.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::file_head::{Head, HeadRules};
use super::file_text::FileText;
use super::input_files::InputFile;
use super::numbered_flags::NumberedFlags;
use super::raw_schema::RawSchema;
use super::records::{ReadOutcome, Records};
use crate::reading::FlagSource;

/// Records behind a header that is not the right one, among which the right one is looked for.
const HEADER_SEARCH_RECORDS_MAX: u64 = 40;

/// What comments begin with, mostly.
const COMMENT_MARKS: [&str; 3] = ["#", "//", "%"];

/// How files are read, and into which columns.
#[derive(Clone)]
pub(super) struct FileReading {
    pub(super) config: Arc<CsvSourceConfig>,
    numeric: Arc<BTreeSet<String>>,
    pub(super) rules: HeadRules,
    /// The first file and the names in its header, which all others have where it is not `fields` that says what is wanted.
    expected: Option<(String, Arc<[String]>)>,
    /// What the columns are in the first file that are given by their numbers.
    numbered: NumberedFlags,
}

/// A file of which the head was read.
pub(super) struct OpenedFile {
    pub(super) records: Records<FileText>,
    pub(super) head: Head,
    /// The names of its columns.
    pub(super) columns: Arc<[String]>,
}

impl FileReading {
    pub(super) fn new(config: Arc<CsvSourceConfig>, numeric: Arc<BTreeSet<String>>) -> FileReading {
        let rules = HeadRules::of(&config);
        FileReading { config, numeric, rules, expected: None, numbered: NumberedFlags::default() }
    }

    /// The header of each further file must be this one, unless `fields` says what is wanted, wherever it stands.
    pub(super) fn expect(&mut self, span: &InputFile, head: &Head) {
        let by_name = self.config.is_declared() && self.config.columns.is_empty();
        if let (false, None, Some(names)) = (by_name, &self.expected, &head.names) {
            self.expected = Some((span.name.clone(), names.as_slice().into()));
        }
        if let (true, Some(names)) = (by_name, &head.names) {
            self.numbered.expect(&self.config, span, names);
        }
    }

    /// Reads the head of an open file; nothing where the file may grow and that is not whole yet.
    ///
    /// # Errors
    /// Where its columns are not those that are expected.
    pub(super) fn open(&self, file: &Arc<File>, span: &InputFile, may_grow: bool) -> Result<Option<OpenedFile>> {
        let Some((records, head)) = self.rules.open(file, span, may_grow)? else { return Ok(None) };
        let columns: Arc<[String]> = match (&head.names, self.config.columns.is_empty()) {
            (Some(names), true) => names.as_slice().into(),
            (Some(names), false) if names.len() != self.config.columns.len() => {
                let (has, wants) = (names.len(), self.config.columns.len());
                let message = format!("the header has {has} columns and `columns` names {wants}");
                let error = Error::config(message).at(format!("{}:{}", span.name, head.line));
                return Err(self.with_better_header(error, &head, span));
            }
            _ => self.config.columns.as_slice().into(),
        };
        if let (Some((first, expected)), Some(names)) = (&self.expected, &head.names) {
            check_same(names, expected, span, first)?;
        }
        if let Some(names) = &head.names {
            self.numbered.check(names, &format!("{}:{}", span.name, head.line))?;
        }
        Ok(Some(OpenedFile { records, head, columns }))
    }

    /// The part that each column has.
    ///
    /// # Errors
    /// Where a column that the configuration names is not there, or is there twice.
    pub(super) fn plan(&self, columns: &[String]) -> Result<ColumnPlan> {
        ColumnPlan::new(columns, &self.config, &self.numeric)
    }

    /// The same for a file, with the place of its header in errors.
    pub(super) fn plan_of(&self, opened: &OpenedFile, span: &InputFile) -> Result<ColumnPlan> {
        let OpenedFile { head, columns, .. } = opened;
        self.plan(columns).map_err(|error| match head.names {
            Some(_) => {
                let error = error.at(format!("{}:{}", span.name, head.line));
                self.with_better_header(error, head, span)
            }
            None => error,
        })
    }

    /// The plan of files that are still to come.
    pub(super) fn plan_without_files(&self) -> Result<ColumnPlan> {
        if !self.config.columns.is_empty() {
            return self.plan(&self.config.columns);
        }
        let mut columns: Vec<String> = Vec::new();
        for name in self.config.wanted() {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
        let numbers = self.config.flags.values().filter_map(|flags| match flags.column {
            FlagSource::Number(number) => Some(number as usize),
            FlagSource::Name(_) => None,
        });
        let count = numbers.max().unwrap_or(0).max(columns.len());
        columns.resize(count, String::new());
        self.plan(&columns)
    }

    /// What the columns are that are given by their numbers.
    pub(super) fn numbered(&self) -> &NumberedFlags {
        &self.numbered
    }

    /// What dead letters keep to decode their rows again.
    pub(super) fn raw_schema(&self, columns: &[String], span: &InputFile) -> RawSchema {
        RawSchema::of(columns, &self.config, span.form.encoding)
    }

    /// The raw schema of the rows behind the header at a byte, or the first one, of a file that is not open; nothing where the file
    /// is gone.
    pub(super) fn read_raw_schema(&self, span: &InputFile, header: u64) -> Option<RawSchema> {
        let file = Arc::new(File::open(&span.name).ok()?);
        let opened = self.open(&file, span, false).ok()??;
        let columns = match header {
            0 => opened.columns,
            header => self.header_at((&file, span), &opened.head, header, header).ok()?.columns,
        };
        Some(self.raw_schema(&columns, span))
    }

    /// The option that would pass over a line which is no record: it looks like a comment, or stands behind the header and has
    /// no time.
    #[cold]
    pub(super) fn option_for(&self, line: &[u8], is_units: bool) -> String {
        let mark = COMMENT_MARKS.into_iter().find(|mark| line.starts_with(mark.as_bytes()));
        if let (Some(mark), None) = (mark, &self.config.comment) {
            return format!(". If such lines are comments, set comment = \"{mark}\"");
        }
        match is_units && self.config.has_header() {
            true => {
                format!(". If it is a line of units, set skip_after_header = {}", self.config.skip_after_header + 1)
            }
            false => String::new(),
        }
    }

    /// An error about a header, with the option that would find the right one.
    #[cold]
    fn with_better_header(&self, error: Error, head: &Head, span: &InputFile) -> Error {
        let first = head.names.iter().flatten().next().map_or("", String::as_str);
        if let Some(mark) = COMMENT_MARKS.into_iter().find(|mark| first.starts_with(mark)) {
            return error.help(format!("if such a line is a comment, set comment = \"{mark}\""));
        }
        let Ok(file) = File::open(&span.name) else { return error };
        let Ok(mut records) = self.rules.records(&Arc::new(file), span, 0, 1) else { return error };
        if records.skip_bom().is_err() {
            return error;
        }
        let wanted = self.config.wanted();
        for _ in 0..HEADER_SEARCH_RECORDS_MAX {
            match records.next() {
                Ok(ReadOutcome::Record) => {}
                Ok(ReadOutcome::Read) => continue,
                _ => break,
            }
            let cells: Vec<_> =
                (0..records.columns()).map(|column| String::from_utf8_lossy(records.cell(column))).collect();
            let names = |cell: &str| self.config.rename.get(cell).map_or(cell, String::as_str).to_owned();
            let cells: Vec<String> = cells.iter().map(|cell| names(cell.trim())).collect();
            let is_right = match self.config.columns.len() {
                0 => wanted.iter().all(|name| cells.iter().any(|cell| cell == name)),
                columns => cells.len() == columns,
            };
            if is_right && records.record_line() != head.line {
                let lines = records.record_line().saturating_sub(1);
                let place = format!("{}:{}", span.name, head.line);
                return Error::config("this is not the line that names the columns")
                    .at(place)
                    .help(format!("set skip_lines = {lines}: line {} names them", lines + 1));
            }
        }
        error
    }
}

/// Checks that a file has the columns of the first one.
fn check_same(names: &[String], expected: &[String], span: &InputFile, first: &str) -> Result<()> {
    if names == expected {
        return Ok(());
    }
    let differs = names.iter().zip(expected).position(|(a, b)| a != b);
    let how = match differs {
        Some(column) => format!("column {} is `{}`, not `{}`", column + 1, names[column], expected[column]),
        None => format!("it has {} columns, not {}", names.len(), expected.len()),
    };
    Err(Error::config(format!("{} has other columns than {first}: {how}", span.name)).help(
        "with `fields`, and without `columns`, each file is read by its own header, whatever the order of its columns and \
         whatever others it has",
    ))
}
