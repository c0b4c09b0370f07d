//! Columns while they grow.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Fields, Kind, Numbers};
use arrow_array::StringArray;
use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

/// A column of measurements while it grows: the values, and the few cells that are not just observed.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    values: Vec<f64>,
    absent: Vec<(u32, CellQuality)>,
}

impl Measured {
    /// A value from the source.
    #[inline]
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// No value, and what is known of that.
    #[inline]
    pub(crate) fn push_absent(&mut self, mark: CellQuality) {
        self.absent.push((self.values.len() as u32, mark));
        self.values.push(0.0);
    }

    fn finish(self) -> Numbers {
        let rows = self.values.len();
        let mut marks = vec![CellQuality::OBSERVED.0; rows];
        let nulls = (!self.absent.is_empty()).then(|| {
            let mut valid = BooleanBufferBuilder::new(rows);
            valid.append_n(rows, true);
            for (row, mark) in &self.absent {
                marks[*row as usize] = mark.0;
                valid.set_bit(*row as usize, false);
            }
            NullBuffer::new(valid.finish())
        });
        Numbers::from_vecs(self.values, nulls, marks)
    }
}

/// One column while it grows.
#[derive(Debug)]
pub(crate) enum Cells {
    /// Measurements.
    Number(Measured),
    /// Text.
    Text(StringBuilder),
}

/// The key of the rows.
#[derive(Debug)]
pub(crate) enum Keys {
    /// There is none.
    Absent,
    /// The same for all rows.
    Constant(Arc<str>),
    /// Each row has its own.
    Own(StringBuilder),
}

/// Rows while they grow.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Instants in microseconds since 1970 UTC.
    pub(crate) time: Vec<i64>,
    /// Minutes east of UTC.
    pub(crate) offset: Vec<i16>,
    /// Where each row starts in its split.
    pub(crate) origin: Vec<u64>,
    /// The keys.
    pub(crate) keys: Keys,
    /// A column a field, in the order of the layout.
    pub(crate) columns: Vec<Cells>,
    /// The bytes of each row, where they are kept.
    pub(crate) raw: Option<BinaryBuilder>,
}

impl Rows {
    /// No rows yet, with room for some.
    pub(crate) fn new(layout: &Fields, keys: Keys, keep_raw: bool, room: usize) -> Rows {
        let column = |kind: Kind| match kind {
            Kind::Text => Cells::Text(StringBuilder::new()),
            Kind::Number | Kind::Unknown => {
                Cells::Number(Measured { values: Vec::with_capacity(room), absent: Vec::new() })
            }
        };
        Rows {
            time: Vec::with_capacity(room),
            offset: Vec::with_capacity(room),
            origin: Vec::with_capacity(room),
            keys,
            columns: layout.list.iter().map(|field| column(field.kind)).collect(),
            raw: keep_raw.then(BinaryBuilder::new),
        }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// The rows as a batch; `layout` is the one that they were begun with, its undecided fields made numbers.
    pub(crate) fn finish(self, layout: &Arc<Fields>) -> Result<Batch> {
        let rows = self.time.len();
        let column = |cells: Cells| match cells {
            Cells::Number(measured) => Column::Number(measured.finish()),
            Cells::Text(mut text) => Column::Text(text.finish()),
        };
        Batch::new(BatchParts {
            fields: Arc::clone(layout),
            time: self.time.into(),
            utc_offset: self.offset.into(),
            key: match self.keys {
                Keys::Absent => None,
                Keys::Constant(key) => Some(StringArray::from_iter_values(std::iter::repeat_n(&*key, rows))),
                Keys::Own(mut keys) => Some(keys.finish()),
            },
            columns: self.columns.into_iter().map(column).collect(),
            score: None,
            source_offsets: self.origin.into(),
            raw: self.raw.map(|mut raw| raw.finish()),
        })
    }
}
