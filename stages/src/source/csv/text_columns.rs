//! Columns that nobody declared and that became text by few records, as long as a sample of files that grow is not whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The cells of such a column so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TextCells {
    /// Those that are numbers.
    pub(super) values: u64,
    /// Those that are words.
    pub(super) words: u64,
    /// Whether one is a code such as `007`, which makes the column text.
    pub(super) has_code: bool,
}

/// The columns by their names.
pub(super) type TextColumns = BTreeMap<String, TextCells>;

impl TextCells {
    pub(super) fn add(&mut self, more: TextCells) {
        self.values += more.values;
        self.words += more.words;
        self.has_code |= more.has_code;
    }

    /// Whether the column holds numbers after all.
    pub(super) fn are_numbers(self) -> bool {
        self.values > self.words && !self.has_code
    }
}
