//! Makes rows of the columns of wide ones.

use std::iter::repeat_n;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Origin};
use aqpipe_engine::stage::{BuildContext, Output, Transform};
use arrow_array::{BinaryArray, Float64Array, StringArray};

use super::name_pattern::NamePattern;
use crate::cell_access::{number_at, text_at};
use crate::per_layout::PerLayout;
use crate::reading::{NumberReader, SOURCE_TEST, Sentinel};
use crate::warn_once::WarnOnce;

/// Rows of an output batch: more win nothing.
const BATCH_ROWS_MAX: usize = 8192;

/// The layout of the rows that are made: the other fields, and then their value's.
pub(super) fn layout(
    input: &Fields,
    columns: &NamePattern,
    validity: Option<&NamePattern>,
    value: Option<Field>,
) -> Fields {
    let is_other = |field: &&Field| {
        let names = [Some(columns), validity];
        names.into_iter().flatten().all(|pattern| pattern.read(&field.name).is_none())
    };
    let list = input.list.iter().filter(is_other).cloned().chain(value).collect();
    Fields { list, score: None, ..input.clone() }
}

/// Makes the rows.
pub(super) struct Unpivoter {
    columns: NamePattern,
    validity: Option<NamePattern>,
    valid: Vec<Sentinel>,
    reader: NumberReader,
    value: Field,
    test: u8,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
    bound: PerLayout<Arc<Bound>>,
}

/// What is to be done with rows of one layout.
struct Bound {
    layout: Arc<Fields>,
    others: Vec<usize>,
    /// By their times.
    columns: Vec<WideColumn>,
}

/// A column of which rows are made.
struct WideColumn {
    index: usize,
    validity: Option<usize>,
    name: Arc<str>,
    /// Behind the time of the record.
    micros: i64,
}

impl Unpivoter {
    pub(super) fn new(
        columns: NamePattern,
        validity: Option<NamePattern>,
        valid: Vec<Sentinel>,
        value: &str,
        cx: &BuildContext,
    ) -> Unpivoter {
        Unpivoter {
            columns,
            validity,
            valid,
            reader: NumberReader::default(),
            value: Field::number(value),
            test: cx.qc_tests().bit(SOURCE_TEST),
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
            bound: PerLayout::default(),
        }
    }

    fn bind(&self, input: &Fields) -> Bound {
        let mut columns = Vec::new();
        for (index, field) in input.list.iter().enumerate() {
            let Some(named) = self.columns.read(&field.name) else {
                if self.columns.is_out_of_range(&field.name) {
                    let message = || {
                        format!(
                            "`{}` is no time of a day, and `{}` makes no records of it: it is carried as a field of all others",
                            field.name, self.stage
                        )
                    };
                    self.warned.warn(message, &format!("{}: {}", self.stage, field.name));
                }
                continue;
            };
            let validity = self.validity.as_ref().and_then(|validity| validity.write(&named));
            let mark = validity.as_deref().and_then(|name| input.index(name));
            if let Some(name) = validity.filter(|_| mark.is_none()) {
                let message = || {
                    format!("`{}` finds no column `{name}`: the values of `{}` have no mark", self.stage, field.name)
                };
                self.warned.warn(message, &format!("{}: {name}", self.stage));
            }
            columns.push(WideColumn { index, validity: mark, name: Arc::clone(&field.name), micros: named.micros });
        }
        columns.sort_by_key(|column| column.micros);
        for pair in columns.windows(2).filter(|pair| pair[0].micros == pair[1].micros) {
            let [first, second] = [&pair[0].name, &pair[1].name];
            let message =
                || format!("`{first}` and `{second}` are the same time: `{}` makes a record of each", self.stage);
            self.warned.warn(message, &format!("{}: {first} {second}", self.stage));
        }
        let rest = layout(input, &self.columns, self.validity.as_ref(), None);
        // A field of that name that comes with the records has another name than one that `check` knew.
        let taken = !rest.is_free(&self.value.name);
        if taken {
            let name = &self.value.name;
            let message = || {
                format!(
                    "`{name}` is a field of the records as they come and the values of `{}`: the field is dropped",
                    self.stage
                )
            };
            self.warned.warn(message, &format!("{}: {name}", self.stage));
        }
        let others = rest.names().filter(|name| !taken || *name != &*self.value.name);
        let others: Vec<usize> = others.filter_map(|name| input.index(name)).collect();
        let list = others.iter().map(|index| input.list[*index].clone()).chain([self.value.clone()]).collect();
        Bound { layout: Arc::new(Fields { list, ..rest }), others, columns }
    }

    /// The rows of some wide ones.
    fn unpivot(&self, batch: &Batch, bound: &Bound) -> Result<Batch> {
        let (rows, each) = (batch.rows(), bound.columns.len());
        let cells = || (0..rows).flat_map(|row| bound.columns.iter().map(move |column| (row, column)));
        let times = cells().map(|(row, column)| batch.time()[row].saturating_add(column.micros));
        let (mut values, mut quality) = (Vec::with_capacity(rows * each), Vec::with_capacity(rows * each));
        for (row, column) in cells() {
            let (value, cell) = self.cell(batch, row, column);
            values.push(value);
            quality.push(cell.0);
        }
        let other = |index: &usize| match batch.column(*index) {
            Column::Number(numbers) => Column::Number(Numbers {
                values: numbers.values.iter().flat_map(|value| repeat_n(value, each)).collect(),
                quality: numbers.quality.iter().flat_map(|quality| repeat_n(*quality, each)).collect(),
            }),
            Column::Text(texts) => Column::Text(repeated(texts, each)),
        };
        let values = Numbers { values: values.into_iter().collect::<Float64Array>(), quality: quality.into() };
        let origins = || {
            (0..rows).flat_map(|row| {
                let whole = Origin::of(batch, row);
                bound.columns.iter().map(move |column| {
                    let parts: Vec<Origin> = whole.iter().cloned().map(|origin| origin.part(&column.name)).collect();
                    Some(Origin::encode(&parts))
                })
            })
        };
        Batch::new(BatchParts {
            fields: Arc::clone(&bound.layout),
            time: times.collect::<Vec<_>>().into(),
            utc_offset: batch.utc_offset().iter().flat_map(|offset| repeat_n(*offset, each)).collect(),
            key: batch.key().map(|keys| repeated(keys, each)),
            columns: bound.others.iter().map(other).chain([Column::Number(values)]).collect(),
            score: None,
            source_offsets: batch.source_offsets().iter().flat_map(|offset| repeat_n(*offset, each)).collect(),
            raw: (rows > 0 && batch.raw(0).is_some()).then(|| origins().collect::<BinaryArray>()),
        })
    }

    fn cell(&self, batch: &Batch, row: usize, column: &WideColumn) -> (Option<f64>, CellQuality) {
        let (value, quality) = number_at(batch.column(column.index), row, &self.reader);
        match column.validity {
            Some(mark) if value.is_some() && !self.holds(batch.column(mark), row) => {
                (None, quality.checked(Flag::Fail, self.test))
            }
            _ => (value, quality),
        }
    }

    /// Whether a mark is one under which a value holds.
    fn holds(&self, marks: &Column, row: usize) -> bool {
        let Some(mark) = text_at(marks, row) else { return false };
        let number = || mark.parse::<f64>().ok();
        self.valid.iter().any(|valid| match valid {
            Sentinel::Word(word) => **word == *mark,
            Sentinel::Number(valid) => number() == Some(*valid),
        })
    }
}

fn repeated(texts: &StringArray, each: usize) -> StringArray {
    texts.iter().flat_map(|text| repeat_n(text, each)).collect()
}

impl Transform for Unpivoter {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.bound);
        let here = Arc::clone(bound.get_or_bind(batch.fields(), |fields| Arc::new(self.bind(fields))));
        self.bound = bound;
        let each = here.columns.len();
        if each == 0 {
            let message =
                || format!("records without any of the columns that `{}` makes records of are left out", self.stage);
            self.warned.warn(message, &self.stage);
            out.filtered += batch.rows() as u64;
            return Ok(());
        }
        let step = (BATCH_ROWS_MAX / each).max(1);
        for from in (0..batch.rows()).step_by(step) {
            let rows = step.min(batch.rows() - from);
            out.batches.push(self.unpivot(&batch.slice(from, rows), &here)?);
        }
        out.made += (batch.rows() * (each - 1)) as u64;
        Ok(())
    }
}
