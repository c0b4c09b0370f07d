//! A split over one file, or over several one after the other.

use std::cell::RefCell;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::monitor::{CellProblem, Metrics};
use aqpipe_engine::record::{Position, SAMPLE_RECORDS, SplitId};
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader};
use aqpipe_engine::{Error, Result};

use super::column_plan::ColumnPlan;
use super::file_reading::FileReading;
use super::file_text::FileText;
use super::growing_split::{AtEnd, Growing, PARTS_MAX};
use super::input_files::{self, InputFile, UNKNOWN_LENGTH};
use super::known_files::remember;
use super::line_counter;
use super::line_index::LineIndex;
use super::open_file::{self, OpenFile};
use super::packing::Packing;
use super::prefix_checksum::{FileStamp, PrefixChecksum};
use super::progress::ProgressReport;
use super::raw_schemas::RawSchemas;
use super::records::{RECORD_BYTES_MAX, ReadOutcome, Records};
use super::resume::ResumePoint;
use super::row_decoder::{Decoded, RowDecoder};
use super::sample::{self, SoFar};
use super::snapshot::SplitSnapshot;
use super::text_columns::TextColumns;
use super::torn_line::TornLine;
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
    reading: FileReading,
    /// The names of the columns by which the decoder reads.
    columns: Arc<[String]>,
    files: Vec<InputFile>,
    /// The split's byte at which the first of them begins.
    origin: u64,
    /// The index of the current file, and the split's byte at which it begins.
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
    /// Whether there may be records for a sample that was not taken yet.
    to_sample: bool,
    /// What samples of files that grow have found of columns that became text.
    texts: TextColumns,
    cells: Option<CellReport>,
    /// Whether a last line without an end was logged: once, for thousands of files may have one.
    torn_logged: bool,
    /// Brought up to date by a checkpoint, which does not change the split.
    prefix: RefCell<PrefixChecksum>,
    /// As `prefix`.
    lines: RefCell<LineIndex>,
    raw_schemas: RefCell<RawSchemas>,
    /// Where the files may grow.
    growing: Option<Growing>,
    /// Whether a header that comes again was logged.
    repeated_logged: bool,
    /// Whether a header with other columns was logged.
    other_header_logged: bool,
}

impl CsvSplitReader {
    /// A split from the beginning of its files. With `metrics` it reports its progress and logs what it finds; without, it
    /// reads for fitting alone.
    pub(super) fn new(
        id: SplitId,
        files: Vec<InputFile>,
        decoder: RowDecoder,
        (reading, columns): (FileReading, Arc<[String]>),
        limit: Option<u64>,
        metrics: Option<(Arc<Metrics>, CellReport)>,
    ) -> CsvSplitReader {
        let (progress, cells) = metrics.map(|(metrics, cells)| (ProgressReport::new(metrics), cells)).unzip();
        CsvSplitReader {
            id,
            decoder,
            reading,
            columns,
            files,
            origin: 0,
            file: 0,
            base: 0,
            begin: (0, 1),
            open: None,
            row: 0,
            limit: limit.unwrap_or(u64::MAX),
            progress,
            sampled: false,
            to_sample: true,
            texts: TextColumns::default(),
            cells,
            torn_logged: false,
            prefix: RefCell::default(),
            lines: RefCell::default(),
            raw_schemas: RefCell::default(),
            growing: None,
            repeated_logged: false,
            other_header_logged: false,
        }
    }

    /// Over files that may grow.
    pub(super) fn over_growing_files(self, growing: Growing) -> CsvSplitReader {
        CsvSplitReader { growing: Some(growing), ..self }
    }

    /// Resumes where a checkpoint ended.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn resume(&mut self, resumed: ResumePoint) -> Result<()> {
        let ResumePoint { state, snapshot, file, byte, prefix } = resumed;
        let at = state.position.offset;
        self.decoder.restore_kinds(&snapshot.kinds);
        self.sampled = state.position.records > 0;
        self.origin = snapshot.origin;
        self.texts = snapshot.texts;
        if let Some(growing) = &mut self.growing {
            growing.known = snapshot.known;
        }
        if !self.decoder.times().restore(&snapshot.times) {
            return Err(Error::new(format!("what was saved of the times of `{}` cannot be read", self.id)));
        }
        self.base = self.origin + input_files::bytes_before(&self.files, file);
        self.file = file;
        if self.offset_of(byte) != at {
            return Err(Error::bug(format!("{} resumes at {} and not at {at}", self.id, self.offset_of(byte))));
        }
        let line = match self.files.get(file) {
            _ if byte == 0 => 1,
            _ if snapshot.line > 0 => snapshot.line,
            Some(file) => line_counter::line_of(file, byte).unwrap_or(0),
            None => 0,
        };
        self.begin = (byte, line);
        self.row = state.position.records;
        self.to_sample = self.needs_sample();
        *self.prefix.get_mut() = prefix;
        if let Some(progress) = &mut self.progress {
            progress.from = state.position;
        }
        Ok(())
    }

    /// The split's byte that a byte of the current file is.
    fn offset_of(&self, byte: u64) -> u64 {
        self.base + (byte - self.files.get(self.file).map_or(0, |file| file.from))
    }

    /// Opens the current file; returns `false` after the last one.
    fn open_file(&mut self) -> Result<bool> {
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
        let raw_schema = self.reading.raw_schema(&self.columns, span);
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
    fn close_file(&mut self) -> Result<()> {
        self.check_unchanged()?;
        self.leave_file();
        Ok(())
    }

    /// Goes on to the next file.
    fn leave_file(&mut self) {
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
    fn drop_file(&mut self) {
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

    fn begin_file(&mut self) {
        let from = self.files.get(self.file).map_or(0, |file| file.from);
        self.begin = (from, u64::from(from == 0));
    }

    /// At the end of what is there of files that grow; returns whether there is more to read. Waits for it, but not beyond `until`,
    /// and not at all without that.
    fn read_on(&mut self, until: Option<Instant>) -> Result<bool> {
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
    fn follows(&self) -> bool {
        self.growing.as_ref().is_some_and(|growing| growing.follow.is_some())
    }

    /// Whether the current file is the last one, of which more may come.
    fn waits_here(&self) -> bool {
        self.follows() && self.file + 1 == self.files.len() && self.open.as_ref().is_some_and(|open| !open.is_finished)
    }

    /// Forgets where the first parts began of files that grow, once there are very many.
    fn forget_parts(&mut self) -> Result<()> {
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

    fn check_unchanged(&self) -> Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.check_unchanged(&self.files[self.file]))
    }

    /// Reads up to `room` records; returns `false` at the end of the last file.
    fn read(
        &mut self,
        room: usize,
        until: Instant,
        rows: &mut RowsBuilder,
        dead: &mut Vec<DeadLetter>,
    ) -> Result<bool> {
        let from_offset = self.position().offset;
        while rows.len() + dead.len() < room {
            let busy = rows.len() + dead.len() > 0;
            if self.to_sample && rows.len() == 0 {
                self.take_sample()?;
                *rows = self.decoder.rows(room.min(BATCH_ROWS_MAX));
            }
            let Some(open) = &mut self.open else {
                if self.open_file()? || (self.follows() && self.read_on((!busy).then_some(until))?) {
                    continue;
                }
                return Ok(self.follows());
            };
            let more = if self.files.len() > 1 { ", as those of other files may be" } else { "" };
            let span = &mut self.files[self.file];
            let (base, from) = (self.base, span.from);
            let failed = |name: &str, e| Error::new(format!("cannot read {name}")).because(e);
            let outcome = open.head.next(&mut open.records);
            let outcome = outcome.map_err(|e| {
                failed(&span.name, e).at(place(&span.name, open.records.line(), open.records.position()))
            })?;
            match outcome {
                ReadOutcome::Record => {}
                ReadOutcome::TooLong => {
                    let why =
                        format!("no end of the row within {} KiB: is a quote not closed?", RECORD_BYTES_MAX / 1024);
                    dead.push(dead_letter(&open.records, base.wrapping_sub(from), &span.name, why));
                    continue;
                }
                ReadOutcome::Read if Instant::now() >= until => break,
                ReadOutcome::Read => {
                    if base + (open.records.position() - from) - from_offset >= BATCH_BYTES_MAX && busy {
                        break;
                    }
                    continue;
                }
                ReadOutcome::Torn | ReadOutcome::End if self.growing.is_some() => {
                    if !self.at_end_of_growing(outcome == ReadOutcome::Torn, (!busy).then_some(until))? {
                        break;
                    }
                    continue;
                }
                ReadOutcome::Torn => {
                    let outcome = open.recheck(span, (!busy).then_some(until));
                    match outcome.map_err(|e| failed(&span.name, e))? {
                        TornLine::Pending => break,
                        TornLine::Unchanged => {
                            // The run logs it, not the reading for a fit.
                            if self.progress.is_some() && !std::mem::replace(&mut self.torn_logged, true) {
                                let (name, line) = (&span.name, open.records.line());
                                tracing::info!(
                                    "{name}: its last line, {line}, has no end and is read as it stands{more}"
                                );
                            }
                            open.records.close_end();
                        }
                        TornLine::Grown(_) => {
                            // Reading for a fit ends, even while another program goes on writing without a line end.
                            if self.progress.is_none() {
                                open.records.close_end();
                            }
                        }
                    }
                    continue;
                }
                ReadOutcome::End => {
                    if open.records.input_mut().has_half_character() {
                        return Err(cut_off(&open.records, &span.name));
                    }
                    if !open.has_records && self.files.len() > 1 && self.progress.is_some() {
                        tracing::warn!("{} holds no records", self.files[self.file].name);
                    }
                    self.close_file()?;
                    continue;
                }
            }
            open.has_records = true;
            if std::mem::take(&mut open.begins_in_line) {
                let why =
                    "the rest of a line of which an earlier run carried what was there: it had no end yet".to_owned();
                dead.push(dead_letter(&open.records, base.wrapping_sub(from), &span.name, why));
                continue;
            }
            if open.head.repeats(&open.records) {
                self.pass_over();
                continue;
            }
            let records = &mut open.records;
            let (name, base) = (&span.name, base.wrapping_sub(from));
            let origin = base.wrapping_add(records.record_at());
            match self.decoder.decode(records, origin, rows) {
                Decoded::Row => {}
                Decoded::Rejected(_) | Decoded::Malformed(_) if open.head.names_anew(records, &self.reading.config) => {
                    let again = match self.reading.header_again(&open.head, records, span) {
                        // What stands before it is carried.
                        Err(_) if rows.len() + dead.len() > 0 => {
                            records.unread();
                            break;
                        }
                        again => again?,
                    };
                    let header = records.record_at();
                    span.headers.push(header);
                    open.head = again.head;
                    self.read_by(header, again.plan, again.columns);
                }
                Decoded::Rejected(why) => {
                    let is_first = records.record_line() == open.head.end;
                    let is_units = is_first && self.decoder.has_no_digit_in_time(records);
                    let why = why + &self.reading.option_for(records.raw(), is_units);
                    dead.push(dead_letter(records, base, name, why));
                }
                Decoded::Malformed(why) => {
                    if records.spans_lines() {
                        records.reject_first_line(RECORD_BYTES_MAX);
                    }
                    let why = why + &self.reading.option_for(records.raw(), false);
                    dead.push(dead_letter(records, base, name, why));
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

    /// At the end of a file that grows, where a line may be torn; returns whether to read on.
    #[cold]
    fn at_end_of_growing(&mut self, is_torn: bool, until: Option<Instant>) -> Result<bool> {
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

    /// Counts the last record as a header that comes again.
    #[cold]
    fn pass_over(&mut self) {
        let (Some(progress), Some(open)) = (&self.progress, &self.open) else { return };
        progress.passed_over();
        if !std::mem::replace(&mut self.repeated_logged, true) {
            let (name, line) = (&self.files[self.file].name, open.records.record_line());
            tracing::info!("{name}:{line}: the header comes again; such lines are passed over and counted");
        }
    }

    /// Reads what follows by the columns of a header inside of the current file.
    #[cold]
    fn read_by(&mut self, header: u64, plan: ColumnPlan, columns: Arc<[String]>) {
        let span = &self.files[self.file];
        self.raw_schemas.get_mut().opened((self.file, header), self.reading.raw_schema(&columns, span));
        self.decoder.use_plan(plan);
        self.columns = columns;
        let (Some(progress), Some(open)) = (&self.progress, &self.open) else { return };
        progress.passed_over();
        if !std::mem::replace(&mut self.other_header_logged, true) {
            let (name, line) = (&span.name, open.records.record_line());
            tracing::info!(
                "{name}:{line}: a header comes with other columns, or in another order: what follows is read by it, as behind \
                 others of its kind"
            );
        }
    }

    /// Whether more is to be judged by a sample. Of files that grow the first records may be few: what comes is judged too, until
    /// there were enough.
    fn needs_sample(&self) -> bool {
        !self.sampled || self.growing.is_some() && self.row < SAMPLE_RECORDS
    }

    /// Takes the sample: of the first files that have records, before the first commit, and never again but where they grow.
    #[cold]
    fn take_sample(&mut self) -> Result<()> {
        self.to_sample = false;
        let files = self.files.get(self.file..).unwrap_or_default();
        let from = self.open.as_ref().map_or(self.begin.0, |open| open.records.position());
        let so_far = self.growing.is_some().then_some(SoFar { texts: &mut self.texts, from });
        let Some(found) = sample::take(files, &self.reading, so_far, &mut self.decoder)? else {
            return Ok(());
        };
        self.sampled = true;
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
        let CsvSplitReader { files, lines, decoder, origin, .. } = self;
        let place = |at: u64| {
            let (file, byte) = input_files::locate(files, at.checked_sub(*origin)?)?;
            let file = files.get(file)?;
            lines.borrow_mut().line(file, byte, at).map(|line| format!("{}:{line}", file.name))
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
        let (file, byte) = input_files::locate(&self.files, at.checked_sub(self.origin)?)?;
        let file = self.files.get(file)?;
        self.lines.borrow_mut().line(file, byte, at).map(|line| (file.name.as_str(), line))
    }

    /// The bytes of all files, or a guess.
    fn expected(&self) -> u64 {
        self.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.expected()))
    }

    fn report_progress(&mut self, before: u64, ended: bool) {
        let position = self.position();
        let rest = if ended { 0 } else { self.expected().saturating_sub(position.offset - self.origin) };
        if let Some(progress) = &mut self.progress {
            progress.report(before, position, rest, self.limit);
        }
    }
}

/// The dead letter of the last record; `base` is where the file's first byte would be in the split.
#[cold]
fn dead_letter(records: &Records<FileText>, base: u64, name: &str, why: String) -> DeadLetter {
    let mut dead_letter =
        DeadLetter::new(base.wrapping_add(records.record_at()), why, Some(records.original().into_owned()));
    dead_letter.place = Some(place(name, records.record_line(), records.record_at()));
    dead_letter
}

/// A place in a file; the line is 0 if unknown.
#[cold]
fn place(name: &str, line: u64, byte: u64) -> String {
    match line {
        0 => format!("{name}, byte {byte}"),
        line => format!("{name}:{line}"),
    }
}

/// The error of a file that ends within a character.
#[cold]
fn cut_off(records: &Records<FileText>, name: &str) -> Error {
    Error::new(format!(
        "{name} ends within a character of {}: it was cut off, or is not of that encoding",
        records.encoding().name()
    ))
    .at(place(name, records.line(), records.position()))
    .help("fetch the file once more; or remove the bytes at its end that are no whole character")
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
        self.forget_parts()?;
        let before = self.position().offset;
        if self.file < self.files.len() {
            let line = self.line();
            self.lines.get_mut().add(before, line);
        }
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
        Position { offset: self.offset_of(at), records: self.row }
    }

    fn snapshot_state(&self, at: Position) -> Result<Vec<u8>> {
        let end = self.position().offset;
        // What lies behind the checkpoint may still change before the split resumes there.
        let (file, byte) = at
            .offset
            .checked_sub(self.origin)
            .and_then(|at| input_files::locate(&self.files, at))
            .unwrap_or((self.file, self.begin.0));
        let read = self.prefix.borrow_mut().up_to(&self.files, file, byte)?;
        let line = match &self.open {
            Some(open) if at.offset == end => open.records.line(),
            _ => self.line_of(at.offset).map_or(0, |(_, line)| line),
        };
        let known = self.growing.as_ref().map_or_else(Vec::new, |growing| growing.known.clone());
        let (files, kinds) = (self.files.clone(), self.decoder.kinds());
        let texts = if self.needs_sample() { self.texts.clone() } else { TextColumns::new() };
        let times = self.decoder.saved_times(at.offset);
        let snapshot = SplitSnapshot { files, origin: self.origin, known, line, kinds, read, times, texts };
        snapshot.up_to(file, byte).to_bytes()
    }

    fn describe_offset(&mut self, at: u64) -> Option<String> {
        self.line_of(at).map(|(name, line)| format!("{name}:{line}"))
    }

    fn raw_schema(&self, letter: &DeadLetter) -> Option<Arc<str>> {
        let (file, byte) = input_files::locate(&self.files, letter.source_offset.checked_sub(self.origin)?)?;
        let span = self.files.get(file)?;
        let header = span.header_before(byte).unwrap_or(0);
        let kept = self.raw_schemas.borrow_mut().of((file, header), || self.reading.read_raw_schema(span, header))?;
        Some(match letter.time {
            Some(time) if self.decoder.needs_time(time.0) => kept.schema.text_with_time(time),
            _ => Arc::clone(&kept.text),
        })
    }

    fn progress(&self) -> Option<f64> {
        let read = self.position().offset - self.origin;
        Some((read as f64 / self.expected().max(1) as f64).min(1.0))
    }
}
