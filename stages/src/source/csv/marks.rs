//! The lines of a split's bytes, for people who look for a row.

use super::files;

/// How many lines are remembered: beyond that, every second one is forgotten, so that no look goes far.
const MOST: usize = 4096;

/// Bytes of a split of which the line is known.
#[derive(Debug, Default)]
pub(super) struct LineMarks {
    known: Vec<(u64, u64)>,
    /// The last one that was looked for: those that are looked for come in order.
    last: (u64, u64),
}

impl LineMarks {
    /// A byte of the split, behind those before, and the line of its file that it is on; 0 where that is not known.
    pub(super) fn add(&mut self, at: u64, line: u64) {
        if line == 0 || self.known.last().is_some_and(|(known, _)| *known >= at) {
            return;
        }
        if self.known.len() >= MOST {
            let mut keep = false;
            self.known.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.known.push((at, line));
    }

    /// The line of a byte of the split, in the file of that name, which begins at the byte `base` of the split.
    pub(super) fn line(&mut self, name: &str, base: u64, at: u64) -> Option<u64> {
        let before = self.known.partition_point(|(known, _)| *known <= at).checked_sub(1).map(|mark| self.known[mark]);
        let near =
            before.into_iter().chain([self.last]).filter(|(known, line)| (base..=at).contains(known) && *line > 0);
        let (from, line) = near.max().unwrap_or((base, 1));
        let line = files::line_of(name, (from - base, line), at - base).ok()?;
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
        let mut marks = LineMarks::default();
        for line in 1..15_000 {
            marks.add(100 + (line - 1) * 2, line);
        }
        assert!(marks.known.len() <= MOST);
        for line in [1, 2, 4_000, 4_001, 14_999, 19_999, 3] {
            assert_eq!(marks.line(name, 100, 100 + (line - 1) * 2), Some(line));
        }
        assert_eq!(LineMarks::default().line("no such file", 0, 5), None);
    }
}
