//! The rows of a key that are not complete.

use std::collections::BTreeMap;
use std::time::Instant;

use aqpipe_engine::record::{Batch, CellQuality, Column, Origin};
use serde::{Deserialize, Serialize};

use super::departures::{Departure, Departures};
use crate::cell_access::text_at;

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    source_offset: u64,
    raw: Option<Vec<u8>>,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NamedCell {
    /// The number of its name.
    pub(super) name: usize,
    pub(super) value: Option<f64>,
    pub(super) quality: u32,
}

/// A field that comes along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// No record of the row had it.
    #[default]
    Absent,
    Number(Option<f64>, u32),
    Text(Option<String>),
    /// The records of the row differ.
    Differs,
}

impl Kept {
    fn at(column: &Column, row: usize) -> Kept {
        match column {
            Column::Number(numbers) => Kept::Number(numbers.get(row), numbers.quality_at(row).0),
            Column::Text(_) => Kept::Text(text_at(column, row).map(|text| text.into_owned())),
        }
    }

    fn add(&mut self, other: Kept) {
        let same = match (&*self, &other) {
            (Kept::Absent, _) => {
                *self = other;
                return;
            }
            (Kept::Number(one, _), Kept::Number(two, _)) => one == two,
            (one, two) => one == two,
        };
        if !same {
            *self = Kept::Differs;
        }
    }
}

/// A row that waits for values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenRow {
    pub(super) time: i64,
    pub(super) utc_offset: i16,
    pub(super) cells: Vec<NamedCell>,
    /// By the number of the field.
    pub(super) kept: Vec<Kept>,
    records: Vec<Waiting>,
    /// When its first record came. How long a row has waited is not saved: it waits anew.
    #[serde(skip)]
    pub(super) arrived: Option<Instant>,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Taken,
    /// The row has another value of that name.
    Repeated,
}

impl OpenRow {
    pub(super) fn new(batch: &Batch, row: usize, arrived: Instant) -> OpenRow {
        OpenRow {
            time: batch.time()[row],
            utc_offset: batch.utc_offset()[row],
            cells: Vec::new(),
            kept: Vec::new(),
            records: Vec::new(),
            arrived: Some(arrived),
        }
    }

    /// Adds a record. `kept` has the columns of the fields that come along, by their numbers. The same value a second time, or
    /// none, changes nothing.
    pub(super) fn add(&mut self, batch: &Batch, row: usize, cell: NamedCell, kept: &[Option<usize>]) -> Added {
        match self.cells.iter_mut().find(|known| known.name == cell.name) {
            Some(known) if known.value.is_none() => *known = cell,
            Some(known) if cell.value.is_none() || cell.value == known.value => {}
            Some(_) => return Added::Repeated,
            None => self.cells.push(cell),
        }
        if self.kept.len() < kept.len() {
            self.kept.resize(kept.len(), Kept::Absent);
        }
        for (field, column) in kept.iter().enumerate() {
            if let Some(column) = column {
                self.kept[field].add(Kept::at(batch.column(*column), row));
            }
        }
        let raw = batch.raw(row).map(<[u8]>::to_vec);
        self.records.push(Waiting { source_offset: batch.source_offsets()[row], raw });
        Added::Taken
    }

    /// How many records it was made of.
    pub(super) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// Where the first of its records starts.
    pub(super) fn source_offset(&self) -> u64 {
        self.records.iter().map(|record| record.source_offset).min().unwrap_or_default()
    }

    /// Where the first of its records starts, and how many there are.
    pub(super) fn extent(&self) -> (u64, u64) {
        (self.source_offset(), self.records())
    }

    /// The records that it was made of, as bytes of a row; `None` where those are not kept.
    pub(super) fn origins(&self) -> Option<Vec<u8>> {
        self.records.iter().any(|record| record.raw.is_some()).then(|| {
            let origins =
                self.records.iter().flat_map(|record| Origin::of_bytes(record.source_offset, record.raw.as_deref()));
            Origin::encode(&origins.collect::<Vec<_>>())
        })
    }

    /// The value of a name.
    pub(super) fn cell(&self, name: usize) -> (Option<f64>, u32) {
        let cell = self.cells.iter().find(|cell| cell.name == name);
        cell.map_or((None, CellQuality::MISSING.0), |cell| (cell.value, cell.quality))
    }
}

/// The rows of a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct KeyRows {
    pub(super) open: BTreeMap<i64, OpenRow>,
    pub(super) left: Departures,
}

impl KeyRows {
    /// Takes a row out.
    pub(super) fn take(&mut self, time: i64, departure: Departure) -> Option<OpenRow> {
        let row = self.open.remove(&time)?;
        self.left.add(time, departure);
        Some(row)
    }
}
