//! Small batches to test stages with.

use std::sync::Arc;

use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Numbers};
use aqpipe_engine::stage::{Descriptor, Output, Problem, Registry, Role, StageConfig, Transform, TransformConfig};
use arrow_array::{Float64Array, StringArray};

/// 2004-03-10T18:00:00Z in microseconds.
pub(crate) const START: i64 = 1_078_941_600_000_000;
/// An hour in microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;

/// A batch of hourly records without a key.
pub(crate) fn batch(columns: &[(&str, &[Option<f64>])]) -> Batch {
    keyed(None, columns)
}

/// A batch of hourly records with a key each.
pub(crate) fn keyed(keys: Option<&[&str]>, columns: &[(&str, &[Option<f64>])]) -> Batch {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let times: Vec<i64> = (0..rows as i64).map(|row| START + row * HOUR).collect();
    timed(&times, keys, columns)
}

/// A batch of records at the instants given, with a key each; a row's origin is 100 times its number.
pub(crate) fn timed(times: &[i64], keys: Option<&[&str]>, columns: &[(&str, &[Option<f64>])]) -> Batch {
    let fields = Fields {
        list: columns.iter().map(|(name, _)| Field::number(name)).collect(),
        key: keys.map(|_| "station".into()),
        ..Fields::default()
    };
    Batch::new(BatchParts {
        fields: Arc::new(fields),
        time: times.to_vec().into(),
        utc_offset: vec![0; times.len()].into(),
        key: keys.map(|keys| keys.iter().map(|key| Some(*key)).collect::<StringArray>()),
        columns: columns
            .iter()
            .map(|(_, values)| Column::Number(Numbers::observed(values.iter().copied().collect::<Float64Array>())))
            .collect(),
        score: None,
        source_offsets: (0..times.len() as u64).map(|row| row * 100).collect::<Vec<_>>().into(),
        raw: None,
    })
    .expect("the parts fit")
}

/// The layout of a batch of these measurements.
pub(crate) fn number_fields(names: &[&str]) -> Fields {
    Fields { list: names.iter().map(|name| Field::number(name)).collect(), ..Fields::default() }
}

/// A stage's descriptor.
pub(crate) fn descriptor(name: &str) -> &'static Descriptor {
    Registry::collect().expect("registers").get(Role::Transform, name).expect("is registered")
}

/// A transform's configuration from its table as JSON.
pub(crate) fn transform(name: &str, table: serde_json::Value) -> Arc<dyn TransformConfig> {
    match descriptor(name).parse(table).expect("fits its type") {
        StageConfig::Transform(config) => config,
        _ => unreachable!("it was looked up as a transform"),
    }
}

/// What `check` says against a layout, as `path: message` lines.
pub(crate) fn problems(name: &str, table: serde_json::Value, input: &Fields) -> Vec<String> {
    let line = |problem: &Problem| format!("{}: {}", problem.path.join("."), problem.message);
    match transform(name, table).check(input) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(line).collect(),
    }
}

/// The one batch that a transform makes of one.
pub(crate) fn apply_one(transform: &mut dyn Transform, batch: Batch) -> Batch {
    let mut out = Output::default();
    transform.apply(batch, &mut out).expect("applies");
    assert_eq!(out.batches.len(), 1, "one batch for one");
    out.batches.remove(0)
}

/// A field's values.
pub(crate) fn values(batch: &Batch, name: &str) -> Vec<Option<f64>> {
    let index = batch.fields().index(name).expect("the field is there");
    let numbers = batch.numbers(index).expect("numbers");
    (0..batch.rows()).map(|row| numbers.get(row)).collect()
}

/// The quality of a field's cells, as `flag provenance(k)` and the tests that objected.
pub(crate) fn quality(batch: &Batch, name: &str) -> Vec<String> {
    let index = batch.fields().index(name).expect("the field is there");
    let numbers = batch.numbers(index).expect("numbers");
    (0..batch.rows()).map(|row| format!("{:?}", numbers.quality_at(row))).collect()
}

/// Whether a transform's JSON Schema takes a table.
pub(crate) fn schema_takes(name: &str, table: &serde_json::Value) -> bool {
    let schema = descriptor(name).schema().to_value();
    jsonschema::validator_for(&schema).expect("is a schema").is_valid(table)
}
