//! The bytes of a file as it is stored, up to where they are to be read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// The bytes of an open file from one place to another, `u64::MAX` for its end. Readers of one file do not disturb each other.
#[derive(Debug)]
pub(super) struct StoredBytes {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl StoredBytes {
    pub(super) fn new(file: Arc<File>, from: u64, end: u64) -> StoredBytes {
        StoredBytes { file, at: from, end }
    }

    /// The file is to be read further than was known.
    pub(super) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }
}

impl Read for StoredBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..room], self.at)?;
        if read == 0 && self.end != u64::MAX {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, SHORTER));
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// What is said of a file that lost its end.
pub(super) const SHORTER: &str = "it became shorter while it was read";
