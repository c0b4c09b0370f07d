//! Line numbers of a split's bytes, for messages.

use super::input_files::InputFile;
use super::line_counter::LineCounter;

/// Entries that are kept. Beyond that every second one is dropped, so that a search reads little of the file.
const LINE_INDEX_ENTRIES_MAX: usize = 4096;

/// Some bytes of a split with their line numbers.
#[derive(Default)]
pub(super) struct LineIndex {
    known: Vec<(u64, u64)>,
    /// The last search, and the file in which it was: searches mostly go forward.
    last: Option<(String, LineCounter)>,
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

    /// The line of the byte `byte` of a file, which is the split's byte `at`.
    pub(super) fn line(&mut self, file: &InputFile, byte: u64, at: u64) -> Option<u64> {
        let base = at - (byte - file.from);
        let near = self.known.partition_point(|(known, _)| *known <= at).checked_sub(1).map(|entry| self.known[entry]);
        let near = near.filter(|(known, _)| *known >= base).map(|(known, line)| (known - base + file.from, line));
        if let Some((_, line)) = near.filter(|(known, _)| *known == byte) {
            return Some(line);
        }
        let goes_on = |counter: &LineCounter| counter.at() <= byte && near.is_none_or(|(near, _)| near <= counter.at());
        // A text that is not as it is stored is read from its beginning in any case: the last search is nearer.
        let is_nearer = |counter: &LineCounter| goes_on(counter) || (!file.form.is_plain() && counter.at() <= byte);
        let last = self.last.take().filter(|(name, counter)| *name == file.name && is_nearer(counter));
        let mut counter = match (last, near) {
            (Some((_, counter)), _) => counter,
            (None, Some((near, line))) => LineCounter::open(file, near, line).ok()?,
            (None, None) => LineCounter::open(file, 0, 1).ok()?,
        };
        let line = counter.line_of(byte).ok()?;
        self.last = Some((file.name.clone(), counter));
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use encoding_rs::UTF_8;

    use super::*;

    #[test]
    fn a_line_is_found_from_the_nearest_one_that_is_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.csv");
        let text = "x\n".repeat(20_000);
        for packed in [false, true] {
            let mut bytes = text.clone().into_bytes();
            if packed {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).expect("packs");
                bytes = encoder.finish().expect("packs");
            }
            std::fs::write(&path, bytes).expect("writes");
            let file = InputFile::of(&path, UTF_8).expect("is there");
            let mut lines = LineIndex::default();
            for line in 1..15_000 {
                lines.add(100 + (line - 1) * 2, line);
            }
            assert!(lines.known.len() <= LINE_INDEX_ENTRIES_MAX);
            for line in [1, 2, 4_000, 4_001, 14_999, 19_999, 3] {
                assert_eq!(lines.line(&file, (line - 1) * 2, 100 + (line - 1) * 2), Some(line));
            }
            let gone = InputFile { name: "no such file".into(), ..file };
            assert_eq!(LineIndex::default().line(&gone, 5, 5), None);
        }
    }
}
