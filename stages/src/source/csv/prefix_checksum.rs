//! Checksums of everything read of a split's files, by which a later run recognises them.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::file_form::FileForm;
use super::file_text::FileText;
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
    open: VecDeque<(usize, Arc<File>)>,
    /// The text of the current file, where it cannot be read from its middle: it stands at `at`.
    text: Option<FileText>,
}

impl PrefixChecksum {
    /// The checksums of an earlier run: those of whole files, and of the first `at` bytes of the next file.
    pub(super) fn known(whole: Vec<u32>, hasher: Hasher, at: u64) -> PrefixChecksum {
        PrefixChecksum { whole, hasher, at, open: VecDeque::new(), text: None }
    }

    /// Forgets all of the current file, which turned out to hold nothing.
    pub(super) fn drop_current(&mut self, number: usize) {
        self.open.retain(|(open, _)| *open != number);
        if self.whole.len() == number {
            (self.hasher, self.at, self.text) = (Hasher::new(), 0, None);
        }
    }

    /// Forgets the first files; returns the checksums of those that were read.
    pub(super) fn forget_first(&mut self, count: usize) -> Vec<u32> {
        self.open.iter_mut().for_each(|(number, _)| *number -= count);
        self.whole.drain(..count).collect()
    }

    /// The checksum of the first bytes of a file, and how many bytes those are; the files before it were read.
    pub(super) fn current(&mut self, files: &[InputFile], file: usize, byte: u64) -> Result<(Hasher, u64)> {
        self.up_to(files, file, byte)?;
        Ok((self.hasher.clone(), self.at))
    }

    /// Keeps a file that the split has opened.
    pub(super) fn opened(&mut self, number: usize, file: &Arc<File>) {
        if self.open.len() < OPEN_FILES_MAX {
            self.open.push_back((number, Arc::clone(file)));
        }
    }

    /// The checksums of the files before `file`, and of the first bytes of that.
    pub(super) fn up_to(&mut self, files: &[InputFile], file: usize, byte: u64) -> Result<Vec<u32>> {
        while self.whole.len() < file {
            let span = &files[self.whole.len()];
            self.read(span, span.length)?;
            self.whole.push(std::mem::take(&mut self.hasher).finalize());
            (self.at, self.text) = (0, None);
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

    fn skip_to_begin(&mut self, span: &InputFile) {
        if self.at < span.from {
            (self.at, self.hasher) = (span.from, Hasher::new_with_initial(span.before));
        }
    }

    fn read(&mut self, span: &InputFile, to: u64) -> Result<()> {
        self.skip_to_begin(span);
        if to <= self.at {
            return Ok(());
        }
        let number = self.whole.len();
        if !self.open.iter().any(|(open, _)| *open == number) {
            self.open.push_front((number, Arc::new(File::open(&span.name).map_err(|e| unreadable(span, e))?)));
        }
        let Some((_, file)) = self.open.iter().find(|(open, _)| *open == number) else { return Ok(()) };
        // If the file became shorter, the checksum differs.
        self.at = if span.form.is_plain() {
            add(&mut self.hasher, file, self.at, to)
        } else {
            let text = match &mut self.text {
                Some(text) => Ok(text),
                None => FileText::open(file, span.form, u64::MAX, self.at).map(|text| self.text.insert(text)),
            };
            text.and_then(|text| add_text(&mut self.hasher, text, self.at, to))
        }
        .map_err(|e| unreadable(span, e))?;
        Ok(())
    }
}

/// Adds the bytes `from..to` of a text that stands at `from`; returns where it stopped.
fn add_text(hasher: &mut Hasher, text: &mut FileText, from: u64, to: u64) -> std::io::Result<u64> {
    Ok(from + text.each_chunk(to.saturating_sub(from), |bytes| hasher.update(bytes))?)
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
    let failed = |e| unreadable(span, e);
    let file = Arc::new(File::open(&span.name).map_err(failed)?);
    let (mut hasher, mut at) = (Hasher::new(), 0);
    let mut text = FileText::open(&file, span.form, span.stored, 0).map_err(failed)?;
    let mut found = Vec::with_capacity(lengths.len());
    for length in lengths {
        if at < *length && *length <= span.length {
            at = match span.form.is_plain() {
                true => add(&mut hasher, &file, at, *length),
                false => add_text(&mut hasher, &mut text, at, *length),
            }
            .map_err(failed)?;
        }
        found.push((at == *length).then(|| hasher.clone()));
    }
    Ok(found)
}

/// The length of a file's text, whatever its form.
pub(super) fn text_length(span: &InputFile) -> Result<u64> {
    if span.form.is_plain() {
        return Ok(span.stored);
    }
    let length = |file| FileText::open(&Arc::new(file), span.form, span.stored, 0)?.each_chunk(u64::MAX, |_| {});
    File::open(&span.name).and_then(length).map_err(|e| unreadable(span, e))
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

/// Whether the first `length` bytes of a file's text have this checksum.
pub(super) fn begins_with(file: &Arc<File>, form: FileForm, length: u64, checksum: u32) -> std::io::Result<bool> {
    let mut hasher = Hasher::new();
    let there = if form.is_plain() {
        add(&mut hasher, file, 0, length)?
    } else {
        add_text(&mut hasher, &mut FileText::open(file, form, u64::MAX, 0)?, 0, length)?
    };
    Ok(there == length && hasher.finalize() == checksum)
}
