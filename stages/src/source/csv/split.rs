//! A split over one file, or over several one after the other.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Position, SplitId};
use aqpipe_engine::stage::{DeadLetter, Poll, SplitReader};
use aqpipe_engine::{Error, Result};

use super::decode::{Decoded, Decoder};
use super::dialect::Dialect;
use super::files::{self, FileSpan};
use super::header;
use super::known::{Carry, Resumed};
use super::marks::LineMarks;
use super::prefix::{Prefix, Stamp, begins_with};
use super::records::{Found, RECORD_MAX, Records};
use super::torn::{self, Torn};
use crate::input::cells::Rows;

/// Rows in a batch at most, whatever is asked for.
const ROWS_MAX: usize = 1 << 16;
/// Bytes of rows after which a batch is handed on, so that huge rows do not add up.
const BYTES_MAX: u64 = 64 << 20;

/// A split over files.
pub(super) struct CsvSplitReader {
    id: SplitId,
    decoder: Decoder,
    dialect: Dialect,
    /// The names in the first line of each file, where it has such a line.
    header: Option<Arc<[String]>>,
    files: Vec<FileSpan>,
    /// The file that is read, and the bytes of those before it.
    file: usize,
    base: u64,
    /// The byte and the line to begin its reading at.
    begin: (u64, u64),
    reading: Option<Reading>,
    row: u64,
    /// Records to stop after.
    limit: u64,
    progress: Option<Progress>,
    /// Whether it was said that a last line has no end: once, for there may be thousands of such files.
    torn_told: bool,
    /// Brought up to date when the split is cut, which is not a change of the split.
    prefix: RefCell<Prefix>,
    /// As `prefix`.
    marks: RefCell<LineMarks>,
    /// How the bytes of its rows are to be read once more.
    form: Option<Arc<str>>,
}

/// A file that is open.
struct Reading {
    records: Records<File>,
    file: File,
    /// What it looked like when it was opened.
    stamp: Stamp,
    /// When it is to be looked at again, once its end was met in the middle of a line.
    torn: Option<Instant>,
}

/// What the split tells of its way.
struct Progress {
    metrics: Arc<Metrics>,
    /// Where it started.
    from: Position,
    /// What it added to the records that are expected.
    expected: u64,
}

impl CsvSplitReader {
    /// A split from the beginning of its files. `metrics` are to be told of it unless it only surveys.
    pub(super) fn new(
        id: SplitId,
        files: Vec<FileSpan>,
        decoder: Decoder,
        (dialect, header): (Dialect, Option<Arc<[String]>>),
        limit: Option<u64>,
        metrics: Option<Arc<Metrics>>,
    ) -> CsvSplitReader {
        let progress = metrics.map(|metrics| Progress { metrics, from: Position::default(), expected: 0 });
        CsvSplitReader {
            id,
            decoder,
            dialect,
            header,
            files,
            file: 0,
            base: 0,
            begin: (0, 1),
            reading: None,
            row: 0,
            limit: limit.unwrap_or(u64::MAX),
            progress,
            torn_told: false,
            prefix: RefCell::default(),
            marks: RefCell::default(),
            form: None,
        }
    }

    /// With what says how the bytes of its rows are to be read once more.
    pub(super) fn with_form(self, form: Option<Arc<str>>) -> CsvSplitReader {
        CsvSplitReader { form, ..self }
    }

    /// Goes on where a checkpoint ended.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn resume(&mut self, resumed: Resumed) -> Result<()> {
        let Resumed { start, carry, file, byte, prefix } = resumed;
        let at = start.position.offset;
        self.decoder.know(&carry.kinds);
        self.base = self.files.iter().take(file).map(|file| file.length).sum();
        if self.base + byte != at {
            return Err(Error::bug(format!("{} goes on at {} and not at {at}", self.id, self.base + byte)));
        }
        self.file = file;
        let line = match self.files.get(file) {
            _ if byte == 0 => 1,
            _ if carry.line > 0 => carry.line,
            Some(file) => files::line_of(&file.name, (0, 1), byte)?,
            None => 0,
        };
        self.begin = (byte, line);
        self.row = start.position.records;
        *self.prefix.get_mut() = prefix;
        if let Some(progress) = &mut self.progress {
            progress.from = start.position;
        }
        Ok(())
    }

    /// Opens the next file, where there is one.
    fn open(&mut self) -> Result<bool> {
        let Some(span) = self.files.get(self.file) else { return Ok(false) };
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        let (byte, line) = self.begin;
        let file = File::open(&span.name).map_err(failed)?;
        let stamp = Stamp::of(&file).map_err(failed)?;
        let mut records = header::of(file.try_clone().map_err(failed)?, span, self.dialect)?;
        if let Some(expected) = &self.header {
            let names = header::read(&mut records, span)?;
            header::agrees(&names, expected, span, &self.files[0])?;
        }
        if byte > records.position() {
            let (checksum, known) = self.prefix.get_mut().beginning();
            if known != byte {
                return Err(Error::bug(format!("{}: {known} bytes are known, and {byte} were read", span.name)));
            }
            let mut file = file.try_clone().map_err(failed)?;
            file.seek(SeekFrom::Start(byte)).map_err(failed)?;
            records = Records::new(file, self.dialect, byte, span.length.saturating_sub(byte), line).behind(checksum);
        }
        records.open_end();
        self.prefix.get_mut().opened(self.file, &file);
        self.reading = Some(Reading { records, file, stamp, torn: None });
        Ok(true)
    }

    /// Leaves a file that has been read to its end.
    fn leave(&mut self) -> Result<()> {
        self.check_unchanged()?;
        self.reading = None;
        self.base += self.files[self.file].length;
        self.file += 1;
        self.begin = (0, 1);
        Ok(())
    }

    /// Checks that the file that is open holds what was read of it.
    fn check_unchanged(&self) -> Result<()> {
        let Some(reading) = &self.reading else { return Ok(()) };
        let name = &self.files[self.file].name;
        let failed = |e| Error::new(format!("cannot read {name}")).because(e);
        if reading.stamp.is_still(&Stamp::of(&reading.file).map_err(failed)?) {
            return Ok(());
        }
        let (length, checksum) = reading.records.heard();
        if begins_with(&reading.file, length, checksum).map_err(failed)? {
            return Ok(());
        }
        Err(Error::new(format!("{name} was changed while it was read: what was read is a mixture of before and after"))
            .help("once it is what it should be, start from the beginning with `--fresh`"))
    }

    /// Reads on; whether the split may go on after what it has.
    fn read(&mut self, room: usize, until: Instant, rows: &mut Rows, dead: &mut Vec<DeadLetter>) -> Result<bool> {
        let from = self.position().offset;
        while rows.len() + dead.len() < room {
            let busy = rows.len() + dead.len() > 0;
            let Some(reading) = &mut self.reading else {
                if !self.open()? {
                    return Ok(false);
                }
                continue;
            };
            let more = if self.files.len() > 1 { ", as those of other files may be" } else { "" };
            let span = &mut self.files[self.file];
            let records = &mut reading.records;
            let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
            match records.next().map_err(failed)? {
                Found::Record => {}
                Found::TooLong => {
                    let why = format!("no end of the row within {} KiB: is a quote not closed?", RECORD_MAX / 1024);
                    dead.push(letter(records, self.base, &span.name, why));
                    continue;
                }
                Found::Read if Instant::now() >= until => break,
                Found::Read => {
                    if self.base + records.position() - from >= BYTES_MAX && busy {
                        break;
                    }
                    continue;
                }
                Found::Torn => {
                    let due = match reading.torn {
                        Some(due) => due,
                        None => *reading.torn.insert(torn::due(&reading.file).map_err(failed)?),
                    };
                    match torn::look(&reading.file, span.length, due, (!busy).then_some(until)).map_err(failed)? {
                        Torn::TooSoon => break,
                        Torn::Still => {
                            // A survey leaves it to the run to say so.
                            if self.progress.is_some() && !std::mem::replace(&mut self.torn_told, true) {
                                let (name, line) = (&span.name, records.line());
                                tracing::info!(
                                    "{name}: its last line, {line}, has no end and is read as it stands{more}"
                                );
                            }
                            records.close_end();
                        }
                        Torn::GrownTo(length) => {
                            records.extend(length - span.length);
                            span.length = length;
                            reading.torn = None;
                            // A survey ends, whoever goes on writing without a line end.
                            if self.progress.is_none() {
                                records.close_end();
                            }
                        }
                    }
                    continue;
                }
                Found::End => {
                    self.leave()?;
                    continue;
                }
            }
            let name = &self.files[self.file].name;
            let origin = self.base + records.record_at();
            match self.decoder.decode(records, origin, rows) {
                Decoded::Row => {}
                Decoded::Dead(why) => dead.push(letter(records, self.base, name, why)),
                Decoded::Broken(why) => {
                    if records.spans_lines() {
                        records.give_up_first_line(RECORD_MAX);
                    }
                    dead.push(letter(records, self.base, name, why));
                }
                Decoded::Changes => {
                    records.unread();
                    if rows.len() > 0 {
                        break;
                    }
                    *rows = self.decoder.rows(room.min(ROWS_MAX));
                }
            }
        }
        Ok(true)
    }

    /// The line of the position.
    fn line(&self) -> u64 {
        self.reading.as_ref().map_or(self.begin.1, |reading| reading.records.line())
    }

    /// The file of a byte of the split, and the line of it.
    fn line_of(&self, at: u64) -> Option<(&str, u64)> {
        let (file, byte) = files::locate(&self.files, at)?;
        let name = &self.files[file].name;
        self.marks.borrow_mut().line(name, at - byte, at).map(|line| (name.as_str(), line))
    }

    /// Tells the metrics what was read, and how much there may be.
    fn tell(&mut self, before: u64, ended: bool) {
        let position = self.position();
        let total: u64 = self.files.iter().map(|file| file.length).sum();
        let Some(progress) = &mut self.progress else { return };
        progress.metrics.bytes_in.fetch_add(position.offset.saturating_sub(before), Ordering::Relaxed);
        let (rows, bytes) =
            (position.records - progress.from.records, position.offset.saturating_sub(progress.from.offset));
        let rest = if ended { 0 } else { total.saturating_sub(position.offset) };
        let more = (rows as f64 * (rest as f64 / bytes.max(1) as f64)) as u64;
        let expected = (rows + more).min(self.limit.saturating_sub(progress.from.records));
        // Splits add up: each one changes its own share, up or down.
        progress.metrics.expected.fetch_add(expected.wrapping_sub(progress.expected), Ordering::Relaxed);
        progress.expected = expected;
    }
}

/// The dead letter of the record that was found last.
#[cold]
fn letter(records: &Records<File>, base: u64, name: &str, why: String) -> DeadLetter {
    let place = match records.record_line() {
        0 => format!("{name}, byte {}", records.record_at()),
        line => format!("{name}:{line}"),
    };
    let mut letter = DeadLetter::new(base + records.record_at(), why, Some(records.raw().to_vec()));
    letter.place = Some(place);
    letter
}

impl SplitReader for CsvSplitReader {
    fn next(&mut self, max: usize, until: Instant) -> Result<Poll> {
        let left = usize::try_from(self.limit.saturating_sub(self.row)).unwrap_or(usize::MAX);
        let room = max.clamp(1, ROWS_MAX).min(left);
        if room == 0 {
            self.check_unchanged()?;
            self.tell(self.position().offset, true);
            return Ok(Poll::End);
        }
        let before = self.position().offset;
        if self.file < self.files.len() {
            let line = self.line();
            self.marks.get_mut().add(before, line);
        }
        let mut rows = self.decoder.rows(room);
        let mut dead = Vec::new();
        let goes_on = self.read(room, until, &mut rows, &mut dead)?;
        let read = rows.len() + dead.len();
        self.row += read as u64;
        self.tell(before, !goes_on);
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
        let at = self.reading.as_ref().map_or(self.begin.0, |reading| reading.records.position());
        Position { offset: self.base + at, records: self.row }
    }

    fn snapshot_state(&self, cut: Position) -> Result<Vec<u8>> {
        let at = self.position().offset;
        // What lies behind the checkpoint may still be mended before the split goes on there.
        let (file, byte) = files::locate(&self.files, cut.offset).unwrap_or((self.file, at - self.base));
        let read = self.prefix.borrow_mut().up_to(&self.files, file, byte)?;
        let line = match &self.reading {
            Some(reading) if cut.offset == at => reading.records.line(),
            _ => self.line_of(cut.offset).map_or(0, |(_, line)| line),
        };
        Carry { files: self.files.clone(), line, kinds: self.decoder.kinds(), read }.to_bytes()
    }

    fn describe_offset(&mut self, at: u64) -> Option<String> {
        self.line_of(at).map(|(name, line)| format!("{name}:{line}"))
    }

    fn raw_schema(&self) -> Option<Arc<str>> {
        self.form.clone()
    }

    fn progress(&self) -> Option<f64> {
        let total: u64 = self.files.iter().map(|file| file.length).sum();
        Some(self.position().offset as f64 / total.max(1) as f64)
    }
}
