//! The directory of a local Kafka.
//!
//! ```text
//! .aqpipe/kafka/
//!   cluster.json        ports, number of brokers, properties: what the next `up` starts again
//!   lock                held by the `up` or `down` at work
//!   node-1/             a broker: server.properties, log4j2.properties, broker.log, console.log, pid
//!     data/             its records; meta.properties in it names the cluster
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rustix::fs::{FlockOperation, flock};

/// How long one command waits for another one on the same directory.
const LOCK_WAIT: Duration = Duration::from_secs(120);

/// The directory of a local Kafka, as an absolute path.
#[derive(Clone, Debug)]
pub(super) struct Home(PathBuf);

/// Other commands on the same directory wait while this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Home {
    /// The directory, which need not be there.
    pub(super) fn at(dir: &Path) -> Result<Home> {
        let path = std::path::absolute(dir)
            .map_err(|error| Error::new(format!("no usable directory `{}`", dir.display())).because(error))?;
        Ok(Home(path))
    }

    /// The directory, made if it is missing.
    pub(super) fn create(dir: &Path) -> Result<Home> {
        let home = Home::at(dir)?;
        fs::create_dir_all(&home.0).map_err(|error| {
            Error::new(format!("cannot make the directory `{}`", home.0.display()))
                .because(error)
                .help("choose another place with `--dir`")
        })?;
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn cluster_file(&self) -> PathBuf {
        self.0.join("cluster.json")
    }

    pub(super) fn node_dir(&self, id: u16) -> PathBuf {
        self.0.join(format!("node-{id}"))
    }

    /// Waits until no other command is at work here.
    pub(super) fn lock(&self) -> Result<Lock> {
        let path = self.0.join("lock");
        let held = format!("another `aqpipe kafka` is at work in `{}`", self.0.display());
        lock_file(&path, &held)
    }
}

/// Takes the lock file at `path`, waiting for its holder for a bounded time; `held` says who that may be.
pub(super) fn lock_file(path: &Path, held: &str) -> Result<Lock> {
    let file = File::create(path)
        .map_err(|error| Error::new(format!("cannot write the lock file `{}`", path.display())).because(error))?;
    let deadline = Instant::now() + LOCK_WAIT;
    let mut said = false;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                if !said {
                    crate::printer::err(&format!("{held}: waiting for it"));
                    said = true;
                }
                thread::sleep(Duration::from_millis(100));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::new(held).help("wait for it, or end it")),
            Err(error) => {
                return Err(Error::new(format!("cannot lock `{}`", path.display())).because(error));
            }
        }
    }
}

/// Writes a file so that readers find the old text or the new one, never a part.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<()> {
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

    #[test]
    fn a_lock_is_free_again_when_its_holder_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(&dir.path().join("a/b")).unwrap();
        let lock = home.lock().unwrap();
        let file = File::create(home.path().join("lock")).unwrap();
        assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(lock);
        assert!(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
