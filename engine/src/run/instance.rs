//! Which of its possible instances this process is, and the directory that only it uses.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::distr::Alphanumeric;

use crate::disk;
use crate::error::{Error, Result};

/// How many instances of one pipeline share a state directory at most: a bound for the search of a free one.
const INSTANCES_MAX: usize = 1_000;
/// How long a slot may be held by somebody who does not run in it, and how often it is tried.
const SLOT_TIMEOUT: Duration = Duration::from_secs(2);
const SLOT_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Characters of a tag: enough that no two of a network's machines have the same.
const TAG_LENGTH: usize = 8;

/// An instance: a slot of the state directory and its lock. The lock ends with the process, however it ends.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: Arc<str>,
    pub(super) dir: PathBuf,
    /// Its name among the processes that commit: empty where it runs the pipeline alone, else the `instance` that it was
    /// given, else its slot with the tag of this state directory.
    pub(super) writer: String,
    /// Its name in staged output. A process with another state directory has another one, unless it was given the same
    /// `instance`, and so takes the place of this one.
    pub(super) output: Arc<str>,
    _lock: File,
}

impl Instance {
    /// The directory of the pipeline's state, with the slots of all its instances.
    pub(super) fn home(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// Takes slot `0` where one process runs the pipeline alone, else the slot `wanted`, else the first free one: a restart takes
    /// the slot of the dead process and recovers what it left.
    pub(super) fn acquire(state_dir: &Path, pipeline: &str, wanted: Option<&str>, exclusive: bool) -> Result<Instance> {
        let home = state_dir.join(pipeline);
        let busy = |id: &str| {
            Error::new(format!("the pipeline `{pipeline}` is running already (instance {id} in {})", home.display()))
                .help("give the other one another `name`, `instance` or `state_dir`, or wait for this one to end")
        };
        if exclusive {
            // One slot, whatever it is called: what two processes would write is one output.
            let instance = lock_patiently(&home, "0")?.ok_or_else(|| busy("0"))?;
            return Ok(Instance { output: format!("0-{}", tag(&home)?).into(), ..instance });
        }
        if let Some(id) = wanted {
            let instance = lock_patiently(&home, id)?.ok_or_else(|| busy(id))?;
            return Ok(Instance { writer: id.to_owned(), output: id.into(), ..instance });
        }
        for slot in 0..INSTANCES_MAX {
            if let Some(instance) = lock(&home, &slot.to_string())? {
                let writer = format!("{slot}-{}", tag(&home)?);
                return Ok(Instance { output: writer.as_str().into(), writer, ..instance });
            }
        }
        Err(Error::new(format!("all {INSTANCES_MAX} instances of `{pipeline}` in {} run already", home.display())))
    }

    /// The other instances of this pipeline that nobody holds, so that what they left can be recovered. Each is held only
    /// once it is come to.
    pub(super) fn orphans(&self) -> Result<impl Iterator<Item = Result<Instance>> + use<>> {
        let home = self.home().to_owned();
        let entries = std::fs::read_dir(&home)
            .map_err(|e| Error::new(format!("the state directory {} cannot be read", home.display())).because(e))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join("ledger").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| *name != *self.id)
            .collect();
        names.sort();
        let tag = tag(&home)?;
        let orphan = move |id: String| {
            // A slot is a number; a name that somebody gave may be one as well, and is recovered like a stranger's then.
            let is_slot = id.bytes().all(|byte| byte.is_ascii_digit());
            let output = if is_slot { format!("{id}-{tag}").into() } else { id.as_str().into() };
            lock(&home, &id).map(|found| found.map(|instance| Instance { output, ..instance })).transpose()
        };
        Ok(names.into_iter().filter_map(orphan))
    }
}

/// All instances that left a ledger: their names and directories, and whether somebody holds them. Holds none.
pub(super) fn all(state_dir: &Path, pipeline: &str) -> Result<Vec<(String, PathBuf, bool)>> {
    let home = state_dir.join(pipeline);
    let Ok(entries) = std::fs::read_dir(&home) else { return Ok(Vec::new()) };
    let names = entries.flatten().filter(|entry| entry.path().join("ledger").exists());
    let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let held = |id: String| {
        let running = lock(&home, &id)?.is_none();
        Ok((id.clone(), home.join(&id), running))
    };
    names.into_iter().map(held).collect()
}

/// What tells this state directory from those of other machines that run the same pipeline: random, kept there.
fn tag(home: &Path) -> Result<String> {
    let path = home.join("tag");
    let failed = |e: std::io::Error| Error::new(format!("{} cannot be written", path.display())).because(e);
    for _ in 0..2 {
        match std::fs::read_to_string(&path) {
            Ok(tag) if !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) => return Ok(tag),
            Ok(_) => std::fs::remove_file(&path).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // As a whole or not at all, and only the first of two processes.
        let tag: String = rand::rng().sample_iter(Alphanumeric).take(TAG_LENGTH).map(char::from).collect();
        let fresh = home.join(format!("tag.{tag}"));
        disk::create_private(&fresh).and_then(|mut file| file.write_all(tag.as_bytes())).map_err(failed)?;
        let linked = std::fs::hard_link(&fresh, &path);
        let _ = std::fs::remove_file(&fresh);
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                // No second names here (FAT): then two processes that begin at once may disagree, which costs nothing.
                std::fs::write(&path, &tag).map_err(failed)?;
            }
            _ => {}
        }
    }
    std::fs::read_to_string(&path).map_err(failed)
}

/// Takes a slot that somebody may hold for a moment only to look at it, or to recover what its last process left.
fn lock_patiently(home: &Path, id: &str) -> Result<Option<Instance>> {
    let until = Instant::now() + SLOT_TIMEOUT;
    loop {
        match lock(home, id)? {
            None if Instant::now() < until => std::thread::sleep(SLOT_POLL_INTERVAL),
            result => return Ok(result),
        }
    }
}

fn lock(home: &Path, id: &str) -> Result<Option<Instance>> {
    let dir = home.join(id);
    let failed = |e: std::io::Error| {
        Error::new(format!("the state directory {} cannot be used", dir.display()))
            .because(e)
            .help("`state_dir` says where a pipeline keeps its state")
    };
    disk::create_dirs(&dir).map_err(failed)?;
    let file = disk::open_private(&dir.join("lock"), true).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Instance { id: id.into(), dir, writer: String::new(), output: "".into(), _lock: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_gets_a_slot_of_its_own_and_a_restart_gets_the_old_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Instance::acquire(dir.path(), "p", None, false).expect("free");
        let second = Instance::acquire(dir.path(), "p", None, false).expect("free");
        assert_eq!((&*first.id, &*second.id), ("0", "1"));
        let tag = first.writer.strip_prefix("0-").expect("a tag");
        assert_eq!((tag.len(), second.writer.strip_prefix("1-")), (TAG_LENGTH, Some(tag)));
        drop(first);
        assert_eq!(&*Instance::acquire(dir.path(), "p", None, false).expect("free").id, "0");
    }

    #[test]
    fn a_pipeline_that_is_to_run_alone_refuses_a_second_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let _first = Instance::acquire(dir.path(), "p", None, true).expect("free");
        let error = Instance::acquire(dir.path(), "p", None, true).expect_err("taken");
        assert!(error.to_string().contains("`p` is running already"), "{error}");
        assert!(Instance::acquire(dir.path(), "q", None, true).is_ok(), "another name is another pipeline");
    }

    #[test]
    fn orphans_are_slots_with_a_ledger_that_nobody_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let held: Vec<Instance> =
            (0..4).map(|_| Instance::acquire(dir.path(), "p", None, false).expect("free")).collect();
        for instance in &held[..3] {
            std::fs::write(instance.dir.join("ledger"), "").expect("writes");
        }
        let mut held = held.into_iter();
        let (mine, dead) = (held.next().expect("0"), held.next().expect("1"));
        drop(dead);
        let orphans: Vec<Arc<str>> = mine.orphans().expect("reads").map(|o| o.expect("locks").id).collect();
        assert_eq!(orphans, ["1".into()], "2 is held, 3 has no ledger");
    }
}
