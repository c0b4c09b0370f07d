//! Checksums of everything read of a split's files, by which a later run recognises them.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::input_files::InputFile;

/// Bytes read at once.
const READ_CHUNK_BYTES: usize = 256 << 10;
/// Open files that wait for their checksum: a split over many small files must not use up the files that a process may open.
/// Further ones are opened again by their names.
const OPEN_FILES_MAX: usize = 16;
/// How far apart two changes of a file must be to have different times: some file systems count whole seconds.
pub(super) const TIMESTAMP_GRANULARITY: Duration = Duration::from_secs(2);

/// The checksums (CRC-32) of what was read of each file of a split. Bytes are read a second time for them, from the system's
/// cache: they were parsed a moment ago.
#[derive(Default)]
pub(super) struct PrefixChecksum {
    /// Of the files that were read to the end.
    whole: Vec<u32>,
    hasher: Hasher,
    /// Bytes of the current file in `hasher`.
    at: u64,
    /// Open files, by their number in the split: the bytes that the split reads, whatever file has the name meanwhile.
    open: VecDeque<(usize, File)>,
}

impl PrefixChecksum {
    /// The checksums of an earlier run: those of whole files, and of the first `at` bytes of the next file.
    pub(super) fn known(whole: Vec<u32>, hasher: Hasher, at: u64) -> PrefixChecksum {
        PrefixChecksum { whole, hasher, at, open: VecDeque::new() }
    }

    /// The checksum of the first bytes of the file after the whole ones, and how many bytes those are.
    pub(super) fn current(&self) -> (Hasher, u64) {
        (self.hasher.clone(), self.at)
    }

    /// Keeps a file that the split has opened.
    pub(super) fn opened(&mut self, number: usize, file: &File) {
        if self.open.len() < OPEN_FILES_MAX
            && let Ok(file) = file.try_clone()
        {
            self.open.push_back((number, file));
        }
    }

    /// The checksums of the files before `file`, and of the first bytes of that.
    pub(super) fn up_to(&mut self, files: &[InputFile], file: usize, byte: u64) -> Result<Vec<u32>> {
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

    fn read(&mut self, span: &InputFile, to: u64) -> Result<()> {
        if to <= self.at {
            return Ok(());
        }
        let number = self.whole.len();
        if !self.open.iter().any(|(open, _)| *open == number) {
            self.open.push_front((number, File::open(&span.name).map_err(|e| unreadable(span, e))?));
        }
        let Some((_, file)) = self.open.iter().find(|(open, _)| *open == number) else { return Ok(()) };
        // If the file became shorter, the checksum differs.
        self.at = add(&mut self.hasher, file, self.at, to).map_err(|e| unreadable(span, e))?;
        Ok(())
    }
}

fn unreadable(span: &InputFile, cause: std::io::Error) -> Error {
    Error::new(format!("cannot read {}", span.name)).because(cause)
}

/// Adds the bytes `from..to` of a file; returns where it stopped, which is before `to` if the file is shorter.
fn add(hasher: &mut Hasher, file: &File, from: u64, to: u64) -> std::io::Result<u64> {
    let mut at = from;
    let mut buffer =
        vec![0; READ_CHUNK_BYTES.min(usize::try_from(to.saturating_sub(from)).unwrap_or(READ_CHUNK_BYTES))];
    while at < to {
        let room = buffer.len().min(usize::try_from(to - at).unwrap_or(READ_CHUNK_BYTES));
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

/// The hashers of a file's first bytes, for each of some ascending lengths; `None` where the file is shorter.
pub(super) fn prefix_hashers(span: &InputFile, lengths: &[u64]) -> Result<Vec<Option<Hasher>>> {
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

/// A file's length and times: whether they change tells whether the file did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether the last change is so recent that the next one may have the same time.
    unsure: bool,
}

impl FileStamp {
    pub(super) fn of(file: &File) -> std::io::Result<FileStamp> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata()?;
        let recent = |time: SystemTime| time.elapsed().map_or(true, |since| since < TIMESTAMP_GRANULARITY);
        Ok(FileStamp {
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            unsure: metadata.modified().map_or(true, recent),
        })
    }

    /// Whether the file is certainly unchanged.
    pub(super) fn is_unchanged(&self, now: &FileStamp) -> bool {
        !self.unsure && (self.length, self.modified, self.changed) == (now.length, now.modified, now.changed)
    }
}

/// Whether the first `length` bytes of a file have this checksum.
pub(super) fn begins_with(file: &File, length: u64, checksum: u32) -> std::io::Result<bool> {
    let mut hasher = Hasher::new();
    Ok(add(&mut hasher, file, 0, length)? == length && hasher.finalize() == checksum)
}
