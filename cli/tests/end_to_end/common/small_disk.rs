//! A small file system, for tests of a full disk.

use super::TestDir;

/// A file system of 32 KiB, `small` in the house; none where this user may not mount one.
pub(crate) struct SmallDisk<'a>(&'a TestDir);

impl SmallDisk<'_> {
    pub(crate) fn mount(dir: &TestDir) -> Option<SmallDisk<'_>> {
        std::fs::create_dir_all(dir.path("small")).expect("created");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"])
            .arg(dir.path("small"))
            .stderr(std::process::Stdio::null())
            .status();
        match mount {
            Ok(status) if status.success() => Some(SmallDisk(dir)),
            _ => {
                eprintln!("this user cannot mount a file system: not tried");
                None
            }
        }
    }

    pub(crate) fn enlarge(&self) {
        let path = self.0.path("small");
        let remount = std::process::Command::new("mount").args(["-o", "remount,size=4m"]).arg(path).status();
        assert!(remount.expect("mount").success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path("small")).status();
    }
}
