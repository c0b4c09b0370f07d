//! Rows that end with a delimiter which their header lacks.

use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::SAMPLE_RECORDS;

use super::file_head::{HeadRules, unreadable};
use super::file_text::FileText;
use super::input_files::InputFile;
use super::records::{ReadOutcome, Records};

/// Bytes of the records that are looked at.
const END_BYTES_MAX: u64 = 1 << 20;
/// Blank lines behind a head that are looked past.
const BLANK_LINES_MAX: usize = 10;

impl HeadRules {
    /// Whether all of the first records of a file behind its head have an empty cell behind those that the header names: what writes
    /// them puts a delimiter behind each cell. Rows are read so only where all are: a decimal comma without quotes splits some.
    pub(super) fn end_with_delimiter(
        &self,
        (file, span): (&Arc<File>, &InputFile),
        records: &mut Records<FileText>,
        names: usize,
    ) -> Result<bool> {
        let delimiter = self.dialect.delimiter;
        // Behind blank lines, of which a head has few.
        for left in (0..BLANK_LINES_MAX).rev() {
            match records.next_line().map_err(|e| unreadable(span, e))? {
                ReadOutcome::Record if left > 0 && records.raw().trim_ascii().is_empty() => {}
                ReadOutcome::Record => break,
                _ => return Ok(false),
            }
        }
        let may_end_so = records.raw().last() == Some(&delimiter);
        records.unread();
        if !may_end_so || self.may_split_numbers {
            return Ok(false);
        }
        let mut records = self.records(file, span, records.position(), records.line())?;
        records.open_end();
        let (mut left, begin) = (SAMPLE_RECORDS, records.position());
        while left > 0 && records.position() < begin.saturating_add(END_BYTES_MAX) {
            match records.next().map_err(|e| unreadable(span, e))? {
                ReadOutcome::Record if records.columns() != names + 1 => return Ok(false),
                ReadOutcome::Record if !records.cell(names).trim_ascii().is_empty() => return Ok(false),
                ReadOutcome::Record => left -= 1,
                ReadOutcome::Read => {}
                ReadOutcome::TooLong => return Ok(false),
                ReadOutcome::Torn | ReadOutcome::End => break,
            }
        }
        Ok(left < SAMPLE_RECORDS)
    }
}
