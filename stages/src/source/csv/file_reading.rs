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
use super::records::Records;
use crate::reading::FlagSource;

/// Names of columns in a message: more are not read there.
const COLUMNS_NAMED_MAX: usize = 24;

/// What comments begin with, mostly.
pub(super) const COMMENT_MARKS: [&str; 3] = ["#", "//", "%"];

/// How files are read, and into which columns.
#[derive(Clone)]
pub(super) struct FileReading {
    pub(super) config: Arc<CsvSourceConfig>,
    numeric: Arc<BTreeSet<String>>,
    pub(super) rules: HeadRules,
    /// The first file of which the header was read, and the line in which it stands.
    pub(super) first: Option<(String, u64)>,
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
        FileReading { config, numeric, rules, first: None, expected: None, numbered: NumberedFlags::default() }
    }

    /// The header of each further file must be this one, unless `fields` says what is wanted, wherever it stands.
    pub(super) fn expect(&mut self, span: &InputFile, head: &Head) {
        let by_name = self.is_by_name();
        if head.names.is_some() {
            self.first.get_or_insert_with(|| (span.name.clone(), head.line));
        }
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
        let mut opened = self.rules.open(file, span, may_grow)?;
        if let Some(rules) = self.rules_of_another_head(opened.as_ref().map(|(_, head)| head), span) {
            opened = rules.open(file, span, may_grow)?;
            opened.iter_mut().for_each(|(_, head)| head.is_elsewhere = true);
        }
        let Some((mut records, mut head)) = opened else { return Ok(None) };
        if let (Some(names), true) = (&head.names, self.config.columns.is_empty()) {
            head.ends_with_delimiter = self.rules.end_with_delimiter((file, span), &mut records, names.len())?;
        }
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
        let ends_with_delimiter = head.ends_with_delimiter;
        let plan = self.plan(columns).map(|plan| ColumnPlan { ends_with_delimiter, ..plan });
        plan.map_err(|error| match head.names {
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
    pub(super) fn raw_schema(&self, columns: &[String], span: &InputFile, ends_with_delimiter: bool) -> RawSchema {
        RawSchema::of(columns, &self.config, span.form.encoding).ending_with_delimiter(ends_with_delimiter)
    }

    /// The raw schema of the rows behind the header at a byte, or the first one, of a file that is not open; nothing where the file
    /// is gone.
    pub(super) fn read_raw_schema(&self, span: &InputFile, header: u64) -> Option<RawSchema> {
        let file = Arc::new(File::open(&span.name).ok()?);
        let opened = self.open(&file, span, false).ok()??;
        let ends_with_delimiter = opened.head.ends_with_delimiter;
        let columns = match header {
            0 => opened.columns,
            header => self.header_at((&file, span), &opened.head, header, header).ok()?.columns,
        };
        Some(self.raw_schema(&columns, span, ends_with_delimiter))
    }

    /// The option that would pass over a line which is no record: it looks like a comment, or stands behind the header and has
    /// no time.
    #[cold]
    pub(super) fn option_for(&self, line: &[u8], is_units: bool) -> String {
        let mark = COMMENT_MARKS.into_iter().find(|mark| line.starts_with(mark.as_bytes()));
        if let (Some(mark), None) = (mark, &self.config.comment) {
            return format!(". If such lines are comments, set comment = \"{mark}\"");
        }
        match (is_units, self.config.has_header()) {
            (true, true) => {
                format!(". If it is a line of units, set skip_after_header = {}", self.config.skip_after_header + 1)
            }
            // Where a line is passed over, the second of them is one more line.
            (true, false) if self.config.skip_lines == 0 => {
                ". If this line names the columns, set header = true".to_owned()
            }
            (true, false) => format!(". If it is no record, set skip_lines = {}", self.config.skip_lines + 1),
            (false, _) => String::new(),
        }
    }

    /// The options by which rows are read that have a cell before those which the header names.
    #[cold]
    pub(super) fn columns_for(&self, head: &Head, is_shifted: bool) -> String {
        let Some(names) = head.names.as_ref().filter(|_| is_shifted && self.config.columns.is_empty()) else {
            return String::new();
        };
        if names.len() > COLUMNS_NAMED_MAX || head.line == 0 {
            return " `columns`, with \"\" as the first name, and `skip_lines` read such rows".to_owned();
        }
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        let lines = head.end.max(head.line + 1) - 1;
        let without = if self.config.skip_after_header > 0 { ", without `skip_after_header`" } else { "" };
        format!(" Set columns = [\"\", {}] and skip_lines = {lines}{without}", names.join(", "))
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
