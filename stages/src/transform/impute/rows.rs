//! A batch on its way through the steps: with the order of its rows by key, and where its fields are.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Numbers, Provenance};
use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBuffer;

use super::bits::Bits;
use super::columns::Columns;
use super::keys::KeyId;
use super::order::Order;

/// A batch with the order of its rows and the places of its fields.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) batch: Batch,
    pub(super) order: Order,
    pub(super) columns: Arc<Columns>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.batch.rows()
    }

    /// Rows `from .. from + rows`, sharing memory.
    pub(super) fn slice(&self, from: usize, rows: usize) -> Rows {
        let order = self.order.slice(from, rows);
        Rows { batch: self.batch.slice(from, rows), order, columns: Arc::clone(&self.columns) }
    }

    /// The rows of a set, in order, in memory of their own unless it is all of them.
    pub(super) fn filter(&self, keep: &Bits) -> Result<Rows> {
        let mask = BooleanArray::from(BooleanBuffer::collect_bool(self.len(), |row| keep.has(row)));
        Ok(Rows {
            batch: self.batch.filter(&mask)?,
            order: self.order.filter(keep),
            columns: Arc::clone(&self.columns),
        })
    }

    /// Fills the missing cells of a column by a value each, where there is one.
    pub(super) fn fill_missing(
        &mut self,
        column: usize,
        provenance: Provenance,
        value_of: impl Fn(KeyId) -> Option<f64>,
    ) -> Result<()> {
        let order = &self.order;
        self.batch.change_numbers(column, |numbers| {
            let missing = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0).map(Bits::valid);
            let Some(before) = missing else { return Ok(numbers) };
            let (mut values, _, mut marks) = numbers.into_vecs();
            let mut valid = before.clone();
            for row in before.iter_absent() {
                if let Some(value) = value_of(order.key(row)) {
                    values[row] = value;
                    marks[row] = CellQuality(marks[row]).filled(provenance, 0).0;
                    valid.insert(row);
                }
            }
            Ok(Numbers::from_vecs(values, valid.into_nulls(), marks))
        })
    }

    /// Whether rows can be joined with these.
    pub(super) fn joins(&self, other: &Rows) -> bool {
        self.batch.fields() == other.batch.fields() && has_raw(&self.batch) == has_raw(&other.batch)
    }

    /// Rows one after the other, all of one layout.
    pub(super) fn concat(rows: &[Rows]) -> Result<Rows> {
        let batches: Vec<Batch> = rows.iter().map(|rows| rows.batch.clone()).collect();
        Ok(Rows {
            batch: Batch::concat(&batches)?,
            order: Order::concat(rows.iter().map(|rows| &rows.order)),
            columns: Arc::clone(&rows[0].columns),
        })
    }
}

fn has_raw(batch: &Batch) -> bool {
    batch.rows() > 0 && batch.raw(0).is_some()
}
