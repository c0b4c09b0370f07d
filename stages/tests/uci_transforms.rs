//! The transforms that ship on the real file: what is filled, what fails and what the records score.

use std::sync::Arc;

use aqpipe_engine::arrow_array::{Float64Array, StringArray};
use aqpipe_engine::record::{Batch, BatchParts, Column, Field, Fields, Flag, Numbers, Provenance};
use aqpipe_engine::stage::{BuildContext, Output, Registry, Role, StageConfig, TransformConfig};
use aqpipe_stages::UCI_FIELDS;
use serde_json::json;

/// The cells that forward fill, backward fill and the median fill in the whole file, for each of [`UCI_FIELDS`].
const FILLED: [[usize; 3]; UCI_FIELDS.len()] = [
    [262, 88, 1333],
    [42, 33, 291],
    [16, 12, 8415],
    [42, 33, 291],
    [42, 33, 291],
    [388, 63, 1188],
    [42, 33, 291],
    [389, 63, 1190],
    [42, 33, 291],
    [42, 33, 291],
    [42, 33, 291],
    [42, 33, 291],
    [42, 33, 291],
];

/// The file in batches of `rows`: -200 is missing, the decimal mark a comma, the lines of semicolons nothing.
fn read(path: &str, rows: usize) -> Vec<Batch> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_path(path).expect("the file opens");
    let header = reader.headers().expect("has a header").clone();
    let columns = UCI_FIELDS.map(|name| header.iter().position(|column| column == name).expect("has the column"));
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("reads")).collect();
    let records: Vec<_> = records.into_iter().filter(|record| !record[0].is_empty()).collect();
    let layout = Arc::new(Fields {
        list: UCI_FIELDS.map(Field::number).to_vec(),
        key: Some("station".into()),
        ..Fields::default()
    });
    let cell =
        |text: &str| Some(text.replace(',', ".").parse::<f64>().expect("a number")).filter(|value| *value != -200.0);
    let batch = |(index, records): (usize, &[csv::StringRecord])| {
        let numbers = |column: usize| {
            let values: Float64Array = records.iter().map(|record| cell(&record[column])).collect();
            Column::Number(Numbers::observed(values))
        };
        // Strictly hourly, so the place of a row says its time.
        let first = index * rows;
        let hours = |row: usize| 1_078_941_600_000_000 + (first + row) as i64 * 3_600_000_000;
        Batch::new(BatchParts {
            fields: Arc::clone(&layout),
            time: (0..records.len()).map(hours).collect::<Vec<_>>().into(),
            utc_offset: vec![0; records.len()].into(),
            key: Some(records.iter().map(|_| Some("uci")).collect::<StringArray>()),
            columns: columns.iter().map(|column| numbers(*column)).collect(),
            score: None,
            source_offsets: (0..records.len()).map(|row| (first + row) as u64).collect::<Vec<_>>().into(),
            raw: None,
        })
        .expect("the parts fit")
    };
    records.chunks(rows).enumerate().map(batch).collect()
}

fn transform(registry: &Registry, name: &str, table: serde_json::Value) -> Arc<dyn TransformConfig> {
    match registry.get(Role::Transform, name).expect("registered").parse(table).expect("fits") {
        StageConfig::Transform(config) => config,
        _ => unreachable!("it was looked up as a transform"),
    }
}

fn run(configs: &[Arc<dyn TransformConfig>], batches: Vec<Batch>) -> Vec<Batch> {
    let mut batches = batches;
    for config in configs {
        let mut cx = BuildContext::for_tests();
        if let Some(mut fitter) = config.fitter(&cx) {
            batches.iter().for_each(|batch| fitter.observe(batch).expect("within bounds"));
            cx = cx.with_fitted(Some(fitter.finish().expect("finishes").into()));
        }
        let mut transform = config.build(&cx).expect("builds");
        let mut out = Output::default();
        batches.into_iter().for_each(|batch| transform.apply(batch, &mut out).expect("applies"));
        transform.finish(&mut out).expect("finishes");
        assert!(out.dead.is_empty());
        batches = out.batches;
    }
    batches
}

#[test]
#[ignore = "needs AQPIPE_UCI_CSV"]
fn the_real_file_is_filled_checked_and_scored_as_the_reference_says() {
    let path = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV names the original AirQualityUCI.csv");
    let registry = Registry::collect().expect("stages are registered");
    let ranges = json!({
        "CO(GT)": { "min": 0.0, "max": 50.0 },
        "NOx(GT)": { "min": 0.0, "max": 1000.0 },
        "C6H6(GT)": { "min": 0.0, "max": 100.0 },
        "T": { "min": -20.0, "max": 50.0 },
        "RH": { "min": 0.0, "max": 100.0 },
    });
    let steps = json!([
        { "method": "forward_fill", "limit": 3 },
        { "method": "backward_fill", "limit": 3 },
        { "method": "median" },
    ]);
    let configs = [
        transform(&registry, "impute", json!({ "steps": steps })),
        transform(&registry, "range_check", json!({ "ranges": ranges })),
        transform(&registry, "derive", json!({})),
        transform(&registry, "score", json!({ "fields": UCI_FIELDS })),
    ];
    for rows in [100, 1_000, 9_357] {
        let out = run(&configs, read(&path, rows));
        let mut origins: Vec<u64> = out.iter().flat_map(|batch| batch.source_offsets().to_vec()).collect();
        assert_eq!(origins.len(), 9_357);
        origins.dedup();
        assert!(origins.is_sorted() && origins.len() == 9_357, "one key: the order of the file");

        for (field, (name, expected)) in UCI_FIELDS.into_iter().zip(FILLED).enumerate() {
            let count = |provenance| {
                let of =
                    |batch: &Batch| batch.numbers(field).map(|numbers| numbers.quality.to_vec()).unwrap_or_default();
                let quality = out.iter().flat_map(of).map(aqpipe_engine::record::CellQuality);
                quality.filter(|quality| quality.provenance() == provenance).count()
            };
            let filled = [Provenance::ForwardFill, Provenance::BackwardFill, Provenance::Median].map(count);
            assert_eq!(filled, expected, "{name}");
        }

        let fails = |field: usize, batch: &Batch| -> usize {
            let numbers = batch.numbers(field).expect("numbers");
            (0..batch.rows()).filter(|row| numbers.quality_at(*row).flag() == Flag::Fail).count()
        };
        let failed: Vec<usize> = (0..13).map(|field| out.iter().map(|batch| fails(field, batch)).sum()).collect();
        assert_eq!(failed, [0, 0, 0, 0, 0, 78, 0, 0, 0, 0, 0, 0, 0], "NOx(GT) above 1000");

        let scores: Vec<f64> = out.iter().flat_map(|batch| batch.score().expect("scored").values().to_vec()).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        assert!((mean - 0.899_985).abs() < 5e-7, "{mean}");
        let least = scores.iter().copied().fold(1.0, f64::min);
        assert!((least - 0.2).abs() < 1e-12, "{least}");
        assert_eq!(scores.iter().filter(|score| **score == 1.0).count(), 827);
    }
}
