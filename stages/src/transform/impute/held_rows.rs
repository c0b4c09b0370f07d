//! Held rows, and how a batch is split into rows that leave and rows that are held.

use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Column, Numbers};
use arrow_array::{Array, BinaryArray, Float64Array, StringArray};
use arrow_buffer::NullBuffer;

use super::keyed_batch::KeyedBatch;
use super::row_set::RowSet;

/// Rows of one layout as they came in, with their times of arrival.
pub(super) struct HeldRows {
    pub(super) rows: KeyedBatch,
    pub(super) arrived: Vec<Instant>,
    /// The number under which these rows are saved, as they are.
    pub(super) saved_as: Option<u64>,
}

impl HeldRows {
    pub(super) fn new(rows: KeyedBatch, now: Instant) -> HeldRows {
        let arrived = vec![now; rows.len()];
        HeldRows { rows, arrived, saved_as: None }
    }

    pub(super) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// Splits the rows: emits those that leave, filled by `fill`, and returns those that stay, as they were. `fill` gets all
    /// rows; its changes of those that stay are dropped. Rows before the first that stays are not copied.
    pub(super) fn split(
        mut self,
        stays: impl Fn(usize) -> bool,
        fill: impl FnOnce(&mut KeyedBatch) -> Result<()>,
        out: &mut Vec<KeyedBatch>,
    ) -> Result<Option<HeldRows>> {
        let rows = self.len();
        let Some(first) = (0..rows).find(|row| stays(*row)) else {
            fill(&mut self.rows)?;
            out.push(self.rows);
            return Ok(None);
        };
        let (mut staying, mut going) = (RowSet::none(rows - first), RowSet::none(rows - first));
        for row in first..rows {
            if stays(row) { staying.insert(row - first) } else { going.insert(row - first) }
        }
        if staying.count() == rows {
            return Ok(Some(self));
        }
        let tail = self.rows.slice(first, rows - first);
        let kept = HeldRows {
            // In memory of their own: the columns that leave are then not shared, so that later stages change them in place.
            rows: match going.first() {
                None => KeyedBatch { batch: copied(tail.batch)?, ..tail },
                Some(_) => tail.filter(&staying)?,
            },
            arrived: staying.iter().map(|row| self.arrived[first + row]).collect(),
            saved_as: None,
        };
        fill(&mut self.rows)?;
        if going.first().is_some() {
            let between = self.rows.slice(first, rows - first).filter(&going)?;
            self.rows = self.rows.slice(0, first);
            out.extend([self.rows, between].into_iter().filter(|rows| rows.len() > 0));
        } else {
            out.push(self.rows.slice(0, first));
        }
        Ok(Some(kept))
    }

    /// Joins neighbours of one layout, so that many small batches become few: the last ones, up to one that is more than twice as
    /// large as all behind it. Each row is so joined with others a few times, however many are held.
    pub(super) fn join(mut held: Vec<HeldRows>) -> Result<Vec<HeldRows>> {
        let (mut first, mut rows) = (held.len(), 0);
        while first > 0 && (rows == 0 || held[first - 1].len() <= 2 * rows) {
            first -= 1;
            rows += held[first].len();
        }
        let held_alone = held.drain(..first).collect();
        Self::join_all(held).map(|joined| [held_alone, joined].into_iter().flatten().collect())
    }

    fn join_all(held: Vec<HeldRows>) -> Result<Vec<HeldRows>> {
        let mut joined = Vec::new();
        let mut group: Vec<KeyedBatch> = Vec::new();
        let mut arrived = Vec::new();
        let mut close = |group: &mut Vec<KeyedBatch>, arrived: &mut Vec<Instant>| -> Result<()> {
            if !group.is_empty() {
                joined.push(HeldRows {
                    rows: KeyedBatch::concat(group)?,
                    arrived: std::mem::take(arrived),
                    saved_as: None,
                });
                group.clear();
            }
            Ok(())
        };
        for part in held {
            if group.first().is_some_and(|first| !first.joins(&part.rows)) {
                close(&mut group, &mut arrived)?;
            }
            group.push(part.rows);
            arrived.extend(part.arrived);
        }
        close(&mut group, &mut arrived)?;
        Ok(joined)
    }
}

/// The rows in memory of their own.
fn copied(batch: Batch) -> Result<Batch> {
    let mut parts = batch.into_parts();
    parts.time = parts.time.to_vec().into();
    parts.utc_offset = parts.utc_offset.to_vec().into();
    parts.source_offsets = parts.source_offsets.to_vec().into();
    parts.key = parts.key.map(|key| key.iter().collect());
    parts.score = parts.score.map(|score| copied_values(&score));
    parts.raw = parts.raw.map(|raw| raw.iter().collect::<BinaryArray>());
    for column in &mut parts.columns {
        *column = match column {
            Column::Number(numbers) => Column::Number(Numbers {
                values: copied_values(&numbers.values),
                quality: numbers.quality.to_vec().into(),
            }),
            Column::Text(text) => Column::Text(text.iter().collect::<StringArray>()),
        };
    }
    Batch::new(parts)
}

fn copied_values(values: &Float64Array) -> Float64Array {
    let nulls = values.nulls().map(|nulls| nulls.iter().collect::<NullBuffer>());
    Float64Array::new(values.values().to_vec().into(), nulls)
}
