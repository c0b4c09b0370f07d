//! The second phase: staged files get their visible names, or are removed.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use aqpipe_engine::stage::TwoPhaseCommit;
use aqpipe_engine::{Error, Result, fault};

use super::disk;
use super::file_names::FileNames;
use super::output_dir::OutputDir;
use super::staged_file::StagedFile;

impl TwoPhaseCommit for OutputDir {
    /// Makes staged files visible. Where an earlier call did so, checks that the visible files are the right ones.
    fn commit(&self, prepared: &[u8]) -> Result<()> {
        StagedFile::from_bytes(prepared)?.iter().try_for_each(|file| self.commit_file(file))
    }

    fn abort(&self, prepared: &[u8]) -> Result<()> {
        let files = StagedFile::from_bytes(prepared)?;
        files.iter().try_for_each(|file| {
            let dir = self.current_dir_of(file);
            disk::remove(&dir.join(FileNames::description_of(&file.hidden_name)))?;
            disk::remove(&dir.join(&file.hidden_name)).map(drop)
        })
    }
}

impl OutputDir {
    /// Whether a staged file is there, hidden or visible.
    pub(super) fn has_staged(&self, file: &StagedFile) -> bool {
        let dir = self.current_dir_of(file);
        dir.join(&file.hidden_name).symlink_metadata().is_ok()
            || disk::checksum(&dir.join(&file.visible_name)).is_ok_and(|found| file.matches(found))
    }

    /// The directory of a staged file: the one where it was written or, where that has another path by now, this one.
    fn current_dir_of<'a>(&'a self, file: &'a StagedFile) -> &'a Path {
        let staged_in = Path::new(&file.dir);
        let is_in = |dir: &Path| {
            [&file.hidden_name, &file.visible_name].iter().any(|name| dir.join(name).symlink_metadata().is_ok())
        };
        if !is_in(staged_in) && is_in(&self.dir) { &self.dir } else { staged_in }
    }

    fn commit_file(&self, file: &StagedFile) -> Result<()> {
        let dir = self.current_dir_of(file);
        let (hidden, visible) = (dir.join(&file.hidden_name), dir.join(&file.visible_name));
        let renamed = match hidden.symlink_metadata() {
            Ok(found) if found.len() != file.length => Err(Error::new(format!(
                "`{}` has {} bytes and not the {} that were written",
                hidden.display(),
                found.len(),
                file.length
            ))),
            Ok(_) => match fault::point("finish.rename").and_then(|()| disk::rename_new(&hidden, &visible)) {
                Ok(()) => Ok(true),
                // A crash came after the file got its second name and before it lost the first.
                Err(_) if disk::is_same_file(&hidden, &visible) => disk::remove(&hidden),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(already_exists(&hidden, &visible)),
                // Another process has renamed it in this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => check_renamed(file, &hidden, &visible),
                Err(error) => Err(disk::path_error("rename to its place", &hidden, error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => check_renamed(file, &hidden, &visible),
            Err(error) => Err(disk::path_error("look at", &hidden, error)),
        }?;
        fault::step("finish.renamed")?;
        disk::sync_dir(dir)?;
        fault::step("finish.sync")?;
        if renamed {
            self.metrics.file_in(&dir.to_string_lossy(), self.holds_dead_letters);
            self.metrics.bytes_out.fetch_add(file.length, Ordering::Relaxed);
        }
        if disk::is_same_file(dir, &self.dir)
            && let Some(name) = self.names.parse_visible(&file.visible_name)
        {
            self.with_index(|index| index.insert(&name))?;
            self.publish_description(&file.hidden_name, &file.visible_name)?;
        }
        Ok(())
    }
}

/// Without the hidden file, the visible one must be what was staged. Returns `false`: nothing was renamed.
fn check_renamed(file: &StagedFile, hidden: &Path, visible: &Path) -> Result<bool> {
    match disk::checksum(visible) {
        Ok(found) if file.matches(found) => Ok(false),
        Ok(_) => Err(Error::new(format!(
            "`{}` is not the file that was prepared with {} records as `{}`, which is gone",
            visible.display(),
            file.rows,
            hidden.display()
        ))),
        Err(error) => Err(Error::new(format!(
            "`{}` was committed and is gone, with {} records; it should be `{}` by now",
            hidden.display(),
            file.rows,
            visible.display()
        ))
        .because(error)
        .help("put the file back or start it where its disk is; `--fresh` starts over")),
    }
}

fn already_exists(hidden: &Path, visible: &Path) -> Error {
    Error::new(format!(
        "`{}` is there already and is never overwritten; the new file is `{}`",
        visible.display(),
        hidden.display()
    ))
    .help("move one of them away, then run again")
}
