//! Line numbers of a split's bytes, for messages.

use super::input_files;

/// Entries that are kept. Beyond that every second one is dropped, so that a search reads little of the file.
const LINE_INDEX_ENTRIES_MAX: usize = 4096;

/// Some bytes of a split with their line numbers.
#[derive(Debug, Default)]
pub(super) struct LineIndex {
    known: Vec<(u64, u64)>,
    /// The result of the last search: searches mostly go forward.
    last: (u64, u64),
}

impl LineIndex {
    /// Adds a byte of the split, in ascending order, with its line number; 0 is an unknown line.
    pub(super) fn add(&mut self, at: u64, line: u64) {
        if line == 0 || self.known.last().is_some_and(|(known, _)| *known >= at) {
            return;
        }
        if self.known.len() >= LINE_INDEX_ENTRIES_MAX {
            let mut keep = false;
            self.known.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.known.push((at, line));
    }

    /// The line of the split's byte `at`, in the file `name`, whose first byte is the split's byte `base`.
    pub(super) fn line(&mut self, name: &str, base: u64, at: u64) -> Option<u64> {
        let before =
            self.known.partition_point(|(known, _)| *known <= at).checked_sub(1).map(|entry| self.known[entry]);
        let near =
            before.into_iter().chain([self.last]).filter(|(known, line)| (base..=at).contains(known) && *line > 0);
        let (from, line) = near.max().unwrap_or((base, 1));
        let line = input_files::line_of(name, (from - base, line), at - base).ok()?;
        self.last = (at, line);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_from_the_nearest_one_that_is_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "x\n".repeat(20_000)).expect("writes");
        let name = path.to_str().expect("UTF-8");
        let mut lines = LineIndex::default();
        for line in 1..15_000 {
            lines.add(100 + (line - 1) * 2, line);
        }
        assert!(lines.known.len() <= LINE_INDEX_ENTRIES_MAX);
        for line in [1, 2, 4_000, 4_001, 14_999, 19_999, 3] {
            assert_eq!(lines.line(name, 100, 100 + (line - 1) * 2), Some(line));
        }
        assert_eq!(LineIndex::default().line("no such file", 0, 5), None);
    }
}
