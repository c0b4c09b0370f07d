//! A file that is being written and that nobody sees.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result, fault};

use super::disk::{create_new, failed};

/// How much is collected before it is written.
const CHUNK: usize = 256 << 10;

/// A file that is being written. Unless it is [sealed](Self::seal), dropping it removes it: what a split wrote that it
/// lost is of no use to anybody, least of all on a disk that is full.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    pub(super) name: String,
    file: File,
    waiting: Vec<u8>,
    hasher: crc32fast::Hasher,
    length: u64,
    is_lost: bool,
    sealed: bool,
}

impl Temporary {
    pub(super) fn create(dir: &Path, name: String) -> Result<Temporary> {
        let path = dir.join(&name);
        Ok(Temporary {
            file: create_new(&path).map_err(|error| failed("create", &path, error))?,
            path,
            name,
            waiting: Vec::new(),
            hasher: crc32fast::Hasher::new(),
            length: 0,
            is_lost: false,
            sealed: false,
        })
    }

    /// Where to append what is to be written.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Writes what was appended, once it is worth it.
    pub(crate) fn write_much(&mut self) -> Result<()> {
        if self.waiting.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        // What a failed write left in the file is not known: the file is lost, and so is the cut.
        if self.is_lost {
            return Err(Error::bug(format!("wrote to `{}` after that had failed", self.path.display())));
        }
        self.file.write_all(&self.waiting).map_err(|error| {
            self.is_lost = true;
            failed("write", &self.path, error)
        })?;
        self.hasher.update(&self.waiting);
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Makes the bytes durable and returns how many they are, and their CRC-32. After a failure the file is removed: a
    /// system that failed to write pages may call the next attempt a success.
    pub(super) fn seal(mut self) -> Result<(u64, u32)> {
        self.write()?;
        let synced = fault::point("prepare.sync").and_then(|()| self.file.sync_all());
        synced.map_err(|error| failed("make durable", &self.path, error))?;
        self.sealed = true;
        Ok((self.length, std::mem::take(&mut self.hasher).finalize()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.sealed {
            // Best effort: the next start sweeps.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
