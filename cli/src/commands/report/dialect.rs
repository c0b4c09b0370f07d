//! The first lines of a file that aqpipe wrote.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use aqpipe_engine::{Error, Result};

/// Bytes of a file that are looked at: some hundred records.
const HEAD_BYTES_MAX: u64 = 256 << 10;
/// The column that every file has, and the first.
const TIMESTAMP: &str = "timestamp";

/// The head of a file.
#[derive(Debug)]
pub(super) struct Head {
    /// The character between cells.
    pub(super) delimiter: u8,
    /// The names of the columns.
    pub(super) columns: Vec<String>,
    /// The first records.
    pub(super) sample: Vec<Vec<String>>,
}

impl Head {
    /// Reads it; `None` where the file is empty.
    ///
    /// # Errors
    /// Where it cannot be read, or is no file that aqpipe wrote.
    pub(super) fn read(path: &Path) -> Result<Option<Head>> {
        let unreadable = |error| Error::new(format!("cannot read {}", path.display())).because(error);
        let file = File::open(path).map_err(unreadable)?;
        let mut head = Vec::new();
        BufReader::new(file.take(HEAD_BYTES_MAX)).read_to_end(&mut head).map_err(unreadable)?;
        let mut first = Vec::new();
        head.as_slice().read_until(b'\n', &mut first).map_err(unreadable)?;
        if first.trim_ascii().is_empty() {
            return Ok(None);
        }
        let foreign = || {
            Error::config(format!(
                "{} is no file that aqpipe wrote: its first column is not `timestamp`",
                path.display()
            ))
            .help(
                "a report is made of what a pipeline wrote: run the pipeline that reads this file, and give its output",
            )
        };
        let rest = first.strip_prefix(TIMESTAMP.as_bytes()).ok_or_else(foreign)?;
        let delimiter = match rest.first() {
            Some(b'\r' | b'\n') | None => b',',
            Some(other) if other.is_ascii_punctuation() || matches!(other, b'\t' | b' ') => *other,
            Some(_) => return Err(foreign()),
        };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(&*head);
        // The last record of the head may be cut.
        let mut records: Vec<Vec<String>> = reader
            .byte_records()
            .map_while(std::result::Result::ok)
            .map(|record| record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect())
            .collect();
        if head.len() as u64 >= HEAD_BYTES_MAX && records.len() > 2 {
            records.pop();
        }
        let sample = records.split_off(1.min(records.len()));
        Ok(Some(Head { delimiter, columns: records.pop().unwrap_or_default(), sample }))
    }

    /// The instant of the first record, in seconds since 1970, to read files in the order of time.
    pub(super) fn first_second(&self) -> Option<i64> {
        let text = self.sample.first()?.first()?;
        text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
    }

    /// Whether what is known of a column's cells are numbers.
    pub(super) fn is_numeric(&self, column: usize) -> bool {
        let cells = self.sample.iter().filter_map(|record| record.get(column)).filter(|cell| !cell.is_empty());
        cells.clone().next().is_some() && cells.clone().all(|cell| cell.parse::<f64>().is_ok())
    }
}
