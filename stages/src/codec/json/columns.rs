//! Columns while they grow.

use aqpipe_engine::Result;
use aqpipe_engine::record::{CellQuality, Column, Kind, Numbers, QcTests};
use aqpipe_engine::{Error, arrow_array};
use arrow_array::{Float64Array, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer};

use super::row::Cell;

/// The mark of a value that was not a number.
const NOT_A_NUMBER: CellQuality = CellQuality::MISSING.with_test(QcTests::NOT_A_NUMBER);

/// A field's column.
#[derive(Debug)]
pub(super) enum Builder {
    Number(Measures),
    Text(Texts),
}

/// Measurements and their marks.
#[derive(Debug)]
pub(super) struct Measures {
    values: Vec<f64>,
    nulls: NullBufferBuilder,
    marks: Vec<u32>,
}

/// Texts.
#[derive(Debug)]
pub(super) struct Texts {
    text: String,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Builder {
    /// A column with room for so many rows. A field of which only nulls were seen is one of numbers.
    pub(super) fn new(kind: Kind, rows: usize) -> Builder {
        match kind {
            Kind::Text => Builder::Text(Texts::new(rows)),
            Kind::Number | Kind::Unknown => Builder::Number(Measures {
                values: Vec::with_capacity(rows),
                nulls: NullBufferBuilder::new(rows),
                marks: Vec::with_capacity(rows),
            }),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, cell: &Cell, source: &str) {
        match self {
            Builder::Number(measures) => match cell {
                Cell::Number(number) if number.value.is_finite() => {
                    measures.values.push(number.value);
                    measures.nulls.append_non_null();
                    measures.marks.push(CellQuality::OBSERVED.0);
                }
                Cell::Absent | Cell::Null => measures.push_null(CellQuality::MISSING),
                Cell::Number(_) | Cell::Text(_) | Cell::Bool(_) => measures.push_null(NOT_A_NUMBER),
            },
            Builder::Text(texts) => texts.push_cell(cell, source),
        }
    }

    pub(super) fn finish(self) -> Result<Column> {
        Ok(match self {
            Builder::Text(texts) => Column::Text(texts.finish()?),
            Builder::Number(mut measures) => Column::Number(Numbers {
                values: Float64Array::new(measures.values.into(), measures.nulls.finish()),
                quality: measures.marks.into(),
            }),
        })
    }
}

impl Measures {
    fn push_null(&mut self, mark: CellQuality) {
        self.values.push(0.0);
        self.nulls.append_null();
        self.marks.push(mark.0);
    }

    /// The mark of the last row, where its value could be read, and whether there is none.
    #[inline]
    pub(super) fn last(&mut self) -> Option<(&mut u32, bool)> {
        let row = self.marks.len().checked_sub(1)?;
        let mark = &mut self.marks[row];
        (*mark != NOT_A_NUMBER.0).then(|| (mark, !self.nulls.is_valid(row)))
    }
}

impl Texts {
    pub(super) fn new(rows: usize) -> Texts {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Texts { text: String::new(), offsets, nulls: NullBufferBuilder::new(rows) }
    }

    pub(super) fn push_cell(&mut self, cell: &Cell, source: &str) {
        match cell {
            Cell::Absent | Cell::Null => return self.push(None),
            Cell::Number(number) => self.text.push_str(&source[number.part.range()]),
            Cell::Text(text) => self.text.push_str(&text.text(source)),
            Cell::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
        }
        self.push(Some(""));
    }

    fn push(&mut self, text: Option<&str>) {
        self.text.push_str(text.unwrap_or_default());
        // The decoder is full long before 2 GiB.
        self.offsets.push(self.text.len() as i32);
        self.nulls.append(text.is_some());
    }

    pub(super) fn finish(mut self) -> Result<StringArray> {
        let offsets = OffsetBuffer::new(self.offsets.into());
        StringArray::try_new(offsets, Buffer::from_vec(self.text.into_bytes()), self.nulls.finish())
            .map_err(|error| Error::bug("Arrow refused a column of texts").because(error))
    }
}
