//! The claim of a pipeline to the files of its prefix.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, Instant};

use aqpipe_engine::run::REPLAY;
use aqpipe_engine::stage::Acquire;
use aqpipe_engine::{Error, Result};

use super::disk;
use super::file_names::FileNames;
use super::output_dir::OutputDir;
use super::owner_record::OwnerRecord;

/// How long another process may hold this one's lock, to remove what its last run left.
const WRITER_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const WRITER_LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Acquire for OutputDir {
    /// Creates the directory, makes sure that the files of the prefix are this pipeline's, and locks out a second process of
    /// the same name.
    fn acquire(&self) -> Result<()> {
        if self.writer_lock.lock().is_some() {
            return Ok(());
        }
        disk::create_dir(&self.dir)?;
        let (guard, lock) = self.lock_writer_with_timeout()?;
        if self.exclusive {
            self.check_exclusive()?;
        }
        self.remove_stale_records_and_locks()?;
        match OwnerRecord::read(&self.dir, &self.names)? {
            None => {
                if self.embedded {
                    self.check_no_files("files of unknown origin")?;
                }
                self.new_record().create(&self.dir, &self.names)?;
            }
            Some(record) => {
                record.check_owner(&self.pipeline, &self.dir, &self.names)?;
                match (record.embedded, self.embedded) {
                    (true, true) => self.remove_all(&record)?,
                    (false, true) => self.check_no_files("the files of a real cluster")?,
                    (true, false) => self.check_no_files("the files of a run on the embedded broker")?,
                    (false, false) => {}
                }
                if self.embedded || record.embedded {
                    self.new_record().rewrite(&self.dir, &self.names)?;
                }
            }
        }
        *self.writer_lock.lock() = Some(lock);
        drop(guard);
        Ok(())
    }

    /// Whether no record says that this pipeline owns the files.
    fn is_unclaimed(&self) -> Result<bool> {
        let record = OwnerRecord::read(&self.dir, &self.names)?;
        Ok(record.is_none_or(|record| record.pipeline != *self.pipeline))
    }

    /// Removes the files of this pipeline, and the record that it owns the prefix.
    fn reset(&self) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        let guard = self.lock_directory()?;
        let Some(record) = OwnerRecord::read(&self.dir, &self.names)? else { return self.warn_of_strays() };
        record.check_owner(&self.pipeline, &self.dir, &self.names)?;
        let is_acquired = self.writer_lock.lock().is_some();
        let _own = if is_acquired { None } else { Some(self.lock_writer()?) };
        for other in self.list(|name| self.names.is_other_lock(name))? {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.another_run())?;
        }
        self.remove_all(&record)?;
        if is_acquired {
            self.new_record().rewrite(&self.dir, &self.names)?;
        } else {
            disk::remove(&self.dir.join(self.names.owner_record()))?;
        }
        drop(guard);
        Ok(())
    }
}

impl OutputDir {
    /// The lock of this process: two processes of one name would remove each other's files.
    fn lock_writer(&self) -> Result<File> {
        disk::lock(&self.dir.join(self.names.lock()))?.ok_or_else(|| self.another_run())
    }

    /// The directory's lock, and that of this process, which another process may hold for a moment to remove orphans.
    fn lock_writer_with_timeout(&self) -> Result<(File, File)> {
        let until = Instant::now() + WRITER_LOCK_TIMEOUT;
        loop {
            let guard = self.lock_directory()?;
            match self.lock_writer() {
                Ok(lock) => return Ok((guard, lock)),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => {
                    drop(guard);
                    std::thread::sleep(WRITER_LOCK_POLL_INTERVAL);
                }
            }
        }
    }

    /// Removes owner records that processes died writing, and the locks of ended writers that left no other file. The caller
    /// holds the directory's lock, without which no process writes a record or takes a lock.
    fn remove_stale_records_and_locks(&self) -> Result<()> {
        let record = format!("{}.", self.names.owner_record());
        let description = format!("{}.", self.names.description());
        let names = self.list_hidden_anew()?;
        let with_files: BTreeSet<String> =
            names.iter().filter_map(|name| Some(self.names.lock_of(self.names.parse_hidden(name)?.writer))).collect();
        for name in &names {
            let path = self.dir.join(name);
            let is_record = (name.starts_with(&record) || name.starts_with(&description)) && name.ends_with(".new");
            let is_lock = self.names.is_other_lock(name) && !with_files.contains(name);
            // Earlier versions left one description for all files.
            let is_description = *name == self.names.description();
            if is_record || is_description || (is_lock && disk::lock(&path)?.is_some()) {
                disk::remove(&path)?;
            }
        }
        self.keep_hidden(names);
        Ok(())
    }

    /// An error where another process writes for this pipeline, with another state directory. A replay of dead letters may.
    /// The caller holds the directory's lock.
    fn check_exclusive(&self) -> Result<()> {
        let replay = self.names.lock_of(&FileNames::escape_writer(REPLAY));
        for other in self.list(|name| self.names.is_other_lock(name) && *name != replay)? {
            disk::lock(&self.dir.join(other))?.ok_or_else(|| self.another_run())?;
        }
        Ok(())
    }

    fn another_run(&self) -> Error {
        let dir = self.dir.display();
        Error::new(format!("another run of the pipeline `{}` writes to `{dir}`", self.pipeline))
            .help("wait for it, stop it, or give this one another `name` and another `dir`")
    }

    /// An error where there are files; `what` says whose.
    fn check_no_files(&self, what: &str) -> Result<()> {
        let is_file = |name: &str| self.names.parse_visible(name).is_some() || self.names.parse_hidden(name).is_some();
        let Some(name) = self.list(is_file)?.into_iter().next() else { return Ok(()) };
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

    /// Removes the files of this pipeline, visible and hidden.
    fn remove_all(&self, record: &OwnerRecord) -> Result<()> {
        self.forget_listing();
        self.forget_recorded_stems();
        let is_own = |name: &str| {
            let visible = self.names.parse_visible(name);
            visible.is_some_and(|visible| record.stems.contains(visible.stem))
                || self.names.parse_hidden(name).is_some()
        };
        for name in self.list(is_own)? {
            disk::remove(&self.dir.join(name))?;
        }
        self.forget_description()?;
        disk::sync_dir(&self.dir)
    }

    /// Warns of files that have this pipeline's names and that no record lists.
    fn warn_of_strays(&self) -> Result<()> {
        let strays = self.list(|name| self.names.parse_visible(name).is_some())?;
        if let Some(name) = strays.iter().min() {
            let (dir, count) = (self.dir.display(), strays.len());
            tracing::warn!(
                "{count} files in `{dir}` are named like those of this pipeline, such as `{name}`, but nothing records \
                 that it wrote them: they stay"
            );
        }
        Ok(())
    }
}
