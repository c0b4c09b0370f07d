//! Hidden files of writers that have ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::stage::Orphans;

use super::disk;
use super::file_names::FileNames;
use super::output_dir::OutputDir;
use super::staged_file::StagedFile;

impl Orphans for OutputDir {
    fn is_staged(&self, prepared: &[u8]) -> Result<bool> {
        Ok(StagedFile::from_bytes(prepared)?.iter().all(|file| self.has_staged(file)))
    }

    /// The writers of this pipeline, other than this process, that left hidden files and have ended. They cannot start again
    /// before [`remove_orphans`](Self::remove_orphans).
    fn orphaned_writers(&self) -> Result<Vec<Arc<str>>> {
        let own = self.names.writer();
        let names = self.list_hidden()?;
        let writers: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(self.names.parse_hidden(name)?.writer)).collect();
        let _guard = self.lock_directory()?;
        let mut orphaned = Vec::new();
        for writer in writers.into_iter().filter(|writer| *writer != own) {
            if let Some(lock) = self.lock_other(writer)? {
                self.orphan_locks.lock().insert(writer.to_owned(), lock);
                orphaned.push(FileNames::unescape_writer(writer));
            }
        }
        Ok(orphaned)
    }

    /// Removes the hidden files of writers that have ended, except the staged files that `committed` lists.
    fn remove_orphans(&self, writers: &[Arc<str>], committed: &[Vec<u8>]) -> Result<()> {
        let mut keep = BTreeSet::new();
        for prepared in committed {
            keep.extend(StagedFile::from_bytes(prepared)?.into_iter().map(|file| file.hidden_name));
        }
        let own = self.names.writer();
        let _guard = self.lock_directory()?;
        // Only this process writes under its own name. Others may have written since the directory was acquired.
        let only_own = writers.iter().all(|writer| FileNames::escape_writer(writer) == own);
        let names = if only_own { self.list_hidden()? } else { self.list_hidden_anew()? };
        let mut locks = std::mem::take(&mut *self.orphan_locks.lock());
        for writer in writers.iter().map(|writer| FileNames::escape_writer(writer)) {
            let lock_path = self.dir.join(self.names.lock_of(&writer));
            let lock = match locks.remove(&writer) {
                Some(lock) => Some(lock),
                None if writer == own || !lock_path.exists() => None,
                None => match self.lock_other(&writer)? {
                    Some(lock) => Some(lock),
                    // No writer of this state directory holds it: one of the same name, with another one, writes here.
                    None => continue,
                },
            };
            let is_orphan = |name: &&String| {
                let hidden = self.names.parse_hidden(name);
                let file = FileNames::without_description(name);
                hidden.is_some_and(|hidden| hidden.writer == writer) && !keep.contains(file)
            };
            for name in names.iter().filter(is_orphan) {
                disk::remove(&self.dir.join(name))?;
            }
            if lock.is_some() {
                disk::remove(&lock_path)?;
            }
        }
        Ok(())
    }
}

impl OutputDir {
    /// The lock of another writer; `None` where it still runs. The caller holds the directory's lock.
    fn lock_other(&self, writer: &str) -> Result<Option<File>> {
        disk::lock(&self.dir.join(self.names.lock_of(writer)))
    }
}
