//! The file that a split is reading.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::{Error, Result};

use super::file_head::Head;
use super::file_text::FileText;
use super::input_files::{InputFile, UNKNOWN_LENGTH};
use super::packing::Packing;
use super::prefix_checksum::{FileStamp, begins_with};
use super::record_input::LAST_BYTES;
use super::records::Records;
use super::torn_line::{self, TornLine};

/// Whether a byte of a file lies within a line: neither it nor the one before it ends one.
pub(super) fn is_in_line(file: &File, byte: u64) -> io::Result<bool> {
    let Some(before) = byte.checked_sub(1) else { return Ok(false) };
    let mut around = [0; 2];
    let read = file.read_at(&mut around, before)?;
    Ok(read == 2 && !around.iter().any(|byte| matches!(byte, b'\n' | b'\r')))
}

/// The last bytes of a file before a byte.
pub(super) fn last_before(file: &File, byte: u64) -> io::Result<Vec<u8>> {
    let mut last = vec![0; usize::try_from(byte).unwrap_or(LAST_BYTES).min(LAST_BYTES)];
    let begin = byte - last.len() as u64;
    file.read_exact_at(&mut last, begin)?;
    Ok(last)
}

/// The file that a split is reading.
pub(super) struct OpenFile {
    pub(super) records: Records<FileText>,
    pub(super) head: Head,
    pub(super) file: Arc<File>,
    /// Its length and times when it was opened.
    pub(super) stamp: FileStamp,
    /// The same when it was looked at last, at its end.
    looked: Option<FileStamp>,
    /// When it is to be checked again, once its last line was found torn.
    torn: Option<Instant>,
    /// Whether nobody writes to it any more.
    pub(super) is_finished: bool,
    /// Whether reading begins within a line, of which an earlier run read what was there.
    pub(super) begins_in_line: bool,
    /// Whether a record of it was read.
    pub(super) has_records: bool,
}

impl OpenFile {
    pub(super) fn new(records: Records<FileText>, head: Head, file: Arc<File>, stamp: FileStamp) -> OpenFile {
        OpenFile {
            records,
            head,
            file,
            stamp,
            looked: None,
            torn: None,
            is_finished: false,
            begins_in_line: false,
            has_records: false,
        }
    }

    /// Whether what comes next is no rest of a line, and no line behind a header.
    #[inline]
    pub(super) fn is_at_row(&self) -> bool {
        !self.begins_in_line && self.head.lines_to_skip == 0
    }

    /// What became of the torn last line, which is waited for until then at most. Where there is more of it, it is read on.
    pub(super) fn recheck(&mut self, span: &mut InputFile, until: Option<Instant>) -> io::Result<TornLine> {
        if span.form.packing != Packing::None {
            // Nobody adds to an archive in the middle.
            return Ok(TornLine::Unchanged);
        }
        let due = match self.torn {
            Some(due) => due,
            None => *self.torn.insert(torn_line::recheck_at(&self.file)?),
        };
        let is_plain = span.form.is_plain();
        let outcome = torn_line::recheck(&self.file, if is_plain { span.length } else { span.stored }, due, until)?;
        if let TornLine::Grown(length) = outcome {
            // Where a line of UTF-16 ends shows once it is read.
            self.extend(span, if is_plain { length } else { self.file.metadata()?.len() });
        }
        Ok(outcome)
    }

    /// Reads a file on that has grown to so many bytes.
    pub(super) fn extend(&mut self, span: &mut InputFile, stored: u64) {
        self.records.input_mut().extend_to(stored);
        if span.form.is_plain() {
            self.records.extend(stored - span.length);
            span.length = stored;
        } else {
            self.records.extend(UNKNOWN_LENGTH);
        }
        span.stored = span.stored.max(stored);
        self.torn = None;
    }

    /// Whether the file was emptied and written anew since it was looked at last: what was read of it is there no more. Beyond a plain
    /// text's last bytes nothing is read again.
    pub(super) fn was_begun_again(&mut self, span: &InputFile) -> io::Result<bool> {
        let now = FileStamp::of(&self.file)?;
        if self.looked.as_ref().is_some_and(|looked| looked.is_unchanged(&now)) {
            return Ok(false);
        }
        self.looked = Some(now);
        if !span.form.is_plain() {
            let (length, checksum) = self.records.checksum_so_far();
            return Ok(!begins_with(&self.file, span.form, length, checksum)?);
        }
        let (begin, last) = self.records.last_read();
        let mut there = vec![0; last.len()];
        match self.file.read_exact_at(&mut there, begin) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            read => read.map(|()| there != last),
        }
    }

    /// Checks that the file still holds what was read of it.
    pub(super) fn check_unchanged(&self, span: &InputFile) -> Result<()> {
        let name = &span.name;
        let failed = |e| Error::new(format!("cannot read {name}")).because(e);
        if self.stamp.is_unchanged(&FileStamp::of(&self.file).map_err(failed)?) {
            return Ok(());
        }
        let (length, checksum) = self.records.checksum_so_far();
        if begins_with(&self.file, span.form, length, checksum).map_err(failed)? {
            return Ok(());
        }
        Err(Error::new(format!("{name} was changed while it was read: what was read is a mixture of before and after"))
            .help("once it is what it should be, start from the beginning with `--fresh`"))
    }
}
