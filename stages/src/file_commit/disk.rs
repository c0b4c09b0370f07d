//! Calls of the file system, with errors that name the path and what to do.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

/// How long other processes may hold a directory's lock. They hold it to list the directory, which takes milliseconds.
const DIRECTORY_LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const DIRECTORY_LOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The error of a call on a path; `what` is a verb, with its object where it needs one.
pub(super) fn path_error(what: &str, path: &Path, error: io::Error) -> Error {
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

/// Creates a directory and those above it, durably.
pub(super) fn create_dir(dir: &Path) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        return Err(Error::config(format!("`{}` is not a directory", dir.display())).help("choose another `dir`"));
    }
    aqpipe_engine::disk::create_dirs(dir).map_err(|error| path_error("create the directory", dir, error))
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| path_error("make durable what is in", dir, error))
}

/// Creates a file, never through a link.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    match options.open(path) {
        // A dead process left it: only this process uses the name.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

fn write_new_beside(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
    let temporary = dir.join(format!("{name}.{}.new", std::process::id()));
    let mut file = create_new(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(temporary)
}

/// Writes a small file in place of an earlier one, as a whole.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    let written = write_new_beside(dir, name, bytes).and_then(|temporary| std::fs::rename(temporary, &path));
    written.map_err(|error| path_error("write", &path, error))?;
    sync_dir(dir)
}

/// Writes a small file under the hidden name that it has until it is committed: who dies while writing it leaves no other name.
pub(super) fn stage(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| path_error("write", &path, error))?;
    sync_dir(dir)
}

/// Writes a small file that is not there yet, as a whole.
pub(super) fn create_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    let written = write_new_beside(dir, name, bytes).and_then(|temporary| rename_new(&temporary, &path));
    written.map_err(|error| path_error("create", &path, error))?;
    sync_dir(dir)
}

/// Removes a file; returns whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(path_error("remove", path, error)),
    }
}

/// A lock that lasts as long as the file is open; `None` where another process holds it.
pub(super) fn lock(path: &Path) -> Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).custom_flags(OFlags::NOFOLLOW.bits() as i32);
    let file = options.open(path).map_err(|error| path_error("open", path, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(path_error("lock", path, error.into())),
    }
}

/// A lock that other processes hold only for a moment: waits for it.
pub(super) fn lock_with_timeout(path: &Path) -> Result<File> {
    let until = Instant::now() + DIRECTORY_LOCK_TIMEOUT;
    loop {
        if let Some(file) = lock(path)? {
            return Ok(file);
        }
        if Instant::now() >= until {
            return Err(Error::new(format!("another process keeps `{}` locked", path.display()))
                .help("does a process hang that writes there? Stop it, then run again"));
        }
        std::thread::sleep(DIRECTORY_LOCK_POLL_INTERVAL);
    }
}

/// The length in bytes and the CRC-32 of a file.
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

/// Renames by a second name, for file systems that cannot rename without overwriting: a link never replaces a file.
pub(super) fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            // No second names either (FAT). Only this pipeline's writers use these names, and a split has one writer at a time,
            // so that nobody creates the file between the check and the rename.
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        Err(error) => Err(error),
    }
}

/// Whether two paths name one file.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.symlink_metadata().map(|file| (file.dev(), file.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}
