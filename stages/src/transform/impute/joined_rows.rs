//! Several batches as one. A single batch is not copied.

use std::borrow::Cow;

use aqpipe_engine::record::{CellQuality, Flag};

use super::gaps::FieldCells;
use super::key_order::KeyOrder;
use super::keyed_batch::KeyedBatch;
use super::row_set::RowSet;

/// Several batches as one.
pub(super) struct JoinedRows<'a> {
    pub(super) time: Cow<'a, [i64]>,
    pub(super) order: Cow<'a, KeyOrder>,
    /// By field; `None` where no batch has it.
    pub(super) cells: Vec<Option<FieldCells<'a>>>,
}

impl<'a> JoinedRows<'a> {
    pub(super) fn of(batches: &'a [&'a KeyedBatch]) -> JoinedRows<'a> {
        let fields = batches.iter().map(|rows| rows.columns.fields()).max().unwrap_or(0);
        if let [rows] = batches {
            let cells = |field| Some(FieldCells::of(rows.batch.numbers(rows.columns.of(field)?)?));
            return JoinedRows {
                time: Cow::Borrowed(rows.batch.time()),
                order: Cow::Borrowed(&rows.order),
                cells: (0..fields).map(cells).collect(),
            };
        }
        JoinedRows {
            time: Cow::Owned(batches.iter().flat_map(|rows| rows.batch.time()).copied().collect()),
            order: Cow::Owned(KeyOrder::concat(batches.iter().map(|rows| &rows.order))),
            cells: (0..fields).map(|field| joined_cells(batches, field)).collect(),
        }
    }
}

/// A field's cells in all batches. In a batch without the field there is nothing to carry and nothing to fill: its cells are
/// like values flagged `fail`.
fn joined_cells<'a>(batches: &[&KeyedBatch], field: usize) -> Option<FieldCells<'a>> {
    let rows: usize = batches.iter().map(|rows| rows.len()).sum();
    let (mut values, mut quality) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut valid = RowSet::none(rows);
    valid.insert_from(0);
    let (mut some, mut missing) = (false, false);
    for batch in batches {
        match batch.columns.of(field).and_then(|column| batch.batch.numbers(column)) {
            Some(numbers) => {
                let cells = FieldCells::of(numbers);
                for row in cells.valid.iter().flat_map(RowSet::iter_absent) {
                    valid.remove(values.len() + row);
                    missing = true;
                }
                values.extend_from_slice(&cells.values);
                quality.extend_from_slice(&cells.quality);
                some = true;
            }
            None => {
                values.resize(values.len() + batch.len(), 0.0);
                quality.resize(values.len(), CellQuality::MISSING.with_flag(Flag::Fail).0);
            }
        }
    }
    let valid = missing.then_some(valid);
    some.then_some(FieldCells { values: Cow::Owned(values), quality: Cow::Owned(quality), valid })
}
