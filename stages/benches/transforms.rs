//! The transforms, each alone and as the chain that ships, on 13 columns with gaps like those of the UCI file.

use std::hint::black_box;
use std::sync::Arc;

use aqpipe_engine::arrow_array::{Float64Array, StringArray};
use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Numbers};
use aqpipe_engine::stage::{BuildContext, Output, Registry, Role, StageConfig, Transform, TransformConfig};
use aqpipe_stages::UCI_FIELDS;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const ROWS: usize = 8_192;

/// The share of missing values and the mean length of a gap, for each of [`UCI_FIELDS`].
const GAPS: [(f64, f64); UCI_FIELDS.len()] = [
    (0.18, 9.0),
    (0.039, 23.0),
    (0.902, 1_400.0),
    (0.039, 23.0),
    (0.039, 23.0),
    (0.175, 5.0),
    (0.039, 23.0),
    (0.175, 5.0),
    (0.039, 23.0),
    (0.039, 23.0),
    (0.039, 23.0),
    (0.039, 23.0),
    (0.039, 23.0),
];

/// Hourly records of so many stations in turn.
fn readings(stations: usize) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let columns = GAPS.map(|(share, length)| {
        let end = 1.0 / length;
        let begin = end * share / (1.0 - share);
        let mut missing = vec![random.random_bool(share); stations];
        let values: Float64Array = (0..ROWS)
            .map(|row| {
                let missing = &mut missing[row % stations];
                let turn = if *missing { end } else { begin };
                *missing ^= random.random_bool(turn.min(1.0));
                (!*missing).then(|| (random.random_range(0.0..100.0_f64) * 10.0).round() / 10.0)
            })
            .collect();
        Column::Number(Numbers::observed(values))
    });
    let names: Vec<String> = (0..stations).map(|station| format!("station-{station}")).collect();
    let hour = |row: usize| 1_078_941_600_000_000 + (row / stations) as i64 * 3_600_000_000;
    Batch::new(BatchParts {
        fields: Arc::new(Fields {
            list: UCI_FIELDS.map(Field::number).to_vec(),
            key: Some("station".into()),
            ..Fields::default()
        }),
        time: (0..ROWS).map(hour).collect::<Vec<_>>().into(),
        utc_offset: vec![60; ROWS].into(),
        key: Some((0..ROWS).map(|row| Some(&names[row % stations])).collect::<StringArray>()),
        columns: columns.into(),
        score: None,
        source_offsets: (0..ROWS as u64).collect::<Vec<_>>().into(),
        raw: None,
    })
    .expect("the parts fit")
}

/// The batch in memory of its own, as a source hands it over.
fn fresh(batch: &Batch) -> Batch {
    let mut parts = batch.clone().into_parts();
    for column in &mut parts.columns {
        if let Column::Number(numbers) = column {
            let (values, nulls, quality) = numbers.clone().into_vecs();
            *numbers = Numbers::from_vecs(values, nulls, quality);
        }
    }
    Batch::new(parts).expect("the parts fit")
}

fn build(name: &str, table: serde_json::Value, input: &Batch) -> Box<dyn Transform> {
    let registry = Registry::collect().expect("stages are registered");
    let config: Arc<dyn TransformConfig> = match registry.get(Role::Transform, name).expect("registered").parse(table) {
        Ok(StageConfig::Transform(config)) => config,
        _ => unreachable!("a transform's table"),
    };
    let mut cx = BuildContext::for_tests();
    if let Some(mut fitter) = config.fitter(&cx) {
        fitter.observe(input).expect("within bounds");
        cx = cx.with_fitted(Some(fitter.finish().expect("finishes").into()));
    }
    config.build(&cx).expect("builds")
}

fn impute(input: &Batch) -> Box<dyn Transform> {
    let steps = json!([
        { "method": "forward_fill", "limit": 3 },
        { "method": "backward_fill", "limit": 3 },
        { "method": "median" },
    ]);
    build("impute", json!({ "steps": steps }), input)
}

fn range_check(input: &Batch) -> Box<dyn Transform> {
    let ranges = json!({
        "CO(GT)": { "min": 0.0, "max": 50.0 },
        "NOx(GT)": { "min": 0.0, "max": 1000.0 },
        "C6H6(GT)": { "min": 0.0, "max": 100.0 },
        "T": { "min": -20.0, "max": 50.0 },
        "RH": { "min": 0.0, "max": 100.0 },
    });
    build("range_check", json!({ "ranges": ranges }), input)
}

fn run(stages: &mut [Box<dyn Transform>], batch: Batch) -> Vec<Batch> {
    let mut batches = vec![batch];
    for stage in stages {
        let mut out = Output::default();
        batches.into_iter().for_each(|batch| stage.apply(batch, &mut out).expect("applies"));
        batches = out.batches;
    }
    batches
}

fn transforms(c: &mut Criterion) {
    let mut group = c.benchmark_group("transforms");
    group.throughput(Throughput::Elements(ROWS as u64));
    for stations in [1, 100] {
        let batch = readings(stations);
        let derive = |batch: &Batch| build("derive", json!({}), batch);
        let score = |batch: &Batch| build("score", json!({}), batch);
        let stages: [(&str, Vec<Box<dyn Transform>>); 5] = [
            ("impute", vec![impute(&batch)]),
            ("range_check", vec![range_check(&batch)]),
            ("derive", vec![derive(&batch)]),
            ("score", vec![score(&batch)]),
            ("chain", vec![impute(&batch), range_check(&batch), derive(&batch), score(&batch)]),
        ];
        for (name, mut stages) in stages {
            group.bench_function(format!("{name}/{stations} keys"), |bencher| {
                let setup = || fresh(&batch);
                bencher.iter_batched(setup, |batch| black_box(run(&mut stages, batch)), BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, transforms);
criterion_main!(benches);
