//! A batch on its way through the steps.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Numbers, Provenance};
use arrow_array::{Array, BooleanArray};
use arrow_buffer::BooleanBuffer;

use super::field_binder::Columns;
use super::fill_policy::FillPolicy;
use super::key_id::KeyId;
use super::key_order::KeyOrder;
use super::row_set::RowSet;

/// A batch with the order of each key's rows and the columns of its fields.
#[derive(Clone, Debug)]
pub(super) struct KeyedBatch {
    pub(super) batch: Batch,
    pub(super) order: KeyOrder,
    pub(super) columns: Arc<Columns>,
}

impl KeyedBatch {
    pub(super) fn len(&self) -> usize {
        self.batch.rows()
    }

    /// Rows `from .. from + rows`, sharing memory.
    pub(super) fn slice(&self, from: usize, rows: usize) -> KeyedBatch {
        let order = self.order.slice(from, rows);
        KeyedBatch { batch: self.batch.slice(from, rows), order, columns: Arc::clone(&self.columns) }
    }

    /// The rows of a set, in order, in memory of their own unless it is all of them.
    pub(super) fn filter(&self, keep: &RowSet) -> Result<KeyedBatch> {
        let mask = BooleanArray::from(BooleanBuffer::collect_bool(self.len(), |row| keep.has(row)));
        Ok(KeyedBatch {
            batch: self.batch.filter(&mask)?,
            order: self.order.filter(keep),
            columns: Arc::clone(&self.columns),
        })
    }

    /// Fills the missing cells of a column by the value of their key, if there is one.
    pub(super) fn fill_missing(
        &mut self,
        column: usize,
        provenance: Provenance,
        policy: FillPolicy,
        value_of: impl Fn(KeyId) -> Option<f64>,
    ) -> Result<()> {
        let order = &self.order;
        self.batch.change_numbers(column, |numbers| {
            let missing = numbers.values.nulls().filter(|nulls| nulls.null_count() > 0).map(RowSet::valid);
            let Some(before) = missing else { return Ok(numbers) };
            let (mut values, _, mut quality) = numbers.into_vecs();
            let mut valid = before.clone();
            for row in before.iter_absent() {
                let was = CellQuality(quality[row]);
                if policy.takes(was)
                    && let Some(value) = value_of(order.key(row))
                {
                    values[row] = value;
                    quality[row] = policy.filled(was, provenance, 0).0;
                    valid.insert(row);
                }
            }
            Ok(Numbers::from_vecs(values, valid.into_nulls(), quality))
        })
    }

    /// Whether these rows can be joined with others.
    pub(super) fn joins(&self, other: &KeyedBatch) -> bool {
        self.batch.fields() == other.batch.fields() && has_raw(&self.batch) == has_raw(&other.batch)
    }

    /// Rows one after the other, all of one layout.
    pub(super) fn concat(rows: &[KeyedBatch]) -> Result<KeyedBatch> {
        let batches: Vec<Batch> = rows.iter().map(|rows| rows.batch.clone()).collect();
        Ok(KeyedBatch {
            batch: Batch::concat(&batches)?,
            order: KeyOrder::concat(rows.iter().map(|rows| &rows.order)),
            columns: Arc::clone(&rows[0].columns),
        })
    }
}

fn has_raw(batch: &Batch) -> bool {
    batch.rows() > 0 && batch.raw(0).is_some()
}
