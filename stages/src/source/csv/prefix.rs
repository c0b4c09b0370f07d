//! Whether files are still those that were read before: checksums of all bytes up to where the reading stands.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use aqpipe_engine::{Error, Result};
use crc32fast::Hasher;

use super::files::FileSpan;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// The checksums (CRC-32) of what was read of each file of a lane. Bytes are read a second time for it, from the
/// system's cache: what was parsed a moment ago.
pub(super) struct Prefix {
    /// Of the files that were read to their end.
    whole: Vec<u32>,
    hasher: Hasher,
    /// How far the next file is in it.
    at: u64,
    file: Option<File>,
}

impl Prefix {
    /// Nothing was read.
    pub(super) fn new() -> Prefix {
        Prefix { whole: Vec::new(), hasher: Hasher::new(), at: 0, file: None }
    }

    /// The checksums up to a byte of a file, those of the files before it first.
    pub(super) fn up_to(&mut self, files: &[FileSpan], file: usize, byte: u64) -> Result<Vec<u32>> {
        while self.whole.len() < file {
            let span = &files[self.whole.len()];
            self.read(span, span.length)?;
            self.whole.push(std::mem::take(&mut self.hasher).finalize());
            (self.at, self.file) = (0, None);
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
        let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = File::open(&span.name).map_err(failed)?;
                file.seek(SeekFrom::Start(self.at)).map_err(failed)?;
                none.insert(file)
            }
        };
        let mut buffer = vec![0; CHUNK.min(usize::try_from(to - self.at).unwrap_or(CHUNK))];
        while self.at < to {
            let room = buffer.len().min(usize::try_from(to - self.at).unwrap_or(CHUNK));
            let read = file.read(&mut buffer[..room]).map_err(failed)?;
            if read == 0 {
                // Shorter than it was: the checksum says so.
                return Ok(());
            }
            self.hasher.update(&buffer[..read]);
            self.at += read as u64;
        }
        Ok(())
    }
}

/// The error of files whose bytes are not those that were read before.
pub(super) fn compare(before: &[u32], now: &[u32], files: &[FileSpan]) -> Result<()> {
    match before.iter().zip(now).position(|(before, now)| before != now) {
        None => Ok(()),
        Some(at) => {
            let name = files.get(at).map_or("a file", |file| &file.name);
            Err(Error::new(format!(
                "the files are not those that were read before: the beginning of {name} has changed"
            ))
            .help(
                "put back the file as it was and let the run end, or start from the beginning with `--fresh`, which \
                     forgets where the pipeline was",
            ))
        }
    }
}
