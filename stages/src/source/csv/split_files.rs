//! The files of a split: opened one after the other, and waited for where they grow.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::{Error, Result};

use super::growing_split::{AtEnd, PARTS_MAX};
use super::input_files::{InputFile, UNKNOWN_LENGTH};
use super::known_files::remember;
use super::line_counter;
use super::open_file::{self, OpenFile};
use super::packing::Packing;
use super::prefix_checksum::FileStamp;
use super::split::CsvSplitReader;

impl CsvSplitReader {
    /// Opens the current file; returns `false` after the last one.
    pub(super) fn open_file(&mut self) -> Result<bool> {
        let Some(span) = self.files.get(self.file) else { return Ok(false) };
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        let (byte, mut line) = self.begin;
        let file = Arc::new(File::open(&span.name).map_err(failed)?);
        let stamp = FileStamp::of(&file).map_err(failed)?;
        let may_grow = self.growing.is_some() && span.form.packing == Packing::None;
        let Some(mut opened) = self.reading.open(&file, span, may_grow)? else {
            // Its header is not whole yet, or it is empty.
            if self.growing.is_none() && self.progress.is_some() {
                tracing::warn!("{} is empty and is passed over", span.name);
            }
            self.drop_file();
            return Ok(true);
        };
        self.reading.expect(span, &opened.head);
        if let Some(header) = span.header_before(byte).filter(|_| byte > opened.records.position()) {
            let again = self.reading.header_at((&file, span), &opened.head, header, byte)?;
            (opened.head, opened.columns) = (again.head, again.columns);
        }
        if opened.columns != self.columns {
            let plan = self.reading.plan_of(&opened, span)?;
            self.decoder.use_plan(plan);
            self.columns = Arc::clone(&opened.columns);
        }
        let header = if byte > opened.records.position() { span.header_before(byte) } else { None };
        self.decoder.plan.ends_with_delimiter = opened.head.ends_with_delimiter;
        let raw_schema = self.reading.raw_schema(&self.columns, span, opened.head.ends_with_delimiter);
        self.raw_schemas.get_mut().opened((self.file, header.unwrap_or(0)), raw_schema);
        if byte > opened.records.position() {
            let (checksum, known) = self.prefix.get_mut().current(&self.files, self.file, byte)?;
            if known != byte {
                return Err(Error::bug(format!("{}: {known} bytes are known, and {byte} were read", span.name)));
            }
            if line == 0 {
                line = line_counter::line_of(span, byte).unwrap_or(0);
            }
            let records = self.reading.rules.records(&file, span, byte, line)?.with_checksum(checksum);
            opened.records = match span.form.is_plain() {
                true => records.with_last(open_file::last_before(&file, byte).map_err(failed)?),
                false => records,
            };
        } else if let (0, true, Some(progress)) = (byte, opened.head.has_separator_line, &self.progress) {
            progress.passed_over();
        }
        if byte == 0 && self.progress.is_some() {
            self.passed_over.tell(&self.reading, &self.decoder, &opened.head, span);
        }
        opened.records.open_end();
        self.prefix.get_mut().opened(self.file, &file);
        let begins_in_line = span.form.is_plain() && open_file::is_in_line(&file, byte).map_err(failed)?;
        let open = OpenFile::new(opened.records, opened.head, file, stamp);
        let open = self.open.insert(open);
        open.begins_in_line = begins_in_line;
        open.has_records = byte > 0;
        Ok(true)
    }

    /// Closes a file that was read to its end.
    pub(super) fn close_file(&mut self) -> Result<()> {
        self.check_unchanged()?;
        self.leave_file();
        Ok(())
    }

    /// Goes on to the next file.
    pub(super) fn leave_file(&mut self) {
        let span = &mut self.files[self.file];
        if let Some(open) = self.open.take().filter(|_| self.growing.is_some() || span.length == UNKNOWN_LENGTH) {
            span.length = open.records.position();
        }
        if self.growing.is_some() && span.length == span.from {
            return self.drop_file();
        }
        self.base += span.length - span.from;
        self.file += 1;
        self.begin_file();
    }

    /// Goes on to the next file: nothing of the current one was read.
    pub(super) fn drop_file(&mut self) {
        let InputFile { node, from, .. } = self.files[self.file];
        let known = self.growing.iter().flat_map(|growing| &growing.known);
        if self.growing.is_none() || from == 0 && known.chain(&self.files[..self.file]).any(|file| file.node == node) {
            // It is empty; or it was emptied, so that what was read of it before is there no more.
            self.files[self.file].length = 0;
            self.file += 1;
        } else {
            self.prefix.get_mut().drop_current(self.file);
            self.files.remove(self.file);
        }
        self.begin_file();
    }

    pub(super) fn begin_file(&mut self) {
        let from = self.files.get(self.file).map_or(0, |file| file.from);
        self.begin = (from, u64::from(from == 0));
    }

    /// At the end of what is there of files that grow; returns whether there is more to read. Waits for it, but not beyond `until`,
    /// and not at all without that.
    pub(super) fn read_on(&mut self, until: Option<Instant>) -> Result<bool> {
        let Some(growing) = &mut self.growing else { return Ok(false) };
        let open = self.open.as_mut().zip(self.files.get_mut(self.file));
        let parts = match growing.at_end(open, until)? {
            Some(AtEnd::Wait) => return Ok(false),
            Some(AtEnd::ReadOn) => {
                self.to_sample = self.needs_sample();
                return Ok(true);
            }
            Some(AtEnd::Next(parts)) => parts,
            None => {
                let current = self.open.as_ref().map(|open| (self.file, open.records.position()));
                let parts = growing.others(&self.files, current, self.prefix.get_mut())?;
                if !parts.is_empty() && self.open.is_some() {
                    self.check_unchanged()?;
                }
                parts
            }
        };
        if parts.is_empty() {
            return Ok(false);
        }
        if self.open.is_some() {
            self.leave_file();
        }
        self.files.extend(parts);
        self.begin_file();
        self.to_sample = self.needs_sample();
        Ok(true)
    }

    /// Whether the split waits for more at its end.
    pub(super) fn follows(&self) -> bool {
        self.growing.as_ref().is_some_and(|growing| growing.follow.is_some())
    }

    /// Whether the current file is the last one, of which more may come.
    pub(super) fn waits_here(&self) -> bool {
        self.follows() && self.file + 1 == self.files.len() && self.open.as_ref().is_some_and(|open| !open.is_finished)
    }

    /// At the end of a file that grows, where a line may be torn; returns whether to read on.
    #[cold]
    pub(super) fn at_end_of_growing(&mut self, is_torn: bool, until: Option<Instant>) -> Result<bool> {
        if self.waits_here() {
            return self.read_on(until);
        }
        let (Some(open), Some(span)) = (&mut self.open, self.files.get(self.file)) else { return Ok(true) };
        if is_torn && span.form.packing != Packing::None {
            // Nobody adds to an archive in the middle.
            open.records.close_end();
            return Ok(true);
        }
        if is_torn {
            tracing::info!("{}: its last line, {}, has no end yet and waits for it", span.name, open.records.line());
        }
        self.close_file()?;
        Ok(true)
    }

    /// Forgets where the first parts began of files that grow, once there are very many.
    pub(super) fn forget_parts(&mut self) -> Result<()> {
        let Some(growing) = self.growing.as_mut().filter(|_| self.files.len() > PARTS_MAX) else { return Ok(()) };
        let prefix = self.prefix.get_mut();
        prefix.up_to(&self.files, self.file, self.begin.0)?;
        self.origin = self.base;
        self.raw_schemas.get_mut().forget_first(self.file);
        for (file, checksum) in self.files.drain(..self.file).zip(prefix.forget_first(self.file)) {
            remember(&mut growing.known, InputFile { from: file.length, before: checksum, ..file });
        }
        self.file = 0;
        Ok(())
    }

    pub(super) fn check_unchanged(&self) -> Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.check_unchanged(&self.files[self.file]))
    }
}
