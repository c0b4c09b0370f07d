//! What is known of a file between the barrier and the commit.

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

/// A file that is durable and not visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prepared {
    version: u8,
    /// The directory as the configuration named it then: an edited `dir` must not strand what was decided before.
    pub(super) dir: String,
    pub(super) temporary: String,
    pub(super) name: String,
    pub(super) length: u64,
    /// CRC-32.
    pub(super) checksum: u32,
    pub(super) rows: u64,
}

impl Prepared {
    pub(super) fn new(dir: String, temporary: String, name: String, seal: (u64, u32), rows: u64) -> Prepared {
        let (length, checksum) = seal;
        Prepared { version: VERSION, dir, temporary, name, length, checksum, rows }
    }

    /// The files of one checkpoint.
    pub(super) fn to_bytes(files: &[Prepared]) -> Result<Vec<u8>> {
        postcard::to_stdvec(files).map_err(|error| Error::bug("a prepared file cannot be noted").because(error))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<Prepared>> {
        let unreadable = || Error::new("what was noted of a prepared file cannot be read back");
        let files: Vec<Prepared> = postcard::from_bytes(bytes).map_err(|error| unreadable().because(error))?;
        let plain = |name: &str| !name.is_empty() && !name.contains('/') && name != "..";
        let strange = |file: &Prepared| file.version != VERSION || !plain(&file.temporary) || !plain(&file.name);
        if files.iter().any(strange) {
            return Err(unreadable().help("it was noted by another version of aqpipe"));
        }
        Ok(files)
    }
}
