//! Columns while they grow: one builder for every source.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Fields, Kind, Numbers};
use arrow_array::StringArray;
use arrow_array::builder::{BinaryBuilder, Float64Builder, StringBuilder};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

/// A column of measurements while it grows.
#[derive(Debug, Default)]
pub(crate) struct NumberBuilder {
    values: Vec<f64>,
    /// The cell quality of the first rows. The others are `OBSERVED`, so that an observed value costs one push.
    quality: Vec<u32>,
    /// The rows without a value, in order.
    missing: Vec<u32>,
}

impl NumberBuilder {
    fn with_capacity(rows: usize) -> NumberBuilder {
        NumberBuilder { values: Vec::with_capacity(rows), quality: Vec::with_capacity(rows), missing: Vec::new() }
    }

    /// Appends an observed value.
    #[inline]
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Appends a value with its quality.
    pub(crate) fn push_with(&mut self, value: f64, quality: CellQuality) {
        self.complete_quality();
        self.values.push(value);
        self.quality.push(quality.0);
    }

    /// Appends a cell without a value.
    #[inline]
    pub(crate) fn push_missing(&mut self, quality: CellQuality) {
        self.complete_quality();
        self.missing.push(self.values.len() as u32);
        self.values.push(0.0);
        self.quality.push(quality.0);
    }

    /// Takes away the cells behind so many rows.
    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.quality.truncate(rows);
        let kept = self.missing.partition_point(|row| (*row as usize) < rows);
        self.missing.truncate(kept);
    }

    /// The last cell's quality, and whether it has no value; `None` without rows.
    #[inline]
    pub(crate) fn last(&mut self) -> Option<(&mut u32, bool)> {
        self.complete_quality();
        let row = self.values.len().checked_sub(1)?;
        let is_missing = self.missing.last().is_some_and(|missing| *missing as usize == row);
        Some((&mut self.quality[row], is_missing))
    }

    /// Adds the quality of the observed values at the end. Mostly there is one at most.
    #[inline]
    fn complete_quality(&mut self) {
        match self.values.len() - self.quality.len() {
            0 => {}
            1 => self.quality.push(CellQuality::OBSERVED.0),
            _ => self.quality.resize(self.values.len(), CellQuality::OBSERVED.0),
        }
    }

    fn finish(mut self) -> Numbers {
        self.complete_quality();
        let nulls = (!self.missing.is_empty()).then(|| {
            let mut valid = BooleanBufferBuilder::new(self.values.len());
            valid.append_n(self.values.len(), true);
            self.missing.iter().for_each(|row| valid.set_bit(*row as usize, false));
            NullBuffer::new(valid.finish())
        });
        Numbers::from_vecs(self.values, nulls, self.quality)
    }
}

/// A field's column while it grows.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    /// Measurements.
    Number(NumberBuilder),
    /// Text.
    Text(StringBuilder),
}

impl ColumnBuilder {
    /// A column with room for so many rows. A field whose kind is unknown has only had nulls: it is one of numbers.
    fn new(kind: Kind, rows: usize) -> ColumnBuilder {
        match kind {
            Kind::Text => ColumnBuilder::Text(StringBuilder::new()),
            Kind::Number | Kind::Unknown => ColumnBuilder::Number(NumberBuilder::with_capacity(rows)),
        }
    }

    fn finish(self) -> Column {
        match self {
            ColumnBuilder::Number(numbers) => Column::Number(numbers.finish()),
            ColumnBuilder::Text(mut text) => Column::Text(text.finish()),
        }
    }
}

/// The keys of rows while they grow.
#[derive(Debug)]
pub(crate) enum KeyBuilder {
    /// Rows have no key.
    Absent,
    /// All rows have the same key.
    Constant(Arc<str>),
    /// Each row has its own.
    Own(StringBuilder),
}

/// Rows of one layout while they grow. Whoever adds a row pushes one cell to each member.
#[derive(Debug)]
pub(crate) struct RowsBuilder {
    /// Instants in microseconds since 1970 UTC.
    pub(crate) time: Vec<i64>,
    /// Minutes east of UTC.
    pub(crate) utc_offset: Vec<i16>,
    /// Where each row starts in its split.
    pub(crate) source_offsets: Vec<u64>,
    pub(crate) keys: KeyBuilder,
    /// One column a field, in the order of the layout.
    pub(crate) columns: Vec<ColumnBuilder>,
    /// The records' scores, where the layout has one.
    pub(crate) scores: Option<Float64Builder>,
    /// The bytes of each row, where they are kept.
    pub(crate) raw: Option<BinaryBuilder>,
}

impl RowsBuilder {
    /// No rows yet, with room for so many.
    pub(crate) fn new(layout: &Fields, keys: KeyBuilder, keep_raw: bool, rows: usize) -> RowsBuilder {
        RowsBuilder {
            time: Vec::with_capacity(rows),
            utc_offset: Vec::with_capacity(rows),
            source_offsets: Vec::with_capacity(rows),
            keys,
            columns: layout.list.iter().map(|field| ColumnBuilder::new(field.kind, rows)).collect(),
            scores: layout.score.is_some().then(|| Float64Builder::with_capacity(rows)),
            raw: keep_raw.then(BinaryBuilder::new),
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Takes away the measurements of a row that was begun, and is not added.
    pub(crate) fn forget_begun_row(&mut self) {
        let rows = self.len();
        for column in &mut self.columns {
            if let ColumnBuilder::Number(numbers) = column {
                numbers.truncate(rows);
            }
        }
    }

    /// The rows as a batch. `layout` is the one that they were begun with, with fields of unknown kind made numbers.
    pub(crate) fn finish(self, layout: &Arc<Fields>) -> Result<Batch> {
        let rows = self.time.len();
        Batch::new(BatchParts {
            fields: Arc::clone(layout),
            time: self.time.into(),
            utc_offset: self.utc_offset.into(),
            key: match self.keys {
                KeyBuilder::Absent => None,
                KeyBuilder::Constant(key) => Some(StringArray::from_iter_values(std::iter::repeat_n(&*key, rows))),
                KeyBuilder::Own(mut keys) => Some(keys.finish()),
            },
            columns: self.columns.into_iter().map(ColumnBuilder::finish).collect(),
            score: self.scores.map(|mut scores| scores.finish()),
            source_offsets: self.source_offsets.into(),
            raw: self.raw.map(|mut raw| raw.finish()),
        })
    }
}
