//! A file that is being written under a hidden name.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aqpipe_engine::{Result, fault};

use super::disk::{create_new, path_error};

/// Bytes that are collected before they are written: large enough that a system call costs nothing beside them.
const WRITE_CHUNK_BYTES: usize = 256 << 10;

/// A file that is being written under a hidden name. [`OutputDir::create`](super::OutputDir::create) makes it and
/// [`OutputDir::prepare`](super::OutputDir::prepare) takes it; dropping it instead removes the file, for nobody will read it and
/// the disk may be full.
///
/// Bytes go in by [`Write`], or by [`buffer`](Self::buffer) and [`flush_if_large`](Self::flush_if_large) where an encoder
/// appends to a vector. Either way at most some 256 KiB and one append wait in memory.
#[derive(Debug)]
pub struct TempFile {
    path: PathBuf,
    pub(super) name: String,
    file: File,
    buffer: Vec<u8>,
    hasher: crc32fast::Hasher,
    length: u64,
    /// A failed write leaves unknown bytes in the file, so that nothing may be written behind them.
    write_failed: bool,
    finished: bool,
}

impl TempFile {
    pub(super) fn create(dir: &Path, name: String) -> Result<TempFile> {
        let path = dir.join(&name);
        Ok(TempFile {
            file: create_new(&path).map_err(|error| path_error("create", &path, error))?,
            path,
            name,
            buffer: Vec::new(),
            hasher: crc32fast::Hasher::new(),
            length: 0,
            write_failed: false,
            finished: false,
        })
    }

    /// The bytes that wait to be written, for an encoder to append to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer once it is large. Call it after each append.
    ///
    /// # Errors
    /// Where the disk is full or fails. The file is then lost.
    pub fn flush_if_large(&mut self) -> Result<()> {
        if self.buffer.len() < WRITE_CHUNK_BYTES {
            return Ok(());
        }
        self.write_buffer().map_err(|error| path_error("write", &self.path, error))
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if self.write_failed {
            return Err(io::Error::other("an earlier write to this file failed"));
        }
        self.write_failed = true;
        self.file.write_all(&self.buffer)?;
        self.write_failed = false;
        self.hasher.update(&self.buffer);
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the bytes durable and returns their number and CRC-32. After a failure the file is removed: a system that
    /// failed to write pages may report success for the next attempt.
    pub(super) fn finish(mut self) -> Result<(u64, u32)> {
        self.write_buffer().map_err(|error| path_error("write", &self.path, error))?;
        let synced = fault::point("prepare.sync").and_then(|()| self.file.sync_all());
        synced.map_err(|error| path_error("make durable", &self.path, error))?;
        self.finished = true;
        Ok((self.length, std::mem::take(&mut self.hasher).finalize()))
    }
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_CHUNK_BYTES {
            self.write_buffer()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_buffer()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: the next start removes orphans.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
