//! What a store asks of the file system, with errors that name the path and the way out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use aqpipe_engine::{Error, Result};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

/// What could not be done with a path.
pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotADirectory {
        return Error::config(format!("`{}` is not a directory, or is in something that is none", path.display()))
            .help("choose another `dir`");
    }
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there, then run again",
        io::ErrorKind::PermissionDenied => "let this user write there, or choose another `dir`",
        io::ErrorKind::ReadOnlyFilesystem => "choose another `dir`",
        _ => "",
    };
    let failed = Error::new(format!("cannot {what} `{}`", path.display())).because(error);
    if help.is_empty() { failed } else { failed.help(help) }
}

/// Creates a directory and those above it.
pub(super) fn create_dir(dir: &Path) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        return Err(Error::config(format!("`{}` is not a directory", dir.display())).help("choose another `dir`"));
    }
    std::fs::create_dir_all(dir).map_err(|error| failed("create the directory", dir, error))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| failed("make durable what is in", dir, error))
}

/// Writes a small file in place of an earlier one, as a whole.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    // Instances that start at once do this at once.
    let temporary = dir.join(format!("{name}.{}.new", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    };
    write().map_err(|error| failed("write", &path, error))?;
    sync_dir(dir)
}

/// Removes a file; that it is not there is fine.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("remove", path, error)),
    }
}

/// A lock that lasts as long as the file is open; `None` where another process has it.
pub(super) fn lock(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| failed("open", path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed("lock", path, error.into())),
    }
}

/// The length and the CRC-32 of a file.
pub(super) fn checksum(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((length, hasher.finalize())),
            read => {
                hasher.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Renames without overwriting, whatever the file system offers for that.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(from, to),
        done => done.map_err(Into::into),
    }
}

/// For file systems that cannot rename without overwriting: a second name is never put over a file either.
pub(super) fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            // No second names either (FAT). Only this store's writers use these names, and each one lane at a time, so
            // that nobody puts a file there between the look and the rename.
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        Err(error) => Err(error),
    }
}

/// Whether two names are of one file.
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.symlink_metadata().map(|file| (file.dev(), file.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}
