//! Whether files are still those that were read before: checksums of all bytes up to where the reading stands.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::files::FileSpan;

/// How much is read at once.
const CHUNK: usize = 256 << 10;
/// How many open files wait for their checksum: a split through many small files must not use up all that a process may
/// have. Those beyond are opened once more by their names.
const HANDLES_MAX: usize = 16;
/// How recent a change may be for a file system to give the next one another time: some count whole seconds.
pub(super) const COARSE: Duration = Duration::from_secs(2);

/// The checksums (CRC-32) of what was read of each file of a split. Bytes are read a second time for it, from the
/// system's cache: what was parsed a moment ago.
#[derive(Default)]
pub(super) struct Prefix {
    /// Of the files that were read to their end.
    whole: Vec<u32>,
    hasher: Hasher,
    /// How far the next file is in it.
    at: u64,
    /// Files that are open, by their number in the split: what is read there is what the split reads, whatever takes
    /// their names meanwhile.
    open: VecDeque<(usize, File)>,
}

impl Prefix {
    /// What was read before: the checksums of whole files, and of the next one's beginning.
    pub(super) fn known(whole: Vec<u32>, hasher: Hasher, at: u64) -> Prefix {
        Prefix { whole, hasher, at, open: VecDeque::new() }
    }

    /// The checksum of the beginning of the file after the whole ones, and how many bytes that is.
    pub(super) fn beginning(&self) -> (Hasher, u64) {
        (self.hasher.clone(), self.at)
    }

    /// Takes note of a file that the split has opened.
    pub(super) fn opened(&mut self, number: usize, file: &File) {
        if self.open.len() < HANDLES_MAX
            && let Ok(file) = file.try_clone()
        {
            self.open.push_back((number, file));
        }
    }

    /// The checksums up to a byte of a file, those of the files before it first.
    pub(super) fn up_to(&mut self, files: &[FileSpan], file: usize, byte: u64) -> Result<Vec<u32>> {
        while self.whole.len() < file {
            let span = &files[self.whole.len()];
            self.read(span, span.length)?;
            self.whole.push(std::mem::take(&mut self.hasher).finalize());
            self.at = 0;
            self.open.retain(|(number, _)| *number >= self.whole.len());
        }
        // The end of the last file may lie behind it.
        if self.whole.len() > file {
            return Ok(self.whole[..=file].to_vec());
        }
        if let Some(span) = files.get(file) {
            self.read(span, byte)?;
        }
        Ok(self.whole.iter().copied().chain([self.hasher.clone().finalize()]).collect())
    }

    fn read(&mut self, span: &FileSpan, to: u64) -> Result<()> {
        if to <= self.at {
            return Ok(());
        }
        let number = self.whole.len();
        if !self.open.iter().any(|(open, _)| *open == number) {
            self.open.push_front((number, File::open(&span.name).map_err(|e| unreadable(span, e))?));
        }
        let Some((_, file)) = self.open.iter().find(|(open, _)| *open == number) else { return Ok(()) };
        // Where it is shorter than it was, the checksum says so.
        self.at = add(&mut self.hasher, file, self.at, to).map_err(|e| unreadable(span, e))?;
        Ok(())
    }
}

fn unreadable(span: &FileSpan, cause: std::io::Error) -> Error {
    Error::new(format!("cannot read {}", span.name)).because(cause)
}

/// Adds the bytes of a file from one place to another; returns how far it came, which is less where it is shorter.
fn add(hasher: &mut Hasher, file: &File, from: u64, to: u64) -> std::io::Result<u64> {
    let mut at = from;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(to.saturating_sub(from)).unwrap_or(CHUNK))];
    while at < to {
        let room = buffer.len().min(usize::try_from(to - at).unwrap_or(CHUNK));
        match file.read_at(&mut buffer[..room], at) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}

/// The state of checksums of a file's first bytes at each of some lengths, which are in order; `None` for those that the
/// file does not have.
pub(super) fn beginnings(span: &FileSpan, lengths: &[u64]) -> Result<Vec<Option<Hasher>>> {
    let file = File::open(&span.name).map_err(|e| unreadable(span, e))?;
    let (mut hasher, mut at) = (Hasher::new(), 0);
    let mut found = Vec::with_capacity(lengths.len());
    for length in lengths {
        if at < *length && *length <= span.length {
            at = add(&mut hasher, &file, at, *length).map_err(|e| unreadable(span, e))?;
        }
        found.push((at == *length).then(|| hasher.clone()));
    }
    Ok(found)
}

/// What a file looks like from outside while it is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether a change may have left it as it is.
    unsure: bool,
}

impl Stamp {
    pub(super) fn of(file: &File) -> std::io::Result<Stamp> {
        use std::os::unix::fs::MetadataExt as _;
        let metrics = file.metadata()?;
        let recent = |time: SystemTime| time.elapsed().map_or(true, |since| since < COARSE);
        Ok(Stamp {
            length: metrics.len(),
            modified: (metrics.mtime(), metrics.mtime_nsec()),
            changed: (metrics.ctime(), metrics.ctime_nsec()),
            unsure: metrics.modified().map_or(true, recent),
        })
    }

    /// Whether the file is for certain what it was.
    pub(super) fn is_still(&self, now: &Stamp) -> bool {
        !self.unsure && (self.length, self.modified, self.changed) == (now.length, now.modified, now.changed)
    }
}

/// Whether the first bytes of a file have this checksum.
pub(super) fn begins_with(file: &File, length: u64, checksum: u32) -> std::io::Result<bool> {
    let mut hasher = Hasher::new();
    Ok(add(&mut hasher, file, 0, length)? == length && hasher.finalize() == checksum)
}
