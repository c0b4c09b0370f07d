//! Cells of a column whose kind is not known: a number in text, or text in numbers.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Column};
use arrow_array::Array as _;

use crate::codec::number::parse_f64;

/// The measurement in a cell, also where the column holds text.
pub(crate) fn number_at(column: &Column, row: usize) -> (Option<f64>, CellQuality) {
    match column {
        Column::Number(numbers) => (numbers.get(row), numbers.quality_at(row)),
        Column::Text(texts) if texts.is_valid(row) && !texts.value(row).trim().is_empty() => {
            match parse_f64(texts.value(row).trim().as_bytes(), b'.') {
                Some(value) => (Some(value), CellQuality::OBSERVED),
                None => (None, CellQuality::UNREADABLE),
            }
        }
        Column::Text(_) => (None, CellQuality::MISSING),
    }
}

/// The text in a cell, also where the column holds numbers: codes such as `8`.
pub(crate) fn text_at(column: &Column, row: usize) -> Option<Cow<'_, str>> {
    let text = match column {
        Column::Text(texts) => Cow::Borrowed(texts.is_valid(row).then(|| texts.value(row).trim())?),
        Column::Number(numbers) => Cow::Owned(numbers.get(row)?.to_string()),
    };
    (!text.is_empty()).then_some(text)
}
