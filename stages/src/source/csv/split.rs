//! A split over one file, or over several one after the other.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::monitor::{CellProblem, Metrics};
use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader};
use aqpipe_engine::{Error, Result};

use super::dialect::Dialect;
use super::header;
use super::input_files::{self, InputFile};
use super::line_index::LineIndex;
use super::prefix_checksum::{FileStamp, PrefixChecksum, begins_with};
use super::progress::ProgressReport;
use super::raw_schema::RawSchema;
use super::records::{RECORD_BYTES_MAX, ReadOutcome, Records};
use super::resume::ResumePoint;
use super::row_decoder::{Decoded, RowDecoder};
use super::sample;
use super::snapshot::SplitSnapshot;
use super::torn_line::{self, TornLine};
use crate::columns::RowsBuilder;
use crate::reading::CellReport;

/// Rows in a batch, however many are asked for.
const BATCH_ROWS_MAX: usize = 1 << 16;
/// Bytes of rows after which a batch is complete, so that huge rows do not add up.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// A split over files.
pub(super) struct CsvSplitReader {
    id: SplitId,
    decoder: RowDecoder,
    dialect: Dialect,
    /// The names in the first line of each file, if files have such a line.
    header: Option<Arc<[String]>>,
    files: Vec<InputFile>,
    /// The index of the current file, and the bytes of the files before it.
    file: usize,
    base: u64,
    /// The byte and the line at which reading of the current file begins.
    begin: (u64, u64),
    open: Option<OpenFile>,
    /// Records read so far.
    row: u64,
    /// Records to stop after.
    limit: u64,
    progress: Option<ProgressReport>,
    /// Whether the sample was taken, in this run or in the one that it resumes.
    sampled: bool,
    cells: Option<CellReport>,
    /// Whether a last line without an end was logged: once, for thousands of files may have one.
    torn_logged: bool,
    /// Brought up to date by a checkpoint, which does not change the split.
    prefix: RefCell<PrefixChecksum>,
    /// As `prefix`.
    lines: RefCell<LineIndex>,
    /// What dead letters keep to decode their rows again.
    raw_schema: Option<(RawSchema, Arc<str>)>,
}

/// The current file.
struct OpenFile {
    records: Records<File>,
    file: File,
    /// Its length and times when it was opened.
    stamp: FileStamp,
    /// When it is to be checked again, once its last line was found torn.
    torn: Option<Instant>,
}

impl CsvSplitReader {
    /// A split from the beginning of its files. With `metrics` it reports its progress and logs what it finds; without, it
    /// reads for fitting alone.
    pub(super) fn new(
        id: SplitId,
        files: Vec<InputFile>,
        decoder: RowDecoder,
        (dialect, header): (Dialect, Option<Arc<[String]>>),
        limit: Option<u64>,
        metrics: Option<(Arc<Metrics>, CellReport)>,
    ) -> CsvSplitReader {
        let (progress, cells) = metrics.map(|(metrics, cells)| (ProgressReport::new(metrics), cells)).unzip();
        CsvSplitReader {
            id,
            decoder,
            dialect,
            header,
            files,
            file: 0,
            base: 0,
            begin: (0, 1),
            open: None,
            row: 0,
            limit: limit.unwrap_or(u64::MAX),
            progress,
            sampled: false,
            cells,
            torn_logged: false,
            prefix: RefCell::default(),
            lines: RefCell::default(),
            raw_schema: None,
        }
    }

    /// Adds what dead letters keep to decode their rows again.
    pub(super) fn with_raw_schema(self, raw_schema: &RawSchema) -> CsvSplitReader {
        CsvSplitReader { raw_schema: Some((raw_schema.clone(), raw_schema.text())), ..self }
    }

    /// Resumes where a checkpoint ended.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn resume(&mut self, resumed: ResumePoint) -> Result<()> {
        let ResumePoint { state, snapshot, file, byte, prefix } = resumed;
        let at = state.position.offset;
        self.decoder.restore_kinds(&snapshot.kinds);
        self.sampled = true;
        if !self.decoder.times().restore(&snapshot.times) {
            return Err(Error::new(format!("what was saved of the times of `{}` cannot be read", self.id)));
        }
        self.base = self.files.iter().take(file).map(|file| file.length).sum();
        if self.base + byte != at {
            return Err(Error::bug(format!("{} resumes at {} and not at {at}", self.id, self.base + byte)));
        }
        self.file = file;
        let line = match self.files.get(file) {
            _ if byte == 0 => 1,
            _ if snapshot.line > 0 => snapshot.line,
            Some(file) => input_files::line_of(&file.name, (0, 1), byte)?,
            None => 0,
        };
        self.begin = (byte, line);
        self.row = state.position.records;
        *self.prefix.get_mut() = prefix;
        if let Some(progress) = &mut self.progress {
            progress.from = state.position;
        }
        Ok(())
    }

    /// Opens the current file; returns `false` after the last one.
    fn open_file(&mut self) -> Result<bool> {
        let Some(span) = self.files.get(self.file) else { return Ok(false) };
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        let (byte, line) = self.begin;
        let file = File::open(&span.name).map_err(failed)?;
        let stamp = FileStamp::of(&file).map_err(failed)?;
        let mut records = header::of(file.try_clone().map_err(failed)?, span, self.dialect)?;
        if let Some(expected) = &self.header {
            let names = header::read(&mut records, span)?;
            header::check_same(&names, expected, span, &self.files[0])?;
        }
        if byte > records.position() {
            let (checksum, known) = self.prefix.get_mut().current();
            if known != byte {
                return Err(Error::bug(format!("{}: {known} bytes are known, and {byte} were read", span.name)));
            }
            let mut file = file.try_clone().map_err(failed)?;
            file.seek(SeekFrom::Start(byte)).map_err(failed)?;
            records =
                Records::new(file, self.dialect, byte, span.length.saturating_sub(byte), line).with_checksum(checksum);
        }
        records.open_end();
        self.prefix.get_mut().opened(self.file, &file);
        self.open = Some(OpenFile { records, file, stamp, torn: None });
        Ok(true)
    }

    /// Closes a file that was read to its end.
    fn close_file(&mut self) -> Result<()> {
        self.check_unchanged()?;
        self.open = None;
        self.base += self.files[self.file].length;
        self.file += 1;
        self.begin = (0, 1);
        Ok(())
    }

    /// Checks that the open file still holds what was read of it.
    fn check_unchanged(&self) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let name = &self.files[self.file].name;
        let failed = |e| Error::new(format!("cannot read {name}")).because(e);
        if open.stamp.is_unchanged(&FileStamp::of(&open.file).map_err(failed)?) {
            return Ok(());
        }
        let (length, checksum) = open.records.checksum_so_far();
        if begins_with(&open.file, length, checksum).map_err(failed)? {
            return Ok(());
        }
        Err(Error::new(format!("{name} was changed while it was read: what was read is a mixture of before and after"))
            .help("once it is what it should be, start from the beginning with `--fresh`"))
    }

    /// Reads up to `room` records; returns `false` at the end of the last file.
    fn read(
        &mut self,
        room: usize,
        until: Instant,
        rows: &mut RowsBuilder,
        dead: &mut Vec<DeadLetter>,
    ) -> Result<bool> {
        let from = self.position().offset;
        while rows.len() + dead.len() < room {
            let busy = rows.len() + dead.len() > 0;
            let Some(open) = &mut self.open else {
                if !self.open_file()? {
                    return Ok(false);
                }
                continue;
            };
            let more = if self.files.len() > 1 { ", as those of other files may be" } else { "" };
            let span = &mut self.files[self.file];
            let records = &mut open.records;
            let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
            match records.next().map_err(failed)? {
                ReadOutcome::Record => {}
                ReadOutcome::TooLong => {
                    let why =
                        format!("no end of the row within {} KiB: is a quote not closed?", RECORD_BYTES_MAX / 1024);
                    dead.push(dead_letter(records, self.base, &span.name, why));
                    continue;
                }
                ReadOutcome::Read if Instant::now() >= until => break,
                ReadOutcome::Read => {
                    if self.base + records.position() - from >= BATCH_BYTES_MAX && busy {
                        break;
                    }
                    continue;
                }
                ReadOutcome::Torn => {
                    let due = match open.torn {
                        Some(due) => due,
                        None => *open.torn.insert(torn_line::recheck_at(&open.file).map_err(failed)?),
                    };
                    match torn_line::recheck(&open.file, span.length, due, (!busy).then_some(until)).map_err(failed)? {
                        TornLine::Pending => break,
                        TornLine::Unchanged => {
                            // The run logs it, not the reading for a fit.
                            if self.progress.is_some() && !std::mem::replace(&mut self.torn_logged, true) {
                                let (name, line) = (&span.name, records.line());
                                tracing::info!(
                                    "{name}: its last line, {line}, has no end and is read as it stands{more}"
                                );
                            }
                            records.close_end();
                        }
                        TornLine::Grown(length) => {
                            records.extend(length - span.length);
                            span.length = length;
                            open.torn = None;
                            // Reading for a fit ends, even while another program goes on writing without a line end.
                            if self.progress.is_none() {
                                records.close_end();
                            }
                        }
                    }
                    continue;
                }
                ReadOutcome::End => {
                    self.close_file()?;
                    continue;
                }
            }
            let name = &self.files[self.file].name;
            let origin = self.base + records.record_at();
            match self.decoder.decode(records, origin, rows) {
                Decoded::Row => {}
                Decoded::Rejected(why) => dead.push(dead_letter(records, self.base, name, why)),
                Decoded::Malformed(why) => {
                    if records.spans_lines() {
                        records.reject_first_line(RECORD_BYTES_MAX);
                    }
                    dead.push(dead_letter(records, self.base, name, why));
                }
                Decoded::LayoutChange => {
                    records.unread();
                    if rows.len() > 0 {
                        break;
                    }
                    *rows = self.decoder.rows(room.min(BATCH_ROWS_MAX));
                }
            }
        }
        Ok(true)
    }

    /// Takes the sample: before the first commit, and never again.
    fn take_sample(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.sampled, true) {
            return Ok(());
        }
        let found = sample::take(&self.files, self.header.as_ref(), self.dialect, &mut self.decoder)?;
        // The run logs it, not the reading for a fit.
        if let Some(report) = &self.cells {
            let is_declared = self.decoder.config().is_declared();
            found.texts.iter().filter(|_| !is_declared).for_each(|text| tracing::info!("{text}"));
            found.warnings.iter().for_each(|(field, warning)| report.warn(field, warning));
            report.key_parts(found.key_parts);
        }
        Ok(())
    }

    /// Reports cells with a problem.
    fn report_cells(&mut self) {
        let Some(report) = &self.cells else { return };
        let (files, lines, decoder) = (&self.files, &self.lines, &mut self.decoder);
        let place = |at: u64| {
            let (file, byte) = input_files::locate(files, at)?;
            let name = &files[file].name;
            lines.borrow_mut().line(name, at - byte, at).map(|line| format!("{name}:{line}"))
        };
        let mut cells = std::mem::take(&mut decoder.unreadable);
        report.take(CellProblem::Unreadable, &mut cells, |field| decoder.field_name(field).to_owned(), place);
        let mut codes = std::mem::take(&mut decoder.unlisted);
        report.take(CellProblem::UnlistedCode, &mut codes, |field| decoder.field_name(field).to_owned(), place);
    }

    /// The line of the current position.
    fn line(&self) -> u64 {
        self.open.as_ref().map_or(self.begin.1, |open| open.records.line())
    }

    /// The file and line of a byte of the split.
    fn line_of(&self, at: u64) -> Option<(&str, u64)> {
        let (file, byte) = input_files::locate(&self.files, at)?;
        let name = &self.files[file].name;
        self.lines.borrow_mut().line(name, at - byte, at).map(|line| (name.as_str(), line))
    }

    fn report_progress(&mut self, before: u64, ended: bool) {
        let position = self.position();
        let total: u64 = self.files.iter().map(|file| file.length).sum();
        let rest = if ended { 0 } else { total.saturating_sub(position.offset) };
        if let Some(progress) = &mut self.progress {
            progress.report(before, position, rest, self.limit);
        }
    }
}

/// The dead letter of the last record.
#[cold]
fn dead_letter(records: &Records<File>, base: u64, name: &str, why: String) -> DeadLetter {
    let place = match records.record_line() {
        0 => format!("{name}, byte {}", records.record_at()),
        line => format!("{name}:{line}"),
    };
    let mut dead_letter = DeadLetter::new(base + records.record_at(), why, Some(records.raw().to_vec()));
    dead_letter.place = Some(place);
    dead_letter
}

impl SplitReader for CsvSplitReader {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        let left = usize::try_from(self.limit.saturating_sub(self.row)).unwrap_or(usize::MAX);
        let room = max.clamp(1, BATCH_ROWS_MAX).min(left);
        if room == 0 {
            self.check_unchanged()?;
            self.report_progress(self.position().offset, true);
            return Ok(Poll::End);
        }
        let before = self.position().offset;
        if self.file < self.files.len() {
            let line = self.line();
            self.lines.get_mut().add(before, line);
        }
        self.take_sample()?;
        let mut rows = self.decoder.rows(room);
        let mut dead = Vec::new();
        self.decoder.times().begin_batch();
        let goes_on = self.read(room, until, &mut rows, &mut dead)?;
        let warnings = self.decoder.times().take_warnings();
        if self.progress.is_some() {
            warnings.iter().for_each(|warning| tracing::warn!("{}: {warning}", self.id));
        }
        let read = rows.len() + dead.len();
        self.row += read as u64;
        self.report_progress(before, !goes_on);
        self.report_cells();
        match (read, goes_on) {
            (0, false) => {
                if self.row == 0 && self.progress.is_some() {
                    tracing::warn!("{} holds no records", self.id);
                }
                Ok(Poll::End)
            }
            (0, true) => Ok(Poll::Idle),
            _ => Ok(Poll::Rows(self.decoder.batch(rows)?, dead)),
        }
    }

    fn position(&self) -> Position {
        let at = self.open.as_ref().map_or(self.begin.0, |open| open.records.position());
        Position { offset: self.base + at, records: self.row }
    }

    fn snapshot_state(&self, at: Position) -> Result<Vec<u8>> {
        let end = self.position().offset;
        // What lies behind the checkpoint may still change before the split resumes there.
        let (file, byte) = input_files::locate(&self.files, at.offset).unwrap_or((self.file, end - self.base));
        let read = self.prefix.borrow_mut().up_to(&self.files, file, byte)?;
        let line = match &self.open {
            Some(open) if at.offset == end => open.records.line(),
            _ => self.line_of(at.offset).map_or(0, |(_, line)| line),
        };
        let (files, kinds) = (self.files.clone(), self.decoder.kinds());
        SplitSnapshot { files, line, kinds, read, times: self.decoder.saved_times(at.offset) }.to_bytes()
    }

    fn describe_offset(&mut self, at: u64) -> Option<String> {
        self.line_of(at).map(|(name, line)| format!("{name}:{line}"))
    }

    fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        let (schema, text) = self.raw_schema.as_ref()?;
        Some(match letter.time {
            Some(time) if self.decoder.needs_time(time.0) => schema.text_with_time(time),
            _ => Arc::clone(text),
        })
    }

    fn progress(&self) -> Option<f64> {
        let total: u64 = self.files.iter().map(|file| file.length).sum();
        Some(self.position().offset as f64 / total.max(1) as f64)
    }
}
