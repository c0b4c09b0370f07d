//! Whose a directory is: claims, locks, and what is removed because it is this pipeline's.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::run::REPLAY;
use aqpipe_engine::{Error, Result};

use super::claim::Claim;
use super::prepared::Prepared;
use super::store::Store;
use super::{Names, disk};

/// How long another process may keep this one's lock, to settle what its last run left.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

impl Store {
    /// Makes sure that the directory can be written and that its files are this pipeline's.
    pub(crate) fn claim(&self) -> Result<()> {
        if self.lock.lock().is_some() {
            return Ok(());
        }
        disk::create_dir(&self.dir)?;
        let (guard, lock) = self.take_lock_patiently()?;
        if self.alone {
            self.nobody_else_writes()?;
        }
        self.tidy()?;
        match Claim::read(&self.dir, &self.names)? {
            None => {
                if self.embedded {
                    self.keep_away("files of which nobody says where they come from")?;
                }
                self.new_claim().create(&self.dir, &self.names)?;
            }
            Some(claim) => {
                claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
                match (claim.embedded, self.embedded) {
                    (true, true) => self.remove_all(&claim)?,
                    (false, true) => self.keep_away("the files of a real cluster")?,
                    (true, false) => self.keep_away("the files of a run on the embedded broker")?,
                    (false, false) => {}
                }
                if self.embedded || claim.embedded {
                    self.new_claim().rewrite(&self.dir, &self.names)?;
                }
            }
        }
        *self.lock.lock() = Some(lock);
        drop(guard);
        Ok(())
    }

    /// Whether nothing records that this pipeline writes here.
    pub(crate) fn is_new(&self) -> Result<bool> {
        Ok(Claim::read(&self.dir, &self.names)?.is_none_or(|claim| claim.pipeline != *self.pipeline))
    }

    fn new_claim(&self) -> Claim {
        Claim::new(&self.pipeline, self.names.extension, self.embedded)
    }

    /// Keeps others from looking at the hidden files of the directory, and from changing them.
    fn lock_directory(&self) -> Result<File> {
        disk::lock_patiently(&self.dir.join(Names::DIRECTORY_LOCK))
    }

    /// Two processes of one name would sweep away each other's files.
    fn take_lock(&self) -> Result<File> {
        disk::lock(&self.dir.join(self.names.lock()))?.ok_or_else(|| self.is_written())
    }

    /// The directory's lock, and that of this process, which another one may have for a moment to settle what was left.
    fn take_lock_patiently(&self) -> Result<(File, File)> {
        let until = Instant::now() + PATIENCE;
        loop {
            let guard = self.lock_directory()?;
            match self.take_lock() {
                Ok(lock) => return Ok((guard, lock)),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => {
                    drop(guard);
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    /// Removes claims that processes died writing, and the locks of those that have ended and left nothing else. The caller
    /// has the directory's lock, without which nobody writes a claim or takes a lock.
    fn tidy(&self) -> Result<()> {
        let claim = format!("{}.", self.names.claim());
        let names = self.list()?;
        let left: BTreeSet<String> =
            names.iter().filter_map(|name| Some(self.names.lock_of(self.names.read_temporary(name)?.writer))).collect();
        for name in names.iter().filter(|name| name.starts_with('.')) {
            let path = self.dir.join(name);
            let is_claim = name.starts_with(&claim) && name.ends_with(".new");
            let is_lock = self.names.is_other_lock(name) && !left.contains(name);
            if is_claim || (is_lock && disk::lock(&path)?.is_some()) {
                disk::remove(&path)?;
            }
        }
        *self.at_claim.lock() = Some(names.into_iter().filter(|name| name.starts_with('.')).collect());
        Ok(())
    }

    /// An error where another process writes for this pipeline, with another state directory; a replay may. The caller has
    /// the directory's lock.
    fn nobody_else_writes(&self) -> Result<()> {
        let replay = self.names.lock_of(&Names::writer(REPLAY));
        for other in self.list()?.into_iter().filter(|name| self.names.is_other_lock(name) && *name != replay) {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.is_written())?;
        }
        Ok(())
    }

    fn is_written(&self) -> Error {
        let dir = self.dir.display();
        Error::new(format!("another run of the pipeline `{}` writes to `{dir}`", self.pipeline))
            .help("wait for it, stop it, or give this one another `name` and another `dir`")
    }

    /// An error where there are files, for they are `what`.
    fn keep_away(&self, what: &str) -> Result<()> {
        let names = self.list()?;
        let is_file = |name: &String| self.names.read(name).is_some() || self.names.read_temporary(name).is_some();
        let Some(name) = names.into_iter().find(is_file) else { return Ok(()) };
        let dir = self.dir.display();
        let error = Error::config(format!("`{dir}` holds {what}, such as `{name}`"));
        Err(error.help(match self.embedded {
            true => format!(
                "move them away, or give this run a directory of its own: `--set {}:sink.dir=…` on the command line",
                self.pipeline
            ),
            false => "choose another `dir`, or remove them with `--fresh`".to_owned(),
        }))
    }

    /// The names of hidden files, as they were when the directory was claimed where nothing was written since: a start
    /// looks at them several times, and the directory may be large.
    fn hidden(&self) -> Result<Vec<String>> {
        match &*self.at_claim.lock() {
            Some(names) => Ok(names.clone()),
            None => Ok(self.list()?.into_iter().filter(|name| name.starts_with('.')).collect()),
        }
    }

    /// Removes what this pipeline has there, visible or not.
    fn remove_all(&self, claim: &Claim) -> Result<()> {
        *self.index.lock() = None;
        *self.at_claim.lock() = None;
        self.recorded.lock().clear();
        for name in self.list()? {
            let visible = self.names.read(&name).is_some_and(|visible| claim.stems.contains(visible.stem));
            if visible || self.names.read_temporary(&name).is_some() {
                disk::remove(&self.dir.join(name))?;
            }
        }
        disk::sync_dir(&self.dir)
    }

    /// Removes the visible files that this pipeline wrote, and its claim on the directory.
    pub(crate) fn forget(&self) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let guard = self.lock_directory()?;
        let Some(claim) = Claim::read(&self.dir, &self.names)? else { return self.tell_of_strays() };
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let is_claimed = self.lock.lock().is_some();
        let _own = if is_claimed { None } else { Some(self.take_lock()?) };
        for other in self.list()?.into_iter().filter(|name| self.names.is_other_lock(name)) {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.is_written())?;
        }
        self.remove_all(&claim)?;
        if is_claimed {
            self.new_claim().rewrite(&self.dir, &self.names)?;
        } else {
            disk::remove(&self.dir.join(self.names.claim()))?;
        }
        drop(guard);
        Ok(())
    }

    /// Files that are called as this pipeline calls its own, and of which nothing records that it wrote them.
    fn tell_of_strays(&self) -> Result<()> {
        let strays: Vec<String> = self.list()?.into_iter().filter(|name| self.names.read(name).is_some()).collect();
        if let Some(name) = strays.iter().min() {
            let (dir, count) = (self.dir.display(), strays.len());
            tracing::warn!(
                "{count} files in `{dir}` are named like those of this pipeline, such as `{name}`, but nothing records \
                 that it wrote them: they stay"
            );
        }
        Ok(())
    }

    /// The writers that left hidden files here and have ended, without this process.
    pub(crate) fn left_by(&self) -> Result<Vec<Arc<str>>> {
        let own = self.names.own_writer();
        let names = self.hidden()?;
        let writers: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(self.names.read_temporary(name)?.writer)).collect();
        let _guard = self.lock_directory()?;
        let mut left = Vec::new();
        for writer in writers.into_iter().filter(|writer| *writer != own) {
            if let Some(lock) = self.hold_other(writer)? {
                self.held.lock().insert(writer.to_owned(), lock);
                left.push(Names::read_writer(writer));
            }
        }
        Ok(left)
    }

    /// The lock of another writer; `None` where it still runs. The caller has the directory's lock.
    fn hold_other(&self, writer: &str) -> Result<Option<File>> {
        disk::lock(&self.dir.join(self.names.lock_of(writer)))
    }

    /// Removes what these writers left that was never decided.
    pub(crate) fn sweep(&self, writers: &[Arc<str>], decided: &[Vec<u8>]) -> Result<()> {
        let mut keep = BTreeSet::new();
        for prepared in decided.iter().filter(|prepared| !prepared.is_empty()) {
            keep.extend(Prepared::from_bytes(prepared)?.into_iter().map(|file| file.temporary));
        }
        let own = self.names.own_writer();
        let _guard = self.lock_directory()?;
        // Nobody but this process writes under its own name; others may have since the directory was claimed.
        let names =
            if writers.iter().all(|writer| Names::writer(writer) == own) { self.hidden()? } else { self.list()? };
        let mut held = std::mem::take(&mut *self.held.lock());
        for writer in writers.iter().map(|writer| Names::writer(writer)) {
            let left = names.iter().filter(|name| {
                let hidden = self.names.read_temporary(name);
                hidden.is_some_and(|hidden| hidden.writer == writer) && !keep.contains(*name)
            });
            let lock_path = self.dir.join(self.names.lock_of(&writer));
            let lock = match held.remove(&writer) {
                Some(lock) => Some(lock),
                None if writer == own || !lock_path.exists() => None,
                None => match self.hold_other(&writer)? {
                    Some(lock) => Some(lock),
                    // Nobody holds it in this state directory; one of its name with another one writes here.
                    None => continue,
                },
            };
            left.map(|name| disk::remove(&self.dir.join(name))).collect::<Result<Vec<bool>>>()?;
            if lock.is_some() {
                disk::remove(&lock_path)?;
            }
        }
        Ok(())
    }

    /// Records that the files of splits are this pipeline's, before there are any.
    pub(super) fn record(&self, stems: &[String]) -> Result<()> {
        let is_known = |stem: &String| self.recorded.lock().contains(stem);
        if stems.iter().all(is_known) {
            return Ok(());
        }
        let _guard = self.lock_directory()?;
        let mut claim = Claim::read(&self.dir, &self.names)?.unwrap_or_else(|| self.new_claim());
        claim.belongs_to(&self.pipeline, &self.dir, &self.names)?;
        let new: Vec<&String> = stems.iter().filter(|stem| !claim.stems.contains(*stem)).collect();
        if !new.is_empty() {
            let names = self.list()?;
            let index = self.index_of(&names);
            let (dir, extension) = (&self.dir, self.names.extension);
            let claims = || names.iter().filter(|name| **name != self.names.claim()).cloned();
            for stem in &new {
                let taken = |by: &str| {
                    Error::config(format!("files `{stem}_*.{extension}` in `{}` {by}", dir.display()))
                        .help("choose another `prefix` or `dir`")
                };
                if let Some((pipeline, prefix)) = Claim::other_with(dir, claims(), stem, extension)? {
                    return Err(taken(&format!("belong to the pipeline `{pipeline}`, whose prefix is `{prefix}`")));
                }
                if index.contains_key(*stem) {
                    return Err(taken("are there already, and nothing records that this pipeline wrote them"));
                }
            }
            *self.index.lock() = Some(index);
            claim.stems.extend(new.into_iter().cloned());
            claim.rewrite(&self.dir, &self.names)?;
        }
        self.recorded.lock().extend(stems.iter().cloned());
        Ok(())
    }
}
