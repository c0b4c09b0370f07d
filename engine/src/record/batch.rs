//! Records as Arrow columns, with the quality of each measurement cell and the source offset of each row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::{Int16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int16Array, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field as ArrowField, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::{CellQuality, Field, Fields, Kind};
use crate::error::{Error, Result};

/// A measurement column: its values (null = no value) and the quality of each.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The values. What stands under a null is not defined.
    pub values: Float64Array,
    /// [`CellQuality`]s as their bits, one a row.
    pub quality: ScalarBuffer<u32>,
}

impl Numbers {
    /// A column of values that nothing has checked: `observed` where there is one, `missing` elsewhere.
    #[must_use]
    pub fn observed(values: Float64Array) -> Numbers {
        let quality = match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => vec![CellQuality::OBSERVED.0; values.len()],
            Some(nulls) => {
                nulls.iter().map(|valid| if valid { CellQuality::OBSERVED.0 } else { CellQuality::MISSING.0 }).collect()
            }
        };
        Numbers { values, quality: quality.into() }
    }

    /// The quality of a row's cell.
    #[must_use]
    #[inline]
    pub fn quality_at(&self, row: usize) -> CellQuality {
        CellQuality(self.quality[row])
    }

    /// The value of a row, where there is one.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<f64> {
        self.values.is_valid(row).then(|| self.values.value(row))
    }

    /// The parts as plain vectors to change: values, which of them are valid (`None` = all), cell quality. Copies nothing
    /// where this column is the only owner of its whole buffers.
    #[must_use]
    pub fn into_vecs(self) -> (Vec<f64>, Option<NullBuffer>, Vec<u32>) {
        let (_, values, nulls) = self.values.into_parts();
        (into_vec(values), nulls.filter(|nulls| nulls.null_count() > 0), into_vec(self.quality))
    }

    /// The column of such parts.
    ///
    /// # Panics
    /// Where the lengths differ.
    #[must_use]
    pub fn from_vecs(values: Vec<f64>, nulls: Option<NullBuffer>, quality: Vec<u32>) -> Numbers {
        assert_eq!(values.len(), quality.len(), "a quality for each value");
        Numbers { values: Float64Array::new(values.into(), nulls), quality: quality.into() }
    }
}

fn into_vec<T: arrow_buffer::ArrowNativeType>(buffer: ScalarBuffer<T>) -> Vec<T> {
    match buffer.into_inner().into_vec::<T>() {
        Ok(vec) => vec,
        Err(shared) => ScalarBuffer::<T>::from(shared).to_vec(),
    }
}

/// A field's column.
#[derive(Clone, Debug)]
pub enum Column {
    /// Measurements and their cell quality.
    Number(Numbers),
    /// Text.
    Text(StringArray),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::Number(numbers) => numbers.values.len(),
            Column::Text(text) => text.len(),
        }
    }

    /// What the column holds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Column::Number(_) => Kind::Number,
            Column::Text(_) => Kind::Text,
        }
    }
}

/// What a batch is made of.
#[derive(Clone, Debug)]
pub struct BatchParts {
    /// The layout; its kinds are those of the columns.
    pub fields: Arc<Fields>,
    /// Instants: microseconds since 1970-01-01T00:00:00Z, none null.
    pub time: ScalarBuffer<i64>,
    /// The clock that the source wrote: minutes east of UTC, one a row.
    pub utc_offset: ScalarBuffer<i16>,
    /// The key of each row, where the layout has one.
    pub key: Option<StringArray>,
    /// One column a field, in the layout's order.
    pub columns: Vec<Column>,
    /// The record's quality, 0 to 1, once a stage has scored it.
    pub score: Option<Float64Array>,
    /// Where each row starts in its split (see [`Position::at`](super::Position)).
    pub source_offsets: ScalarBuffer<u64>,
    /// The bytes that each row was read from, kept only where a later stage may reject rows.
    pub raw: Option<BinaryArray>,
}

/// Records as columns. Only ever sliced, filtered and joined as a whole, so that columns, qualities and source offsets never
/// part.
#[derive(Clone, Debug)]
pub struct Batch {
    parts: BatchParts,
}

impl Batch {
    /// A batch of these parts.
    ///
    /// # Errors
    /// Where lengths differ, or columns are not those of the layout. That is a mistake of the stage that made it.
    pub fn new(parts: BatchParts) -> Result<Batch> {
        let rows = parts.time.len();
        let fits = parts.utc_offset.len() == rows
            && parts.source_offsets.len() == rows
            && parts.key.is_some() == parts.fields.key.is_some()
            && parts.key.as_ref().is_none_or(|key| key.len() == rows)
            && parts.score.is_some() == parts.fields.score.is_some()
            && parts.score.as_ref().is_none_or(|score| score.len() == rows)
            && parts.raw.as_ref().is_none_or(|raw| raw.len() == rows)
            && parts.columns.len() == parts.fields.list.len();
        let columns_fit = || {
            parts.columns.iter().zip(&parts.fields.list).all(|(column, field)| {
                column.len() == rows
                    && column.kind() == field.kind
                    && match column {
                        Column::Number(numbers) => numbers.quality.len() == rows,
                        Column::Text(_) => true,
                    }
            })
        };
        if fits && columns_fit() { Ok(Batch { parts }) } else { Err(Error::bug("a batch whose parts do not fit")) }
    }

    /// A batch without rows and fields, for dead letters that come before any record.
    ///
    /// # Errors
    /// Never: the parts fit.
    pub fn without_rows() -> Result<Batch> {
        Batch::new(BatchParts {
            fields: Arc::default(),
            time: Vec::new().into(),
            utc_offset: Vec::new().into(),
            key: None,
            columns: Vec::new(),
            score: None,
            source_offsets: Vec::new().into(),
            raw: None,
        })
    }

    /// The parts, to take a batch to pieces.
    #[must_use]
    pub fn into_parts(self) -> BatchParts {
        self.parts
    }

    /// How many records.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.parts.time.len()
    }

    /// The layout.
    #[must_use]
    pub fn fields(&self) -> &Arc<Fields> {
        &self.parts.fields
    }

    /// Instants, microseconds since 1970 UTC.
    #[must_use]
    pub fn time(&self) -> &[i64] {
        &self.parts.time
    }

    /// Minutes east of UTC of the source's clock.
    #[must_use]
    pub fn utc_offset(&self) -> &[i16] {
        &self.parts.utc_offset
    }

    /// The keys.
    #[must_use]
    pub fn key(&self) -> Option<&StringArray> {
        self.parts.key.as_ref()
    }

    /// A field's column.
    #[must_use]
    pub fn column(&self, index: usize) -> &Column {
        &self.parts.columns[index]
    }

    /// All columns, in the order of the layout.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.parts.columns
    }

    /// A field's measurements, where it holds numbers.
    #[must_use]
    pub fn numbers(&self, index: usize) -> Option<&Numbers> {
        match self.parts.columns.get(index)? {
            Column::Number(numbers) => Some(numbers),
            Column::Text(_) => None,
        }
    }

    /// Replaces a field's measurements by what `change` makes of them; other kinds of column stay as they are.
    ///
    /// # Errors
    /// What `change` returns. The batch is then not to be used any more.
    ///
    /// # Panics
    /// Where `change` returns another number of rows: quality and values would part.
    pub fn change_numbers(&mut self, index: usize, change: impl FnOnce(Numbers) -> Result<Numbers>) -> Result<()> {
        let rows = self.rows();
        let Some(Column::Number(numbers)) = self.parts.columns.get_mut(index) else { return Ok(()) };
        let empty = Numbers { values: Float64Array::new_null(0), quality: Vec::new().into() };
        let changed = change(std::mem::replace(numbers, empty))?;
        assert!(changed.values.len() == rows && changed.quality.len() == rows, "a stage changed the number of rows");
        *numbers = changed;
        Ok(())
    }

    /// The record's quality.
    #[must_use]
    pub fn score(&self) -> Option<&Float64Array> {
        self.parts.score.as_ref()
    }

    /// Gives the records their quality, in place of an earlier one. `layout` is this batch's layout with the score's
    /// name: handed in, so that a stage makes it once and not for every batch.
    ///
    /// # Errors
    /// Where the parts do not fit.
    pub fn with_score(mut self, score: Float64Array, layout: &Arc<Fields>) -> Result<Batch> {
        self.parts.score = Some(score);
        self.parts.fields = Arc::clone(layout);
        Batch::new(self.parts)
    }

    /// Adds columns behind the others. `layout` is this batch's layout with the new fields at its end.
    ///
    /// # Errors
    /// Where the parts do not fit.
    pub fn with_columns(mut self, columns: Vec<Column>, layout: &Arc<Fields>) -> Result<Batch> {
        self.parts.columns.extend(columns);
        self.parts.fields = Arc::clone(layout);
        Batch::new(self.parts)
    }

    /// Where each row starts in its split.
    #[must_use]
    pub fn source_offsets(&self) -> &[u64] {
        &self.parts.source_offsets
    }

    /// The same as a buffer, which is cheap to keep.
    #[must_use]
    pub fn source_offsets_buffer(&self) -> ScalarBuffer<u64> {
        self.parts.source_offsets.clone()
    }

    /// The bytes that a row was read from, where they were kept.
    #[must_use]
    pub fn raw(&self, row: usize) -> Option<&[u8]> {
        self.parts.raw.as_ref().map(|raw| raw.value(row))
    }

    /// Rows `from .. from + rows`, sharing memory with this batch.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Batch {
        let p = &self.parts;
        let columns = p
            .columns
            .iter()
            .map(|column| match column {
                Column::Number(numbers) => Column::Number(Numbers {
                    values: numbers.values.slice(from, rows),
                    quality: numbers.quality.slice(from, rows),
                }),
                Column::Text(text) => Column::Text(text.slice(from, rows)),
            })
            .collect();
        Batch {
            parts: BatchParts {
                fields: Arc::clone(&p.fields),
                time: p.time.slice(from, rows),
                utc_offset: p.utc_offset.slice(from, rows),
                key: p.key.as_ref().map(|key| key.slice(from, rows)),
                columns,
                score: p.score.as_ref().map(|score| score.slice(from, rows)),
                source_offsets: p.source_offsets.slice(from, rows),
                raw: p.raw.as_ref().map(|raw| raw.slice(from, rows)),
            },
        }
    }

    /// The rows for which `keep` is true, in order.
    ///
    /// # Errors
    /// Where `keep` has another length.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Batch> {
        let filtered = filter_record_batch(&self.to_arrow(), keep).map_err(arrow_bug)?;
        Self::from_arrow(&filtered, &self.parts.fields)
    }

    /// Batches of one layout, one after the other.
    ///
    /// # Errors
    /// Where there is none, or their layouts differ.
    pub fn concat(batches: &[Batch]) -> Result<Batch> {
        let [first, rest @ ..] = batches else { return Err(Error::bug("joined no batches")) };
        if rest.is_empty() {
            return Ok(first.clone());
        }
        if rest.iter().any(|batch| batch.fields() != first.fields()) {
            return Err(Error::bug("joined batches of different fields"));
        }
        let schema = arrow_schema_of(&first.parts);
        let joined: Vec<RecordBatch> = batches.iter().map(Batch::to_arrow).collect();
        Self::from_arrow(&concat_batches(&schema, &joined).map_err(arrow_bug)?, &first.parts.fields)
    }

    /// Everything as one Arrow record batch: `timestamp`, `offset_minutes`, `source_offset`, then the key, the score and the
    /// raw bytes where there are any, then a column a field and, for a measurement, a column `NAME quality`.
    #[must_use]
    pub fn to_arrow(&self) -> RecordBatch {
        let p = &self.parts;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::new(p.time.clone(), None)),
            Arc::new(Int16Array::new(p.utc_offset.clone(), None)),
            Arc::new(UInt64Array::new(p.source_offsets.clone(), None)),
        ];
        columns.extend(p.key.iter().map(|key| Arc::new(key.clone()) as ArrayRef));
        columns.extend(p.score.iter().map(|score| Arc::new(score.clone()) as ArrayRef));
        columns.extend(p.raw.iter().map(|raw| Arc::new(raw.clone()) as ArrayRef));
        for column in &p.columns {
            match column {
                Column::Number(numbers) => {
                    columns.push(Arc::new(numbers.values.clone()));
                    columns.push(Arc::new(UInt32Array::new(numbers.quality.clone(), None)));
                }
                Column::Text(text) => columns.push(Arc::new(text.clone())),
            }
        }
        let schema = arrow_schema_of(p);
        RecordBatch::try_new(schema, columns).expect("the parts of a batch fit")
    }

    fn from_arrow(arrow: &RecordBatch, fields: &Arc<Fields>) -> Result<Batch> {
        let mut columns = arrow.columns().iter();
        let mut next = || columns.next().ok_or_else(|| Error::bug("an Arrow batch with too few columns"));
        let time: TimestampMicrosecondArray = downcast(next()?)?;
        let offset: PrimitiveArray<Int16Type> = downcast(next()?)?;
        let source_offsets: PrimitiveArray<UInt64Type> = downcast(next()?)?;
        let key = fields.key.as_ref().map(|_| downcast::<StringArray>(next()?)).transpose()?;
        let score = fields.score.as_ref().map(|_| downcast::<Float64Array>(next()?)).transpose()?;
        let has_raw = arrow.schema_ref().metadata().contains_key(HAS_RAW);
        let raw = has_raw.then(|| downcast::<BinaryArray>(next()?)).transpose()?;
        let mut parts = Vec::with_capacity(fields.list.len());
        for field in &fields.list {
            parts.push(match field.kind {
                Kind::Text => Column::Text(downcast(next()?)?),
                Kind::Number | Kind::Unknown => {
                    let values = downcast::<Float64Array>(next()?)?;
                    let quality = downcast::<PrimitiveArray<UInt32Type>>(next()?)?;
                    Column::Number(Numbers { values, quality: quality.values().clone() })
                }
            });
        }
        Batch::new(BatchParts {
            fields: Arc::clone(fields),
            time: time.values().clone(),
            utc_offset: offset.values().clone(),
            key,
            columns: parts,
            score,
            source_offsets: source_offsets.values().clone(),
            raw,
        })
    }

    /// The batch as an Arrow IPC stream, for the state of a stage that holds rows back.
    ///
    /// # Errors
    /// None that input can cause.
    pub fn to_ipc(&self) -> Result<Vec<u8>> {
        let arrow = self.to_arrow();
        let mut metadata = arrow.schema_ref().metadata().clone();
        let layout = serde_json::to_string(&*self.parts.fields).map_err(|e| Error::bug("layout").because(e))?;
        metadata.insert(LAYOUT.to_owned(), layout);
        let schema = Arc::new(Schema::new_with_metadata(arrow.schema_ref().fields().clone(), metadata));
        let arrow = arrow.with_schema(Arc::clone(&schema)).map_err(arrow_bug)?;
        let mut writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &schema).map_err(arrow_bug)?;
        writer.write(&arrow).map_err(arrow_bug)?;
        writer.into_inner().map_err(arrow_bug)
    }

    /// The batch that [`to_ipc`](Self::to_ipc) wrote.
    ///
    /// # Errors
    /// Where the bytes are not such a batch.
    pub fn from_ipc(bytes: &[u8]) -> Result<Batch> {
        let damaged = |e: arrow_schema::ArrowError| Error::new("saved rows cannot be read back").because(e);
        let mut reader = arrow_ipc::reader::StreamReader::try_new(bytes, None).map_err(damaged)?;
        let layout = reader.schema().metadata().get(LAYOUT).cloned().unwrap_or_default();
        let fields: Fields = serde_json::from_str(&layout)
            .map_err(|e| Error::new("saved rows cannot be read back: no layout").because(e))?;
        let arrow =
            reader.next().ok_or_else(|| Error::new("saved rows cannot be read back: empty"))?.map_err(damaged)?;
        Self::from_arrow(&arrow, &Arc::new(fields))
    }
}

const HAS_RAW: &str = "aqpipe.raw";
const LAYOUT: &str = "aqpipe.fields";

fn arrow_bug(error: arrow_schema::ArrowError) -> Error {
    Error::bug("Arrow refused a batch").because(error)
}

fn downcast<T: Array + Clone + 'static>(array: &ArrayRef) -> Result<T> {
    array.as_any().downcast_ref::<T>().cloned().ok_or_else(|| Error::bug("an Arrow column of an unexpected type"))
}

fn arrow_schema_of(parts: &BatchParts) -> SchemaRef {
    let plain = |name: &str, kind: DataType, nullable: bool| ArrowField::new(name, kind, nullable);
    let mut fields = vec![
        plain(super::TIMESTAMP, DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, None), false),
        plain("offset_minutes", DataType::Int16, false),
        plain("source_offset", DataType::UInt64, false),
    ];
    let name_of = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
    fields.extend(parts.key.iter().map(|_| plain(&name_of(&parts.fields.key), DataType::Utf8, true)));
    fields.extend(parts.score.iter().map(|_| plain(&name_of(&parts.fields.score), DataType::Float64, true)));
    fields.extend(parts.raw.iter().map(|_| plain("raw", DataType::Binary, true)));
    for Field { name, kind, .. } in &parts.fields.list {
        match kind {
            Kind::Text => fields.push(plain(name, DataType::Utf8, true)),
            Kind::Number | Kind::Unknown => {
                fields.push(plain(name, DataType::Float64, true));
                fields.push(plain(&format!("{name} quality"), DataType::UInt32, false));
            }
        }
    }
    let metadata: HashMap<String, String> = parts.raw.iter().map(|_| (HAS_RAW.to_owned(), "true".to_owned())).collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Provenance;

    fn sample(rows: usize) -> Batch {
        let fields = Fields {
            list: vec![Field::number("CO(GT)"), Field::text("note")],
            key: Some("station".into()),
            ..Fields::default()
        };
        let values: Float64Array = (0..rows).map(|i| (i % 3 != 0).then_some(i as f64)).collect();
        let notes: StringArray = (0..rows).map(|i| (i % 2 == 0).then(|| format!("n{i}"))).collect();
        let keys: StringArray = (0..rows).map(|_| Some("uci")).collect();
        Batch::new(BatchParts {
            fields: Arc::new(fields),
            time: (0..rows as i64).map(|i| i * 3_600_000_000).collect::<Vec<_>>().into(),
            utc_offset: vec![60; rows].into(),
            key: Some(keys),
            columns: vec![Column::Number(Numbers::observed(values)), Column::Text(notes)],
            score: None,
            source_offsets: (100..100 + rows as u64).collect::<Vec<_>>().into(),
            raw: Some((0..rows).map(|i| Some(vec![i as u8; 2])).collect()),
        })
        .expect("parts fit")
    }

    #[test]
    fn slices_filters_and_joins_keep_columns_quality_and_source_offsets_together() {
        let whole = sample(9);
        let joined = Batch::concat(&[whole.slice(0, 4), whole.slice(4, 5)]).expect("one layout");
        assert_eq!(joined.to_arrow(), whole.to_arrow());
        let keep: BooleanArray = (0..9).map(|i| Some(i % 4 == 1)).collect();
        let kept = whole.filter(&keep).expect("same length");
        assert_eq!(kept.source_offsets(), [101, 105]);
        assert_eq!(kept.numbers(0).map(|n| (n.get(0), n.get(1))), Some((Some(1.0), Some(5.0))));
        assert_eq!(kept.raw(1), Some(&[5u8, 5][..]));
    }

    #[test]
    fn rows_come_back_from_ipc_as_they_went() {
        let mut batch = sample(7);
        batch
            .change_numbers(0, |numbers| {
                let (values, nulls, mut quality) = numbers.into_vecs();
                quality[3] = CellQuality(quality[3]).filled(Provenance::ForwardFill, 2).0;
                Ok(Numbers::from_vecs(values, nulls, quality))
            })
            .expect("changed");
        let back = Batch::from_ipc(&batch.slice(2, 4).to_ipc().expect("writes")).expect("reads");
        assert_eq!(back.to_arrow(), batch.slice(2, 4).to_arrow());
        assert_eq!(back.fields(), batch.fields());
    }

    #[test]
    fn damaged_rows_are_an_error_and_not_a_panic() {
        let bytes = sample(3).to_ipc().expect("writes");
        let mut errors = 0;
        for length in 0..bytes.len() {
            match Batch::from_ipc(&bytes[..length]) {
                Ok(batch) => {
                    assert_eq!(batch.to_arrow(), sample(3).to_arrow(), "only the end of the stream is missing");
                }
                Err(_) => errors += 1,
            }
        }
        assert!(errors > bytes.len() / 2, "{errors} of {} lengths", bytes.len());
        assert!(Batch::from_ipc(b"nonsense").is_err());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let mut parts = sample(3).into_parts();
        parts.utc_offset = vec![0; 2].into();
        assert!(Batch::new(parts).is_err());
    }
}
