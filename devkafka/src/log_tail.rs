//! The last lines of a broker's log, for the error that says why it died.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How many lines an error shows.
const LINES_MAX: usize = 12;
/// How much of the end of a log is read.
const READ_BYTES_MAX: u64 = 64 * 1024;

/// The part of a log file that was written after a moment.
#[derive(Debug)]
pub(crate) struct LogTail {
    path: PathBuf,
    from: u64,
}

impl LogTail {
    /// The part of the file that will be written from now on.
    pub(crate) fn after_now(path: PathBuf) -> LogTail {
        let from = length(&path);
        LogTail { path, from }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines that may name a cause. Routine lines are left out, because a failing broker logs its shutdown at
    /// length.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let text = self.text();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        // Stack frames and the dump of the configuration are indented by a tab.
        let mut lines_shown: Vec<&str> = lines().filter(|line| !is_routine(line) && !line.starts_with('\t')).collect();
        if lines_shown.is_empty() {
            lines_shown = lines().collect();
        }
        lines_shown.iter().skip(lines_shown.len().saturating_sub(LINES_MAX)).map(|&line| line.to_owned()).collect()
    }

    fn text(&self) -> String {
        let length = length(&self.path);
        // A shorter log was rolled over: all of it is new.
        let from = if length < self.from { 0 } else { self.from };
        let from = from.max(length.saturating_sub(READ_BYTES_MAX));
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.take(READ_BYTES_MAX).read_to_end(&mut bytes)
        });
        if read.is_err() {
            bytes.clear();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Whether a line is of a level below ERROR.
fn is_routine(line: &str) -> bool {
    let level = line.strip_prefix('[').and_then(|line| line.split_once("] "));
    level.is_some_and(|(_, rest)| ["INFO ", "WARN ", "DEBUG "].iter().any(|level| rest.starts_with(level)))
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_was_written_after_the_start_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker.log");
        assert!(LogTail::after_now(path.clone()).last_lines().is_empty());
        fs::write(&path, "an old line\n").unwrap();
        let tail = LogTail::after_now(path.clone());
        fs::write(&path, "an old line\nanother\n\nlast\n").unwrap();
        assert_eq!(tail.last_lines(), ["another", "last"]);
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.last_lines(), ["new"], "after the log was rolled over");
    }

    #[test]
    fn an_error_is_found_among_the_usual_lines_and_the_frames() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker.log");
        let usual = "[2026-01-01 00:00:00,000] INFO [Broker id=1] Stopping ERROR (kafka)\n";
        fs::write(&path, usual).unwrap();
        let tail = LogTail { path: path.clone(), from: 0 };
        assert_eq!(tail.last_lines(), [usual.trim_end()]);
        let error =
            "[2026-01-01 00:00:00,000] ERROR Exiting (kafka)\njava.lang.E: why\n\tat a.b\nCaused by: c\n\t... 3 more\n";
        fs::write(&path, error.to_owned() + &usual.repeat(100)).unwrap();
        assert_eq!(
            tail.last_lines(),
            ["[2026-01-01 00:00:00,000] ERROR Exiting (kafka)", "java.lang.E: why", "Caused by: c"]
        );
    }
}
