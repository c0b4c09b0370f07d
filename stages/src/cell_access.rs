//! Cells of a column whose kind is not known: a number in text, or text in numbers.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Column};
use arrow_array::Array as _;

use crate::reading::{NumberReader, Reading};

/// The measurement in a cell, also where the column holds text: a source reads a field by its own options only where it knows
/// that stages use it as a measurement.
pub(crate) fn number_at(column: &Column, row: usize, reader: &NumberReader) -> (Option<f64>, CellQuality) {
    match column {
        Column::Number(numbers) => (numbers.get(row), numbers.quality_at(row)),
        Column::Text(texts) if texts.is_valid(row) => match reader.read(texts.value(row).trim().as_bytes()) {
            Reading::Value(value) => (Some(value), CellQuality::OBSERVED),
            Reading::Missing => (None, CellQuality::MISSING),
            // A reader without options knows neither marks nor limits.
            Reading::Censored(_)
            | Reading::Suspect(_)
            | Reading::CensoredSuspect(_)
            | Reading::Failed
            | Reading::Unreadable => (None, CellQuality::UNREADABLE),
        },
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
