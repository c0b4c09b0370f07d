//! Makes a batch of the rows that leave.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Field, Fields, Kind, Numbers};
use arrow_array::{BinaryArray, Float64Array, StringArray};

use super::keyed_rows::KeyedRow;
use super::open_rows::Kept;

/// The fields of the rows: those that come along, and those that are made of names.
#[derive(Debug, Default)]
pub(super) struct RowLayout {
    pub(super) kept: Vec<Field>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
}

impl RowLayout {
    /// The fields, and which of those that come along are among them: a name goes before a field of the same name.
    fn fields(&self) -> (Fields, Vec<usize>) {
        let is_name = |field: &Field| self.names.contains(&field.name);
        let kept: Vec<usize> = (0..self.kept.len()).filter(|field| !is_name(&self.kept[*field])).collect();
        let list: Vec<Field> = kept.iter().map(|field| self.kept[*field].clone()).collect();
        let mut fields = Fields { list, key: self.key.clone(), score: None, open: false };
        for name in &self.names {
            // Only a name that is that of the key or the timestamp is not free.
            let mut free = name.to_string();
            while !fields.is_free(&free) {
                free.push('_');
            }
            fields.list.push(Field::number(&free));
        }
        (fields, kept)
    }

    /// The rows as a batch, each with its key.
    pub(super) fn batch(&self, rows: &[KeyedRow]) -> Result<Batch> {
        let (fields, kept) = self.fields();
        let kept = kept.iter().map(|field| kept_column(rows, *field, self.kept[*field].kind));
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
