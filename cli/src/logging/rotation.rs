//! Puts log files aside: `aqpipe.log` becomes `aqpipe.log.1`, that becomes `aqpipe.log.2`, and the oldest one goes.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aqpipe_engine::config::LogRotation;

/// When a file is put aside, and how many of those are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) at: LogRotation,
    pub(super) keep: u32,
}

impl Rotation {
    /// Puts a file aside. Where a step fails, all files are there under one of these names, and the next try goes on.
    pub(super) fn put_aside(self, path: &Path) -> io::Result<()> {
        let kept = |n: u32| numbered(path, n);
        // Up to the first gap only: a step that failed left one.
        let free = (1..self.keep).find(|n| !exists(&kept(*n))).unwrap_or(self.keep);
        for n in (1..free).rev() {
            fs::rename(kept(n), kept(n + 1))?;
        }
        fs::rename(path, kept(1))?;
        // Those of a time when more were kept. They have no gap, and each step of this loop makes one less of them.
        let surplus = (self.keep + 1..).map(kept).take_while(|old| exists(old));
        surplus.for_each(|old| drop(fs::remove_file(old)));
        Ok(())
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut files: Vec<_> =
            entries.map(|path| (name(&path), fs::read_to_string(path).expect("readable"))).collect();
        files.sort();
        files
    }

    fn expected(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn the_newest_are_kept_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        for text in ["a", "b", "c", "d"] {
            fs::write(&path, text).expect("writes");
            Rotation { at: LogRotation::Daily, keep: 3 }.put_aside(&path).expect("put aside");
        }
        assert_eq!(files(dir.path()), expected(&[("x.log.1", "d"), ("x.log.2", "c"), ("x.log.3", "b")]));
        fs::write(&path, "e").expect("writes");
        Rotation { at: LogRotation::Daily, keep: 1 }.put_aside(&path).expect("put aside");
        assert_eq!(files(dir.path()), expected(&[("x.log.1", "e")]), "fewer are kept now");
    }

    #[test]
    fn only_files_before_a_gap_move() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.log");
        for (name, text) in [("x.log", "new"), ("x.log.1", "a"), ("x.log.3", "c"), ("x.log.old", "mine")] {
            fs::write(dir.path().join(name), text).expect("writes");
        }
        Rotation { at: LogRotation::Daily, keep: 7 }.put_aside(&path).expect("put aside");
        let moved = [("x.log.1", "new"), ("x.log.2", "a"), ("x.log.3", "c"), ("x.log.old", "mine")];
        assert_eq!(files(dir.path()), expected(&moved));
        fs::write(&path, "newer").expect("writes");
        fs::create_dir(dir.path().join("x.log.4")).expect("a directory in the way is moved as well");
        Rotation { at: LogRotation::Daily, keep: 4 }.put_aside(&path).expect_err("but is not replaced");
        assert_eq!(fs::read_to_string(&path).expect("still there"), "newer");
    }
}
