//! The file of a ledger: entries as bytes, each with its length and its checksum.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

use crate::disk;
use crate::error::{Error, Result};

/// The first bytes of a ledger; the digit is the version of what follows.
pub(super) const MAGIC: &[u8; 16] = b"aqpipe ledger 6\n";
/// Length and CRC-32, both little-endian, before the payload of each entry.
pub(super) const HEAD: usize = 8;
/// An entry larger than this is damage: states are bounded far below it.
const ENTRY_BYTES_MAX: usize = 1 << 30;

/// The error of a ledger that cannot be used.
pub(super) fn failed(path: &Path, what: &str, error: std::io::Error) -> Error {
    Error::new(format!("the ledger {} {what}", path.display())).because(error)
}

/// An entry as the file has it.
pub(super) fn encode<T: Serialize>(entry: &T, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut bytes = bytes;
    bytes.clear();
    bytes.resize(HEAD, 0);
    bytes = postcard::to_extend(entry, bytes).map_err(|e| Error::bug("a ledger entry cannot be encoded").because(e))?;
    let head = head(bytes.len() - HEAD, crc32fast::hash(&bytes[HEAD..]))?;
    bytes[..HEAD].copy_from_slice(&head);
    Ok(bytes)
}

fn head(length: usize, crc: u32) -> Result<[u8; HEAD]> {
    if length > ENTRY_BYTES_MAX {
        return Err(Error::new(format!("the state of this pipeline has {length} bytes, more than a ledger takes")));
    }
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(length as u32).to_le_bytes());
    head[4..].copy_from_slice(&crc.to_le_bytes());
    Ok(head)
}

/// Writes a new ledger beside the old one and puts it in its place, so that there is always a whole one: an empty one, or one with a
/// single entry. Returns the file, which is at its end, and its length.
pub(super) fn create<T: Serialize>(path: &Path, entry: Option<&T>) -> Result<(File, u64)> {
    let failed = |error| failed(path, if entry.is_some() { "cannot be rewritten" } else { "cannot be made" }, error);
    let fresh = path.with_extension("new");
    let mut file = disk::create_private(&fresh).map_err(failed)?;
    file.write_all(MAGIC).map_err(failed)?;
    let mut length = MAGIC.len();
    if let Some(entry) = entry {
        file.write_all(&[0; HEAD]).map_err(failed)?;
        // An entry may be as large as the state: it is not held in memory once more.
        let mut out = BufWriter::new(Summed { file: &file, crc: crc32fast::Hasher::new(), length: 0, failure: None });
        let written = postcard::to_io(entry, &mut out).map(drop);
        let flushed = out.flush();
        let Summed { crc, length: payload, failure, .. } = out.into_parts().0;
        if let Some(error) = failure.or(flushed.err()) {
            return Err(failed(error));
        }
        written.map_err(|e| Error::bug("a ledger entry cannot be encoded").because(e))?;
        let crc = crc.finalize();
        file.seek(SeekFrom::Start(length as u64)).map_err(failed)?;
        file.write_all(&head(payload, crc)?).map_err(failed)?;
        length += HEAD + payload;
        file.seek(SeekFrom::Start(length as u64)).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)?;
    disk::sync_dir(&disk::parent_of(path)).map_err(failed)?;
    Ok((file, length as u64))
}

/// Reads a ledger entry by entry; `each` gets the payloads. Returns how many bytes are whole: a torn last entry (the process died while
/// it wrote) was never decided.
pub(super) fn read(
    path: &Path,
    source: impl Read,
    length: u64,
    mut each: impl FnMut(&[u8]) -> std::result::Result<(), postcard::Error>,
) -> Result<u64> {
    let damaged = |at: u64, what: &str| {
        Error::new(format!("the ledger {} is damaged: {what}", path.display()))
            .at(format!("byte {at}"))
            .help("put back a copy of it, or start afresh with `--fresh`")
    };
    let failed = |error| failed(path, "cannot be read", error);
    let mut source = BufReader::with_capacity(64 << 10, source);
    // What is there of so many bytes: a length that is damaged asks for no memory.
    let mut take = |bytes: &mut Vec<u8>, count: u64| {
        bytes.clear();
        source.by_ref().take(count).read_to_end(bytes).map_err(failed)
    };
    let mut bytes = Vec::new();
    take(&mut bytes, MAGIC.len() as u64)?;
    if bytes != MAGIC {
        let other_version = bytes.starts_with(b"aqpipe ledger ");
        let what =
            if other_version { "another version of aqpipe wrote it" } else { "it does not start as a ledger does" };
        return Err(damaged(0, what));
    }
    let mut at = MAGIC.len() as u64;
    let mut head = Vec::new();
    while take(&mut head, HEAD as u64)? == HEAD {
        let (stated, crc) = head.split_at(4);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        let (stated, crc) = (number(stated), number(crc));
        take(&mut bytes, u64::from(stated))?;
        let end = at + HEAD as u64 + u64::from(stated);
        if stated == 0 || bytes.len() as u64 != u64::from(stated) || crc32fast::hash(&bytes) != crc {
            // Only what the last append left may be torn: its bytes reach to the end of the file, or the file was
            // lengthened before they came.
            let mut torn = length <= end || head.iter().chain(&bytes).all(|byte| *byte == 0);
            while length > end && torn && take(&mut bytes, 64 << 10)? > 0 {
                torn = bytes.iter().all(|byte| *byte == 0);
            }
            return if torn { Ok(at) } else { Err(damaged(at, "an entry in its middle is not whole")) };
        }
        each(&bytes)
            .map_err(|e| damaged(at, "an entry cannot be read, perhaps written by another version").because(e))?;
        at = end;
    }
    Ok(at)
}

/// Writes to a file, and knows the checksum of what it wrote.
struct Summed<'a> {
    file: &'a File,
    crc: crc32fast::Hasher,
    length: usize,
    /// Why a write failed.
    failure: Option<std::io::Error>,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.file.write(bytes) {
            Ok(written) => {
                self.crc.update(&bytes[..written]);
                self.length += written;
                Ok(written)
            }
            Err(error) => {
                let kind = error.kind();
                // One that is tried again is no failure.
                if kind != std::io::ErrorKind::Interrupted {
                    self.failure = Some(error);
                }
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
