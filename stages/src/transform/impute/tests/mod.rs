//! Tests of the imputation.

mod behaviour;
mod configuration;
mod pandas;
mod properties;
mod reference;
mod state;

use std::collections::BTreeMap;

use aqpipe_engine::record::{Batch, CellQuality};
use aqpipe_engine::stage::{BuildContext, Output, Transform, TransformConfig};
use arrow_array::Array;
use serde_json::{Value, json};

use crate::testing::transform;

/// A cell: its value and its quality.
type Cell = (Option<f64>, CellQuality);

fn config(steps: &Value) -> std::sync::Arc<dyn TransformConfig> {
    transform("impute", json!({ "steps": steps }))
}

/// What a transform is built with after a fit to the batches, where it asks for one.
fn context(config: &dyn TransformConfig, batches: &[Batch]) -> BuildContext {
    let mut cx = BuildContext::for_tests();
    if let Some(mut fitter) = config.fitter(&cx) {
        batches.iter().for_each(|batch| fitter.observe(batch).expect("within bounds"));
        cx = cx.with_fitted(Some(fitter.finish().expect("finishes").into()));
    }
    cx
}

/// Everything that comes out of the batches, the end included.
fn run(steps: &Value, batches: Vec<Batch>) -> Vec<Batch> {
    let config = config(steps);
    let cx = context(&*config, &batches);
    let mut impute = config.build(&cx).expect("builds");
    let mut out = Output::default();
    for batch in batches {
        impute.apply(batch, &mut out).expect("applies");
    }
    impute.finish(&mut out).expect("finishes");
    assert_eq!(impute.held(), 0, "nothing is held after the end");
    out.batches
}

fn apply(impute: &mut dyn Transform, batch: Batch) -> Vec<Batch> {
    let mut out = Output::default();
    impute.apply(batch, &mut out).expect("applies");
    out.batches
}

fn finish(impute: &mut dyn Transform) -> Vec<Batch> {
    let mut out = Output::default();
    impute.finish(&mut out).expect("finishes");
    out.batches
}

/// The cells of each key, row by row in the order in which they came out, with the origin of each row.
fn series(batches: &[Batch], fields: &[&str]) -> BTreeMap<Option<String>, Vec<(u64, Vec<Cell>)>> {
    let mut series: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for batch in batches {
        let columns: Vec<_> = fields
            .iter()
            .map(|name| batch.numbers(batch.fields().index(name).expect("there")).expect("numbers"))
            .collect();
        for row in 0..batch.rows() {
            let key = batch.key().filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row).to_owned());
            let cells = columns.iter().map(|numbers| (numbers.get(row), numbers.quality_at(row))).collect();
            series.entry(key).or_default().push((batch.source_offsets()[row], cells));
        }
    }
    series
}

/// The values of a field, one batch after the other.
fn column(batches: &[Batch], name: &str) -> Vec<Option<f64>> {
    batches.iter().flat_map(|batch| crate::testing::values(batch, name)).collect()
}

/// The quality of a field, one batch after the other.
fn column_quality(batches: &[Batch], name: &str) -> Vec<String> {
    batches.iter().flat_map(|batch| crate::testing::quality(batch, name)).collect()
}
