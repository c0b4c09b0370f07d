//! The directory of a local Kafka.
//!
//! ```text
//! .aqpipe/kafka/
//!   cluster.json        ports, number of brokers, properties, for the next `up`
//!   lock                held by a running `up` or `down`
//!   node-1/             a broker: server.properties, log4j2.properties, broker.log, console.log, pid
//!     data/             its records, with the cluster's id in meta.properties
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::console::Console;
use aqpipe_engine::{Error, Result};
use rustix::fs::{FlockOperation, flock};

/// How long a command waits for another one on the same directory.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it tries to take the lock meanwhile.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The directory of a local Kafka, as an absolute path.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(PathBuf);

/// A lock on the directory; it is released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl DataDir {
    /// The directory, which need not exist.
    pub(crate) fn at(dir: &Path) -> Result<DataDir> {
        let path = std::path::absolute(dir)
            .map_err(|error| Error::new(format!("no usable directory `{}`", dir.display())).because(error))?;
        Ok(DataDir(path))
    }

    /// The directory, created if it is missing.
    pub(crate) fn create(dir: &Path) -> Result<DataDir> {
        let data_dir = DataDir::at(dir)?;
        fs::create_dir_all(&data_dir.0).map_err(|error| {
            Error::new(format!("cannot make the directory `{}`", data_dir.0.display()))
                .because(error)
                .help("choose another place with `--dir`")
        })?;
        Ok(data_dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.0.join("cluster.json")
    }

    pub(crate) fn node_dir(&self, id: u16) -> PathBuf {
        self.0.join(format!("node-{id}"))
    }

    /// Waits until no other command works in this directory.
    pub(crate) fn lock(&self, console: &dyn Console) -> Result<Lock> {
        let path = self.0.join("lock");
        let held = format!("another `aqpipe kafka` is at work in `{}`", self.0.display());
        lock_file(&path, &held, console)
    }
}

/// Locks the file at `path`, and waits for its holder for a bounded time; `held` describes the holder.
pub(crate) fn lock_file(path: &Path, held: &str, console: &dyn Console) -> Result<Lock> {
    let file = File::create(path)
        .map_err(|error| Error::new(format!("cannot write the lock file `{}`", path.display())).because(error))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let mut reported = false;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                if !reported {
                    console.err(&format!("{held}: waiting for it"));
                    reported = true;
                }
                thread::sleep(LOCK_POLL_INTERVAL);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::new(held).help("wait for it, or end it")),
            Err(error) => {
                return Err(Error::new(format!("cannot lock `{}`", path.display())).because(error));
            }
        }
    }
}

/// Replaces a file atomically.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let part = path.with_extension("part");
        fs::write(&part, text)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|error| Error::new(format!("cannot write `{}`", path.display())).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Discard;

    #[test]
    fn a_lock_is_free_again_when_its_holder_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(&dir.path().join("a/b")).unwrap();
        let lock = data_dir.lock(&Discard).unwrap();
        let file = File::create(data_dir.path().join("lock")).unwrap();
        assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(lock);
        assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
