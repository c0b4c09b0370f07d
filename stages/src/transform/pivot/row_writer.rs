//! Makes a batch of the rows that leave.

use std::borrow::Cow;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Field, Fields, Kind, Numbers, TIMESTAMP};
use arrow_array::{BinaryArray, Float64Array, StringArray};

use super::keyed_rows::KeyedRow;
use super::open_rows::Kept;
use crate::codec::unique_names::unique_names;

/// The fields of the rows: those that come along, and those that are made of names.
#[derive(Debug, Default)]
pub(super) struct RowLayout {
    pub(super) kept: Vec<Field>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
}

impl RowLayout {
    /// The names of the columns as they come, and as they are written, where each is there once: first those of names, which keep
    /// theirs, and then those of fields that come along.
    pub(super) fn columns(&self) -> (Vec<&str>, Vec<Cow<'_, str>>) {
        let names: Vec<&str> =
            self.names.iter().chain(self.kept.iter().map(|field| &field.name)).map(|name| &**name).collect();
        let reserved: Vec<&str> = self.key.as_deref().into_iter().chain([TIMESTAMP]).collect();
        let written = unique_names(&names, &reserved);
        (names, written)
    }

    /// The fields of the rows.
    fn fields(&self) -> Fields {
        let (_, written) = self.columns();
        let (names, kept) = written.split_at(self.names.len());
        let kept = self.kept.iter().zip(kept).map(|(field, name)| Field { name: (**name).into(), ..field.clone() });
        let list = kept.chain(names.iter().map(|name| Field::number(name))).collect();
        Fields { list, key: self.key.clone(), score: None, open: false }
    }

    /// The rows as a batch, each with its key.
    pub(super) fn batch(&self, rows: &[KeyedRow]) -> Result<Batch> {
        let fields = self.fields();
        let kept = self.kept.iter().enumerate().map(|(field, of)| kept_column(rows, field, of.kind));
        let named = (0..self.names.len()).map(|name| {
            let (values, quality): (Vec<_>, Vec<u32>) = rows.iter().map(|(_, row)| row.cell(name)).unzip();
            let values: Float64Array = values.into_iter().collect();
            Column::Number(Numbers { values, quality: quality.into() })
        });
        let columns = kept.chain(named).collect();
        let origins: Vec<Option<Vec<u8>>> = rows.iter().map(|(_, row)| row.origins()).collect();
        let has_raw = origins.iter().any(Option::is_some);
        Batch::new(BatchParts {
            key: fields.key.is_some().then(|| rows.iter().map(|(key, _)| key.as_deref()).collect::<StringArray>()),
            fields: Arc::new(fields),
            time: rows.iter().map(|(_, row)| row.time).collect(),
            utc_offset: rows.iter().map(|(_, row)| row.utc_offset).collect(),
            columns,
            score: None,
            source_offsets: rows.iter().map(|(_, row)| row.source_offset()).collect(),
            raw: has_raw.then(|| origins.iter().map(Option::as_deref).collect::<BinaryArray>()),
        })
    }
}

fn kept_column(rows: &[KeyedRow], field: usize, kind: Kind) -> Column {
    let cells = rows.iter().map(|(_, row)| row.kept.get(field).unwrap_or(&Kept::Absent));
    if kind == Kind::Text {
        let texts = cells.map(|cell| match cell {
            Kept::Text(text) => text.as_deref(),
            Kept::Absent | Kept::Number(..) | Kept::Differs => None,
        });
        return Column::Text(texts.collect());
    }
    let number = |cell: &Kept| match cell {
        Kept::Number(value, quality) => (*value, *quality),
        Kept::Absent | Kept::Text(_) | Kept::Differs => (None, CellQuality::MISSING.0),
    };
    let (values, quality): (Vec<_>, Vec<u32>) = cells.map(number).unzip();
    Column::Number(Numbers { values: values.into_iter().collect::<Float64Array>(), quality: quality.into() })
}
