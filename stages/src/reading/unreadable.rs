//! Cells that cannot be read, while a source meets them.

/// Bytes of a cell's text that are kept.
pub(super) const TEXT_BYTES_MAX: usize = 64;
/// Texts of one field that are kept: enough to try the options on.
const TEXTS_MAX: usize = 100;

/// Unreadable cells of one field since they were last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldCells {
    /// How many there were.
    pub count: u64,
    /// The source offset of the first one's record.
    pub first: u64,
    /// The texts of the first ones, cut to a length.
    pub texts: Vec<Vec<u8>>,
}

/// The unreadable cells that a decoder has met, by field.
#[derive(Clone, Debug, Default)]
pub struct UnreadableCells {
    fields: Vec<FieldCells>,
    total: u64,
}

impl UnreadableCells {
    /// Adds a cell of a field, by the field's index in the layout.
    #[cold]
    pub fn add(&mut self, field: usize, text: &[u8], source_offset: u64) {
        if self.fields.len() <= field {
            self.fields.resize_with(field + 1, FieldCells::default);
        }
        let cells = &mut self.fields[field];
        if cells.count == 0 {
            cells.first = source_offset;
        }
        cells.count += 1;
        self.total += 1;
        if cells.texts.len() < TEXTS_MAX {
            cells.texts.push(text[..text.len().min(TEXT_BYTES_MAX)].to_vec());
        }
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The cells of a field, by its index.
    #[must_use]
    pub fn of(&self, field: usize) -> Option<&FieldCells> {
        self.fields.get(field).filter(|cells| cells.count > 0)
    }

    /// The fields that have some, by index, and none from now on.
    pub fn take(&mut self) -> Vec<(usize, FieldCells)> {
        self.total = 0;
        let fields = std::mem::take(&mut self.fields);
        fields.into_iter().enumerate().filter(|(_, cells)| cells.count > 0).collect()
    }
}
