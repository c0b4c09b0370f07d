//! Headers inside of a file that name other columns than the one before: a logger that was started again, files that were joined.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::{Error, Result};

use super::cell_text::is_value;
use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use super::file_head::{Head, name_in, next};
use super::file_reading::FileReading;
use super::file_text::FileText;
use super::input_files::InputFile;
use super::line_counter;
use super::records::{ReadOutcome, Records};

/// Headers inside of one file that name other columns than the one before: a logger that is started again each day writes so many in
/// three years. They are listed in the state of the split.
const HEADERS_MAX: usize = 1_000;

/// A header by which reading goes on.
pub(super) struct HeaderAgain {
    pub(super) head: Head,
    pub(super) columns: Arc<[String]>,
    pub(super) plan: ColumnPlan,
}

impl Head {
    /// Whether the last record, which is no row, is a header other than this one.
    #[cold]
    pub(super) fn names_anew(&self, records: &Records<FileText>, config: &CsvSourceConfig) -> bool {
        let Some(names) = &self.names else { return false };
        let time = config.timestamp.names();
        if !config.columns.is_empty() || time.is_empty() {
            return false;
        }
        let cells = (0..records.columns()).map(|column| String::from_utf8_lossy(records.cell(column)));
        let cells: Vec<String> = cells.map(|cell| name_in(&cell).to_owned()).collect();
        let count = |name: &str| {
            let is = |cell: &&String| config.rename.get(*cell).unwrap_or(cell) == name;
            cells.iter().filter(is).count()
        };
        if time.iter().any(|name| count(name) != 1) {
            return false;
        }
        let known: BTreeSet<&str> = names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let is_name = |cell: &String| cell.is_empty() || known.contains(cell.as_str()) || !is_value(cell);
        let has_all = config.is_declared() && config.wanted().into_iter().all(|name| count(name) == 1);
        (has_all && cells.iter().all(is_name)) || self.is_mostly_named(names, &cells, &known)
    }

    /// Whether the last record holds the names of the columns in other letters, as where another program went on writing.
    #[cold]
    pub(super) fn repeats_in_other_letters(&self, records: &Records<FileText>) -> bool {
        let Some(names) = &self.names else { return false };
        let is = |(column, name): (usize, &String)| {
            let cell = String::from_utf8_lossy(records.cell(column));
            name_in(&cell).to_lowercase() == name.to_lowercase()
        };
        records.columns() == names.len() && names.iter().enumerate().all(is)
    }

    /// Whether most cells are names, of which one stands elsewhere or is new, and rows behind them may be taken for those of this header.
    /// Behind a header that is narrower no row would fit, which is told of each.
    fn is_mostly_named(&self, names: &[String], cells: &[String], known: &BTreeSet<&str>) -> bool {
        let is_known = |cell: &String| known.contains(cell.as_str());
        let filled = || cells.iter().filter(|cell| !cell.is_empty());
        let named = filled().filter(|cell| is_known(cell)).count();
        let other = |(cell, name): (&String, &String)| {
            !name.is_empty() && cell != name && (is_known(cell) || cell.starts_with(char::is_alphabetic))
        };
        let differs = match cells.len().cmp(&names.len()) {
            Ordering::Equal => cells.iter().zip(names).any(other),
            Ordering::Less => {
                self.last_name.is_some_and(|last| cells.len() > last) && cells.iter().zip(names).any(other)
            }
            // Not the end of a row that was cut off, with a header behind it.
            Ordering::Greater => {
                let distinct: BTreeSet<&String> = filled().collect();
                cells.first().is_some_and(is_known) && distinct.len() == filled().count()
            }
        };
        named > 1 && 2 * named > filled().count() && differs
    }
}

impl FileReading {
    /// The header by which what stands behind the last record is read, which is that header.
    ///
    /// # Errors
    /// Where only `fields` would say what is wanted of it, or where it lacks something.
    #[cold]
    pub(super) fn header_again(
        &self,
        head: &Head,
        records: &Records<FileText>,
        span: &InputFile,
    ) -> Result<HeaderAgain> {
        let place = match records.record_line() {
            0 => format!("{}, byte {}", span.name, records.record_at()),
            line => format!("{}:{line}", span.name),
        };
        if !self.config.is_declared() {
            let message = format!(
                "a header comes again with its columns in another order, or with others, than in line {}",
                head.line
            );
            return Err(Error::config(message).at(place).help(
                "with `fields`, what follows a header is read by it, whatever the order of its columns and whatever others it \
                 has",
            ));
        }
        if span.headers.len() >= HEADERS_MAX {
            let message = format!("headers with other columns than before come more than {HEADERS_MAX} times");
            return Err(Error::config(message).at(place).help("split the file: one for each of its headers is enough"));
        }
        let head = head.begun_again(&self.rules, records, span)?;
        let columns: Arc<[String]> = head.names.as_deref().unwrap_or_default().into();
        self.numbered().check(&columns, &place)?;
        let plan = self.plan(&columns).map_err(|error| error.at(place))?;
        let plan = ColumnPlan { ends_with_delimiter: head.ends_with_delimiter, ..plan };
        Ok(HeaderAgain { head, columns, plan })
    }

    /// The same for one that was read before, at a byte of an open file, and which lines behind it stand before another byte.
    pub(super) fn header_at(
        &self,
        (file, span): (&Arc<File>, &InputFile),
        head: &Head,
        header: u64,
        byte: u64,
    ) -> Result<HeaderAgain> {
        let line = line_counter::line_of(span, header).unwrap_or(0);
        let mut records = self.rules.records(file, span, header, line)?;
        let lost = || Error::new(format!("the header at byte {header} of {} is there no more", span.name));
        match next(&mut records, span)? {
            ReadOutcome::Record => {}
            _ => return Err(lost()),
        }
        let mut again = self.header_again(head, &records, &InputFile { headers: Vec::new(), ..span.clone() })?;
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        while again.head.lines_to_skip > 0 && records.position() < byte {
            match again.head.next(&mut records).map_err(failed)? {
                ReadOutcome::Read => {}
                _ => break,
            }
        }
        Ok(again)
    }
}
