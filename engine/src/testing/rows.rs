//! The rows of batches as text, to be compared.

use std::fmt;

use arrow_array::Array as _;

use crate::record::{Batch, Column};

/// A row as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it starts in its split.
    pub source_offset: u64,
    /// Its time, key, values with their quality, and score.
    pub text: String,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.source_offset, self.text)
    }
}

/// The rows of batches, in order.
#[must_use]
pub fn rows(batches: &[Batch]) -> Vec<Row> {
    batches.iter().flat_map(|batch| (0..batch.rows()).map(|row| row_of(batch, row))).collect()
}

fn row_of(batch: &Batch, row: usize) -> Row {
    let mut text = format!("time {}", batch.time()[row]);
    if let Some(keys) = batch.key().filter(|keys| keys.is_valid(row)) {
        text += &format!(", key {}", keys.value(row));
    }
    for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
        text += &match column {
            Column::Number(numbers) => match numbers.get(row) {
                Some(value) => format!(", {} {value} ({:?})", field.name, numbers.quality_at(row)),
                None => format!(", {} none ({:?})", field.name, numbers.quality_at(row)),
            },
            Column::Text(texts) if texts.is_valid(row) => format!(", {} {:?}", field.name, texts.value(row)),
            Column::Text(_) => format!(", {} none", field.name),
        };
    }
    if let Some(scores) = batch.score().filter(|scores| scores.is_valid(row)) {
        text += &format!(", score {}", scores.value(row));
    }
    Row { source_offset: batch.source_offsets()[row], text }
}
