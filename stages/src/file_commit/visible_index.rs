//! Which ranges of source offsets are in visible files.

use std::collections::{BTreeMap, HashMap};

use super::file_names::VisibleName;

/// The ranges of visible files: by stem, the end of each range by its start.
#[derive(Debug, Default)]
pub(super) struct VisibleIndex {
    by_stem: HashMap<String, BTreeMap<u64, u64>>,
}

/// The ranges of visible files in the order of a directory, which is none.
#[derive(Debug, Default)]
pub(super) struct VisibleRanges {
    by_stem: HashMap<String, Vec<(u64, u64)>>,
}

impl VisibleRanges {
    /// The index of all ranges: sorted once, which takes less than a place for each in turn.
    pub(super) fn into_index(self) -> VisibleIndex {
        let sorted = |mut ranges: Vec<(u64, u64)>| {
            ranges.sort_unstable();
            // Of two with one start, the one that ends last.
            ranges.into_iter().collect()
        };
        VisibleIndex { by_stem: self.by_stem.into_iter().map(|(stem, ranges)| (stem, sorted(ranges))).collect() }
    }
}

impl<'a> Extend<VisibleName<'a>> for VisibleRanges {
    fn extend<T: IntoIterator<Item = VisibleName<'a>>>(&mut self, names: T) {
        for name in names {
            // Without a copy of the stem for each of thousands of files.
            match self.by_stem.get_mut(name.stem) {
                Some(ranges) => ranges.push((name.from, name.to)),
                None => drop(self.by_stem.insert(name.stem.to_owned(), vec![(name.from, name.to)])),
            }
        }
    }
}

impl VisibleIndex {
    pub(super) fn insert(&mut self, name: &VisibleName<'_>) {
        let ends = self.by_stem.entry(name.stem.to_owned()).or_default();
        let end = ends.entry(name.from).or_insert(name.to);
        *end = name.to.max(*end);
    }

    /// Whether there is a file with this stem.
    pub(super) fn has(&self, stem: &str) -> bool {
        self.by_stem.contains_key(stem)
    }

    /// The end of the last file with this stem.
    pub(super) fn last_end(&self, stem: &str) -> Option<u64> {
        self.by_stem.get(stem)?.values().max().copied()
    }

    /// The file with this stem that overlaps a range.
    pub(super) fn overlap(&self, stem: &str, from: u64, to: u64) -> Option<(u64, u64)> {
        // Visible files do not overlap each other, so only the last that starts before the end can overlap the range.
        let (start, end) = self.by_stem.get(stem)?.range(..to).next_back()?;
        (from < *end).then_some((*start, *end))
    }
}
