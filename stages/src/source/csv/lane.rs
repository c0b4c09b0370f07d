//! A lane over one file, or over several one after the other.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::record::{Kind, LaneId, Position};
use aqpipe_engine::stage::{DeadLetter, Lane, Next, Start};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::decode::{Decoded, Decoder};
use super::dialect::Dialect;
use super::files::{self, FileSpan};
use super::header;
use super::prefix::{self, Prefix};
use super::records::{Found, RECORD_MAX, Records};
use crate::input::cells::Rows;

/// Rows in a batch at most, whatever is asked for.
const ROWS_MAX: usize = 1 << 16;
/// Bytes of rows after which a batch is handed on, so that huge rows do not add up.
const BYTES_MAX: u64 = 64 << 20;
/// The version of what a lane carries.
const VERSION: u8 = 2;

/// What a lane needs besides its position to go on.
#[derive(Debug, Serialize, Deserialize)]
struct Carry {
    files: Vec<FileSpan>,
    /// Where the lane stood, and the line of it.
    at: u64,
    line: u64,
    kinds: Vec<(String, Kind)>,
    /// The checksums of each file up to where the lane goes on.
    read: Vec<u32>,
}

/// A lane over files.
pub(super) struct CsvLane {
    id: LaneId,
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
    records: Option<Records<File>>,
    row: u64,
    /// Records to stop after.
    limit: u64,
    progress: Option<Progress>,
    /// Brought up to date when the lane is cut, which is not a change of the lane.
    prefix: RefCell<Prefix>,
}

/// What the lane tells of its way.
struct Progress {
    facts: Arc<Facts>,
    /// Where it started.
    from: Position,
    /// What it added to the records that are expected.
    expected: u64,
}

impl CsvLane {
    /// A lane from the beginning of its files. `facts` are to be told of it unless it only surveys.
    pub(super) fn new(
        id: LaneId,
        files: Vec<FileSpan>,
        decoder: Decoder,
        (dialect, header): (Dialect, Option<Arc<[String]>>),
        limit: Option<u64>,
        facts: Option<Arc<Facts>>,
    ) -> CsvLane {
        let progress = facts.map(|facts| Progress { facts, from: Position::default(), expected: 0 });
        CsvLane {
            id,
            decoder,
            dialect,
            header,
            files,
            file: 0,
            base: 0,
            begin: (0, 1),
            records: None,
            row: 0,
            limit: limit.unwrap_or(u64::MAX),
            progress,
            prefix: RefCell::new(Prefix::new()),
        }
    }

    /// Goes on where a cut ended.
    ///
    /// # Errors
    /// Where the files are not those that were read before.
    pub(super) fn resume(&mut self, start: &Start) -> Result<()> {
        let at = start.position.at;
        let mut known = None;
        match start.state.first().map(Vec::as_slice) {
            None | Some([]) => {}
            Some([VERSION, carried @ ..]) => {
                let carry: Carry = postcard::from_bytes(carried)
                    .map_err(|e| Error::new("what the lane saved cannot be read back").because(e))?;
                self.files = files::resume(&carry.files, &self.files, at)?;
                self.decoder.know(&carry.kinds);
                known = Some((carry.at, carry.line, carry.read));
            }
            Some(_) => return Err(Error::new("what the lane saved is of another version of the program")),
        }
        let Some((file, byte)) = files::locate(&self.files, at) else {
            return Err(Error::new(format!("{} is shorter than what was read of it: byte {at}", self.id))
                .help("`--fresh` forgets where the pipeline was and starts from the beginning"));
        };
        if let Some((_, _, read)) = &known {
            let now = self.prefix.get_mut().up_to(&self.files, file, byte)?;
            prefix::compare(read, &now, &self.files)?;
        }
        self.base = self.files[..file].iter().map(|file| file.length).sum();
        self.file = file;
        let line = match known {
            _ if byte == 0 => 1,
            Some((there, line, _)) if there == at => line,
            // The cut was made before where the lane stood, at a record that nobody could carry.
            Some(_) => files::line_of(&self.files[file].name, byte)?,
            None => 0,
        };
        self.begin = (byte, line);
        self.row = start.position.row;
        if let Some(progress) = &mut self.progress {
            progress.from = start.position;
        }
        Ok(())
    }

    /// Opens the next file, where there is one.
    fn open(&mut self) -> Result<bool> {
        let Some(span) = self.files.get(self.file) else { return Ok(false) };
        let (byte, line) = self.begin;
        let mut opened = header::open(span, self.dialect)?;
        if let Some(expected) = &self.header {
            let names = header::read(&mut opened, span)?;
            header::agrees(&names, expected, span, &self.files[0])?;
        }
        if byte > opened.position() {
            let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
            let mut file = File::open(&span.name).map_err(failed)?;
            file.seek(SeekFrom::Start(byte)).map_err(failed)?;
            opened = Records::new(file, self.dialect, byte, span.length.saturating_sub(byte), line);
        }
        self.records = Some(opened);
        Ok(true)
    }

    /// Leaves a file that has been read to its end.
    fn leave(&mut self) {
        self.records = None;
        self.base += self.files[self.file].length;
        self.file += 1;
        self.begin = (0, 1);
    }

    /// Reads on; whether the lane may go on after what it has.
    fn read(&mut self, room: usize, until: Instant, rows: &mut Rows, dead: &mut Vec<DeadLetter>) -> Result<bool> {
        let from = self.position().at;
        while rows.len() + dead.len() < room {
            let Some(records) = &mut self.records else {
                if !self.open()? {
                    return Ok(false);
                }
                continue;
            };
            let name = &self.files[self.file].name;
            match records.next().map_err(|e| Error::new(format!("cannot read {name}")).because(e))? {
                Found::Record => {}
                Found::TooLong => {
                    let why = format!("no end of the row within {} KiB: is a quote not closed?", RECORD_MAX / 1024);
                    dead.push(letter(records, self.base, name, why));
                    continue;
                }
                Found::Read if Instant::now() >= until => break,
                Found::Read => {
                    if self.base + records.position() - from >= BYTES_MAX && rows.len() + dead.len() > 0 {
                        break;
                    }
                    continue;
                }
                Found::End => {
                    self.leave();
                    continue;
                }
            }
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

    /// Tells the facts what was read, and how much there may be.
    fn tell(&mut self, before: u64, ended: bool) {
        let position = self.position();
        let total: u64 = self.files.iter().map(|file| file.length).sum();
        let Some(progress) = &mut self.progress else { return };
        progress.facts.bytes_in.fetch_add(position.at.saturating_sub(before), Ordering::Relaxed);
        let (rows, bytes) = (position.row - progress.from.row, position.at.saturating_sub(progress.from.at));
        let rest = if ended { 0 } else { total.saturating_sub(position.at) };
        let more = (rows as f64 * (rest as f64 / bytes.max(1) as f64)) as u64;
        let expected = (rows + more).min(self.limit.saturating_sub(progress.from.row));
        // Lanes add up: each one changes its own share, up or down.
        progress.facts.expected.fetch_add(expected.wrapping_sub(progress.expected), Ordering::Relaxed);
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

impl Lane for CsvLane {
    fn next(&mut self, max: usize, until: Instant) -> Result<Next> {
        let left = usize::try_from(self.limit.saturating_sub(self.row)).unwrap_or(usize::MAX);
        let room = max.clamp(1, ROWS_MAX).min(left);
        if room == 0 {
            self.tell(self.position().at, true);
            return Ok(Next::End);
        }
        let before = self.position().at;
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
                Ok(Next::End)
            }
            (0, true) => Ok(Next::Quiet),
            _ => Ok(Next::Rows(self.decoder.batch(rows)?, dead)),
        }
    }

    fn position(&self) -> Position {
        let at = self.records.as_ref().map_or(self.begin.0, Records::position);
        Position { at: self.base + at, row: self.row }
    }

    fn carry(&self, cut: Position) -> Result<Vec<u8>> {
        let line = self.records.as_ref().map_or(self.begin.1, Records::line);
        let at = self.position().at;
        // What lies behind the cut may still be mended before the lane goes on there.
        let (file, byte) = files::locate(&self.files, cut.at).unwrap_or((self.file, at - self.base));
        let read = self.prefix.borrow_mut().up_to(&self.files, file, byte)?;
        let carry = Carry { files: self.files.clone(), at, line, kinds: self.decoder.kinds(), read };
        postcard::to_extend(&carry, vec![VERSION]).map_err(|e| Error::bug("a lane that cannot be saved").because(e))
    }
}
