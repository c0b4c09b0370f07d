//! The rows that are made of wide ones, as a batch.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Fields, Numbers, Origin};
use arrow_array::{Array as _, BinaryArray, Float64Array, StringArray};

/// What is to be done with rows of one layout.
pub(super) struct Bound {
    pub(super) layout: Arc<Fields>,
    pub(super) others: Vec<usize>,
    /// By their times.
    pub(super) columns: Vec<WideColumn>,
}

/// A column of which rows are made.
pub(super) struct WideColumn {
    pub(super) index: usize,
    pub(super) validity: Option<usize>,
    pub(super) name: Arc<str>,
    /// Behind the time of the record.
    pub(super) micros: i64,
}

/// Rows that are made of those of a batch.
pub(super) struct MadeRows {
    /// The wide row and the column of each.
    pub(super) rows: Vec<(usize, usize)>,
    times: Vec<i64>,
    offsets: Vec<i16>,
    values: Vec<Option<f64>>,
    quality: Vec<u32>,
}

impl MadeRows {
    pub(super) fn with_room(rows: usize) -> MadeRows {
        MadeRows {
            rows: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            offsets: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows),
            quality: Vec::with_capacity(rows),
        }
    }

    pub(super) fn push(&mut self, of: (usize, usize), time: (i64, i16), cell: (Option<f64>, CellQuality)) {
        self.rows.push(of);
        self.times.push(time.0);
        self.offsets.push(time.1);
        self.values.push(cell.0);
        self.quality.push(cell.1.0);
    }

    /// The rows, with the other fields of the wide ones.
    pub(super) fn batch(self, batch: &Batch, bound: &Bound) -> Result<Batch> {
        let MadeRows { rows, times, offsets, values, quality } = self;
        let wide = || rows.iter().map(|(row, _)| *row);
        let texts = |texts: &StringArray| -> StringArray {
            wide().map(|row| texts.is_valid(row).then(|| texts.value(row))).collect()
        };
        let other = |index: &usize| match batch.column(*index) {
            Column::Number(numbers) => Column::Number(Numbers {
                values: wide().map(|row| numbers.get(row)).collect(),
                quality: wide().map(|row| numbers.quality_at(row).0).collect(),
            }),
            Column::Text(cells) => Column::Text(texts(cells)),
        };
        let values = Numbers { values: values.into_iter().collect::<Float64Array>(), quality: quality.into() };
        let origins = || {
            let mut whole: (usize, Vec<Origin>) = (usize::MAX, Vec::new());
            rows.iter()
                .map(|(row, column)| {
                    if whole.0 != *row {
                        whole = (*row, Origin::of(batch, *row));
                    }
                    let name = &bound.columns[*column].name;
                    let parts: Vec<Origin> = whole.1.iter().cloned().map(|origin| origin.part(name)).collect();
                    Some(Origin::encode(&parts))
                })
                .collect::<BinaryArray>()
        };
        let has_raw = batch.rows() > 0 && batch.raw(0).is_some();
        Batch::new(BatchParts {
            fields: Arc::clone(&bound.layout),
            key: batch.key().map(texts),
            columns: bound.others.iter().map(other).chain([Column::Number(values)]).collect(),
            score: None,
            source_offsets: wide().map(|row| batch.source_offsets()[row]).collect(),
            raw: has_raw.then(origins),
            time: times.into(),
            utc_offset: offsets.into(),
        })
    }
}
