//! A disk that is soon full.

use super::House;

/// A file system of 32 KiB, `small` in the house; none where this user may not mount one.
pub(crate) struct Small<'a>(&'a House);

impl Small<'_> {
    pub(crate) fn mount(house: &House) -> Option<Small<'_>> {
        std::fs::create_dir_all(house.path("small")).expect("created");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"])
            .arg(house.path("small"))
            .stderr(std::process::Stdio::null())
            .status();
        match mount {
            Ok(status) if status.success() => Some(Small(house)),
            _ => {
                eprintln!("this user cannot mount a file system: not tried");
                None
            }
        }
    }

    pub(crate) fn make_room(&self) {
        let path = self.0.path("small");
        let remount = std::process::Command::new("mount").args(["-o", "remount,size=4m"]).arg(path).status();
        assert!(remount.expect("mount").success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path("small")).status();
    }
}
