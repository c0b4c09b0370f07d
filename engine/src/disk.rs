//! Durable and private files: what the engine and its stages need of the file system to survive a crash.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Creates a directory with its missing parents, and makes their names durable.
///
/// # Errors
/// Where one of them cannot be made or synced.
pub fn create_dirs(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    std::fs::create_dir_all(dir)?;
    for made in missing {
        sync_dir(&parent_of(made))?;
    }
    Ok(())
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Where the directory cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory of a path; `.` for a bare name.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Creates a file that only its owner can read, in place of one that a dead process left under this name. It is never
/// opened through a link: otherwise anyone who can write to the directory could choose the file that is overwritten.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = private();
    options.read(true).create_new(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// Opens a file for reading and writing, never through a link; `make` creates a missing one.
pub(crate) fn open_private(path: &Path, make: bool) -> io::Result<File> {
    let mut options = private();
    options.read(true).create(make).truncate(false).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_those_above_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("a/b/c");
        create_dirs(&deep).expect("makes");
        create_dirs(&deep).expect("is there");
        assert!(deep.is_dir());
    }

    #[cfg(unix)]
    #[test]
    fn files_of_the_state_are_private_and_never_opened_through_a_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let [precious, link] = ["precious", "link"].map(|name| dir.path().join(name));
        std::fs::write(&precious, "mine").expect("writes");
        std::os::unix::fs::symlink(&precious, &link).expect("links");
        assert!(open_private(&link, true).is_err(), "not followed");
        drop(create_private(&link).expect("in its place"));
        assert!(link.symlink_metadata().expect("there").is_file());
        assert_eq!(link.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&precious).expect("there"), "mine");
    }
}
