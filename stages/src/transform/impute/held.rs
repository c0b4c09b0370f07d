//! Rows that are held back, and how a batch is parted into those that go on and those that stay.

use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Column, Numbers};
use arrow_array::{Array, BinaryArray, Float64Array, StringArray};
use arrow_buffer::NullBuffer;

use super::bits::Bits;
use super::rows::Rows;

/// Rows of one layout, as they came in, with the instants of their arrival.
pub(super) struct Held {
    pub(super) rows: Rows,
    pub(super) arrived: Vec<Instant>,
}

impl Held {
    pub(super) fn new(rows: Rows, now: Instant) -> Held {
        let arrived = vec![now; rows.len()];
        Held { rows, arrived }
    }

    pub(super) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// Parts the rows: those that stay, as they are; those that go on, as `fill` leaves them. `stays` says which row
    /// stays; `fill` is called once with all rows, and what it makes of those that stay is dropped.
    pub(super) fn part(
        mut self,
        stays: impl Fn(usize) -> bool,
        fill: impl FnOnce(&mut Rows) -> Result<()>,
    ) -> Result<(Option<Rows>, Option<Held>)> {
        let rows = self.len();
        let mut staying = Bits::none(rows);
        (0..rows).filter(|row| stays(*row)).for_each(|row| staying.insert(row));
        let count = staying.count();
        if count == rows {
            return Ok((None, Some(self)));
        }
        let first = staying.first().unwrap_or(rows);
        let tail_stays = rows - first == count;
        let kept = match staying.first() {
            None => None,
            // Copied, so that the columns that go on are not shared and later stages change them in place.
            Some(first) if tail_stays => {
                let tail = self.rows.slice(first, count);
                Some(Held { rows: Rows { batch: copied(tail.batch)?, ..tail }, arrived: self.arrived.split_off(first) })
            }
            Some(_) => {
                let arrived = staying.iter().map(|row| self.arrived[row]).collect();
                Some(Held { rows: self.rows.filter(&staying)?, arrived })
            }
        };
        fill(&mut self.rows)?;
        let going = if count == 0 {
            self.rows
        } else if tail_stays {
            self.rows.slice(0, first)
        } else {
            let mut going = Bits::none(rows);
            staying.iter_absent().for_each(|row| going.insert(row));
            self.rows.filter(&going)?
        };
        Ok((Some(going), kept))
    }

    /// Joins neighbours where they can be, so that many small batches do not stay many.
    pub(super) fn join(held: Vec<Held>) -> Result<Vec<Held>> {
        let mut joined = Vec::new();
        let mut group: Vec<Rows> = Vec::new();
        let mut arrived = Vec::new();
        let mut close = |group: &mut Vec<Rows>, arrived: &mut Vec<Instant>| -> Result<()> {
            if !group.is_empty() {
                joined.push(Held { rows: Rows::concat(group)?, arrived: std::mem::take(arrived) });
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
    parts.offset = parts.offset.to_vec().into();
    parts.origin = parts.origin.to_vec().into();
    parts.key = parts.key.map(|key| key.iter().collect());
    parts.score = parts.score.map(|score| copied_values(&score));
    parts.raw = parts.raw.map(|raw| raw.iter().collect::<BinaryArray>());
    for column in &mut parts.columns {
        *column = match column {
            Column::Number(numbers) => {
                Column::Number(Numbers { values: copied_values(&numbers.values), marks: numbers.marks.to_vec().into() })
            }
            Column::Text(text) => Column::Text(text.iter().collect::<StringArray>()),
        };
    }
    Batch::new(parts)
}

fn copied_values(values: &Float64Array) -> Float64Array {
    let nulls = values.nulls().map(|nulls| nulls.iter().collect::<NullBuffer>());
    Float64Array::new(values.values().to_vec().into(), nulls)
}
