//! Columns of a source that may be parts of the key, also those that are not among its fields.

use parking_lot::Mutex;

/// The columns that differ between two records of one key and time at the beginning of the input, of those two that differ least.
/// A source finds them, and a stage that works along time names them in its warning.
#[derive(Debug, Default)]
pub(crate) struct KeyParts(Mutex<Vec<String>>);

impl KeyParts {
    /// Offers columns; fewer are better.
    pub(crate) fn offer(&self, columns: Vec<String>) {
        let mut known = self.0.lock();
        if !columns.is_empty() && (known.is_empty() || columns.len() < known.len()) {
            *known = columns;
        }
    }

    /// The columns; none where no source has found any.
    pub(crate) fn columns(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}
