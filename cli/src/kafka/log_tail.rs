//! The last lines that a broker wrote, for the message that says why it died.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

const LINES: usize = 12;
const BYTES: u64 = 64 * 1024;

/// A log file from its length at some moment on.
#[derive(Debug)]
pub(super) struct LogTail {
    path: PathBuf,
    from: u64,
}

impl LogTail {
    /// What will be written to the file after now.
    pub(super) fn after_now(path: PathBuf) -> LogTail {
        let from = length(&path);
        LogTail { path, from }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines, without the frames of stack traces, which would leave room for nothing else.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let length = length(&self.path);
        // A log that was rolled over is shorter than it was: all of it is new.
        let from = if length < self.from { 0 } else { self.from };
        let from = from.max(length.saturating_sub(BYTES));
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.take(BYTES).read_to_end(&mut bytes)
        });
        if read.is_err() {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&bytes);
        let told = |line: &&str| !line.trim().is_empty() && !line.starts_with("\tat ") && !line.starts_with("\t...");
        let mut lines: Vec<String> = text.lines().rev().filter(told).take(LINES).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_new_lines_are_told_and_no_stack_frames() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker.log");
        assert!(LogTail::after_now(path.clone()).last_lines().is_empty());
        fs::write(&path, "an old line\n").unwrap();
        let tail = LogTail::after_now(path.clone());
        fs::write(&path, "an old line\nwhy: it failed\n\tat java.lang\n\t... 3 more\n\nlast\n").unwrap();
        assert_eq!(tail.last_lines(), ["why: it failed", "last"]);
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.last_lines(), ["new"], "after the log was rolled over");
    }
}
