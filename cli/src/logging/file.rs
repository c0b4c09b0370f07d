//! Log files: written a line at a time, put aside when it is time, opened anew where somebody else did that.
//!
//! Several processes may write to one file. Crates that rotate logs know of one process only: the others go on in a file
//! that is renamed again and again, and at last deleted. Here each line looks which file has the name now. The one that
//! rotates holds a lock on the file; the others do not wait for it.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aqpipe_engine::config::LogRotation;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::notices::{Notice, Notices};
use super::rotation::Rotation;

/// The pause after a rotation, or the opening of a file, that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(60);
const DAY_SECS: u64 = 86_400;
/// The rights of a new file, which the process's mask narrows.
const NEW_FILE_MODE: u32 = 0o666;

/// A file that several threads append to, a line at a time.
#[derive(Clone)]
pub(super) struct LogFile(Arc<Mutex<OpenLog>>);

/// What can go wrong with a file.
#[derive(Clone, Copy)]
enum Step {
    Write,
    Open,
    Rotate,
}

struct OpenLog {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: File,
    /// Device and inode of a regular file. Others, such as a pipe, are never opened anew or rotated.
    identity: Option<(u64, u64)>,
    size: u64,
    /// The day in UTC, since 1970, of the lines in it.
    day: u64,
    /// By step: when it failed last, until it succeeds again.
    failed: [Option<Instant>; 3],
    notices: Notices,
    /// The pipeline whose lines it holds, where it holds those of one.
    pipeline: Option<String>,
}

impl LogFile {
    pub(super) fn open(
        path: &Path,
        rotation: Option<Rotation>,
        pipeline: Option<String>,
        notices: Notices,
    ) -> Result<LogFile> {
        let file = open(path, NEW_FILE_MODE);
        let file = file.with_context(|| format!("the log file {} cannot be opened", path.display()))?;
        let path = path.to_owned();
        let mut log =
            OpenLog { path, rotation, file, identity: None, size: 0, day: 0, failed: [None; 3], notices, pipeline };
        log.look_at_file();
        Ok(LogFile(Arc::new(Mutex::new(log))))
    }

    /// Opens the file with that name, whatever became of the one that was written to.
    pub(super) fn open_anew(&self) {
        if let Ok(mut log) = self.0.lock() {
            log.open_anew();
        }
    }
}

impl io::Write for LogFile {
    /// Takes a whole line. What goes wrong is said once and never ends what is logged about.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Ok(mut log) = self.0.lock() {
            log.write(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogFile {
    type Writer = LogFile;

    fn make_writer(&'w self) -> LogFile {
        self.clone()
    }
}

impl OpenLog {
    fn write(&mut self, line: &[u8]) {
        self.follow_name();
        self.rotate_if_due(line.len() as u64);
        let mut written = self.file.write_all(line);
        // Other processes have rotated so often since the name was looked up that this file, the oldest, was deleted.
        if self.identity.is_some()
            && self.file.metadata().is_ok_and(|file| file.nlink() == 0)
            && self.may_try(Step::Open)
        {
            self.open_anew();
            written = self.file.write_all(line);
        }
        let outcome = written.map_err(|error| format!("lines are lost, for the log file cannot be written: {error}"));
        self.note(Step::Write, outcome);
    }

    /// Opens the file that has the name now, if it is another one.
    fn follow_name(&mut self) {
        let Some(identity) = self.identity else { return };
        match fs::metadata(&self.path) {
            Ok(named) if identity_of(&named) == identity => self.size = named.len(),
            _ if self.may_try(Step::Open) => self.open_anew(),
            _ => {}
        }
    }

    fn open_anew(&mut self) {
        let mode = self.file.metadata().map_or(NEW_FILE_MODE, |file| file.permissions().mode() & NEW_FILE_MODE);
        let outcome = open(&self.path, mode).map(|file| {
            self.file = file;
            self.look_at_file();
        });
        self.note(Step::Open, outcome.map_err(|error| format!("lines go on into the file that had the name: {error}")));
    }

    fn look_at_file(&mut self) {
        let Ok(found) = self.file.metadata() else { return };
        self.identity = found.is_file().then(|| identity_of(&found));
        self.size = found.len();
        self.day = found.modified().map_or_else(|_| today(), day_of);
    }

    fn rotate_if_due(&mut self, more: u64) {
        let Some(rotation) = self.rotation.filter(|_| self.identity.is_some()) else { return };
        if self.size == 0 {
            self.day = today();
            return;
        }
        let is_due = match rotation.at {
            LogRotation::Daily => self.day != today(),
            LogRotation::Size(bytes) => self.size + more > bytes,
        };
        if is_due && self.may_try(Step::Rotate) {
            let outcome = self.rotate(rotation);
            self.note(
                Step::Rotate,
                outcome.map_err(|error| format!("lines go on into it, for it cannot be rotated: {error}")),
            );
        }
    }

    fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        match self.file.try_lock() {
            Ok(()) => {}
            // Another process rotates it just now: the next line finds the new one.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Since the name was looked up, another process may have come first.
        let named = fs::metadata(&self.path);
        let outcome = match named.as_ref().map(identity_of) {
            // Where the name is a link, the file that it leads to is put aside.
            Ok(identity) if Some(identity) == self.identity => {
                fs::canonicalize(&self.path).and_then(|path| rotation.put_aside(&path))
            }
            _ => Ok(()),
        };
        let _ = self.file.unlock();
        outcome?;
        self.open_anew();
        Ok(())
    }

    /// Whether a step did not fail just before.
    fn may_try(&self, step: Step) -> bool {
        self.failed[step as usize].is_none_or(|failed| failed.elapsed() >= RETRY_PAUSE)
    }

    /// Says what went wrong, the first time.
    fn note(&mut self, step: Step, outcome: Result<(), String>) {
        let Err(what) = outcome else {
            self.failed[step as usize] = None;
            return;
        };
        if self.failed[step as usize].replace(Instant::now()).is_none() {
            let text = format!("log file {}: {what}", self.path.display());
            self.notices.log(Notice { level: Level::WARN, pipeline: self.pipeline.clone(), text, repeated: None });
        }
    }
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(mode).open(path)
}

fn identity_of(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

fn day_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / DAY_SECS)
}

fn today() -> u64 {
    day_of(SystemTime::now())
}

#[cfg(test)]
mod tests;
