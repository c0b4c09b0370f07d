//! A file between its barrier and its commit.

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

const STAGED_FILE_FORMAT_VERSION: u8 = 1;

/// A file that is durable and not visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagedFile {
    version: u8,
    /// The directory as the configuration named it then: an edited `dir` must not strand a committed file.
    pub(super) dir: String,
    pub(super) hidden_name: String,
    pub(super) visible_name: String,
    /// Bytes.
    pub(super) length: u64,
    /// CRC-32.
    pub(super) checksum: u32,
    /// Records, for messages.
    pub(super) rows: u64,
}

impl StagedFile {
    pub(super) fn new(
        dir: String,
        hidden_name: String,
        visible_name: String,
        (length, checksum): (u64, u32),
        rows: u64,
    ) -> StagedFile {
        StagedFile { version: STAGED_FILE_FORMAT_VERSION, dir, hidden_name, visible_name, length, checksum, rows }
    }

    /// The files of one checkpoint, for the commit log.
    pub(super) fn to_bytes(files: &[StagedFile]) -> Result<Vec<u8>> {
        postcard::to_stdvec(files).map_err(|error| Error::bug("a staged file cannot be written down").because(error))
    }

    /// The files that [`to_bytes`](Self::to_bytes) wrote down. None for no bytes, which say that nothing was staged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<StagedFile>> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let unreadable = || Error::new("the commit log's record of a staged file cannot be read");
        let files: Vec<StagedFile> = postcard::from_bytes(bytes).map_err(|error| unreadable().because(error))?;
        // A name with a directory in it would reach out of `dir`.
        let is_plain = |name: &str| !name.is_empty() && !name.contains('/') && name != "..";
        let is_own = |file: &StagedFile| {
            file.version == STAGED_FILE_FORMAT_VERSION && is_plain(&file.hidden_name) && is_plain(&file.visible_name)
        };
        if !files.iter().all(is_own) {
            return Err(unreadable().help("another version of aqpipe wrote it"));
        }
        Ok(files)
    }

    /// Whether a file has this length and checksum.
    pub(super) fn matches(&self, found: (u64, u32)) -> bool {
        found == (self.length, self.checksum)
    }
}
