//! Which ranges of source offsets are in visible files.

use std::collections::{BTreeMap, HashMap};

use super::file_names::{FileNames, VisibleName};

/// The ranges of visible files: by stem, the end of each range by its start.
#[derive(Debug, Default)]
pub(super) struct VisibleIndex {
    by_stem: HashMap<String, BTreeMap<u64, u64>>,
}

impl VisibleIndex {
    /// The ranges of those of a directory's names that are visible files.
    pub(super) fn of(directory: &[String], names: &FileNames) -> VisibleIndex {
        let mut index = VisibleIndex::default();
        directory.iter().filter_map(|name| names.parse_visible(name)).for_each(|name| index.insert(&name));
        index
    }

    pub(super) fn insert(&mut self, name: &VisibleName<'_>) {
        // Without a copy of the stem for each of thousands of files.
        let ends = match self.by_stem.get_mut(name.stem) {
            Some(ends) => ends,
            None => self.by_stem.entry(name.stem.to_owned()).or_default(),
        };
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
