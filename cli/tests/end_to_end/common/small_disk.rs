//! A small file system, for tests of a full disk.

use std::path::PathBuf;
use std::process::Command;

use super::TestDir;

/// A file system of 32 KiB at `small` in a test directory. Mounting it needs root.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(dir: &TestDir) -> SmallDisk {
        let path = dir.path("small");
        std::fs::create_dir_all(&path).expect("created");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "this user may not mount a file system");
        SmallDisk(path)
    }

    pub(crate) fn enlarge(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,size=4m"]).arg(&self.0).status();
        assert!(remounted.expect("mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
