//! A batch for a test.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{BinaryArray, Float64Array, StringArray};

use crate::record::{Batch, BatchParts, Column, Field, Fields, Numbers};

/// The time of the first row, unless it is said otherwise: 2024-01-01T00:00:00Z, in seconds since 1970.
const FIRST_TIME_SECS: i64 = 1_704_067_200;

/// Builds a batch for a test: rows an hour apart, from the source offset 0 on, with values that nothing has checked.
///
/// ```
/// use aqpipe_engine::testing::BatchBuilder;
///
/// let batch = BatchBuilder::new().numbers("co", [Some(2.6), None]).key("station", ["a", "b"]).build();
/// assert_eq!(batch.rows(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    columns: Vec<(Field, Column)>,
    key: Option<(String, Vec<String>)>,
    times: Option<Vec<i64>>,
    step: Option<Duration>,
    utc_offset: i16,
    first_offset: u64,
    raw: Option<Vec<Vec<u8>>>,
}

impl BatchBuilder {
    /// A builder without columns.
    #[must_use]
    pub fn new() -> BatchBuilder {
        BatchBuilder::default()
    }

    /// Adds measurements; `None` is a missing value.
    #[must_use]
    pub fn numbers(mut self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> BatchBuilder {
        let values: Float64Array = values.into_iter().collect();
        self.columns.push((Field::number(name), Column::Number(Numbers::observed(values))));
        self
    }

    /// Adds texts.
    #[must_use]
    pub fn texts<'a>(mut self, name: &str, values: impl IntoIterator<Item = Option<&'a str>>) -> BatchBuilder {
        let values: StringArray = values.into_iter().collect();
        self.columns.push((Field::text(name), Column::Text(values)));
        self
    }

    /// Gives each row a key.
    #[must_use]
    pub fn key<'a>(mut self, name: &str, keys: impl IntoIterator<Item = &'a str>) -> BatchBuilder {
        self.key = Some((name.to_owned(), keys.into_iter().map(str::to_owned).collect()));
        self
    }

    /// Gives each row a time, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn at(mut self, seconds: impl IntoIterator<Item = i64>) -> BatchBuilder {
        self.times = Some(seconds.into_iter().collect());
        self
    }

    /// Sets the time between two rows.
    #[must_use]
    pub fn every(mut self, step: Duration) -> BatchBuilder {
        self.step = Some(step);
        self
    }

    /// Sets how many minutes east of UTC the clock of all rows is.
    #[must_use]
    pub fn utc_offset(mut self, minutes: i16) -> BatchBuilder {
        self.utc_offset = minutes;
        self
    }

    /// Sets the source offset of the first row.
    #[must_use]
    pub fn from_offset(mut self, offset: u64) -> BatchBuilder {
        self.first_offset = offset;
        self
    }

    /// Gives each row the bytes that it was read from.
    #[must_use]
    pub fn raw<'a>(mut self, raw: impl IntoIterator<Item = &'a str>) -> BatchBuilder {
        self.raw = Some(raw.into_iter().map(|raw| raw.as_bytes().to_vec()).collect());
        self
    }

    /// The batch.
    ///
    /// # Panics
    /// Where the columns have different lengths.
    #[must_use]
    pub fn build(self) -> Batch {
        let of_columns = self.columns.first().map(|(_, column)| match column {
            Column::Number(numbers) => numbers.quality.len(),
            Column::Text(text) => arrow_array::Array::len(text),
        });
        let of_keys = self.key.as_ref().map(|(_, keys)| keys.len());
        let rows = of_columns.or(of_keys).or(self.times.as_ref().map(Vec::len)).unwrap_or_default();
        let step = self.step.unwrap_or(Duration::from_secs(3600)).as_micros() as i64;
        let time: Vec<i64> = match self.times {
            Some(seconds) => seconds.into_iter().map(|second| second * 1_000_000).collect(),
            None => (0..rows as i64).map(|row| FIRST_TIME_SECS * 1_000_000 + row * step).collect(),
        };
        let (list, columns) = self.columns.into_iter().unzip();
        let (key_name, keys) = self.key.unzip();
        let parts = BatchParts {
            fields: Arc::new(Fields { list, key: key_name.map(Into::into), score: None, open: false }),
            time: time.into(),
            utc_offset: vec![self.utc_offset; rows].into(),
            key: keys.map(StringArray::from),
            columns,
            score: None,
            source_offsets: (self.first_offset..self.first_offset + rows as u64).collect::<Vec<_>>().into(),
            raw: self.raw.map(|raw| raw.iter().map(|bytes| Some(bytes.as_slice())).collect::<BinaryArray>()),
        };
        Batch::new(parts).unwrap_or_else(|error| panic!("the columns of the batch do not fit each other: {error}"))
    }
}
