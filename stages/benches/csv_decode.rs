//! How fast bytes become columns: rows of the shape of the UCI Air Quality file, read from a file in the cache.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::{BuildContext, Poll, Registry, Role, SourceConfig, StageConfig};
use aqpipe_stages::UCI_FIELDS;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// Rows of the file.
const ROWS: u64 = 200_000;
/// Rows of a batch, as the engine asks for them.
const BATCH: usize = 8192;

fn source(name: &str, options: serde_json::Value) -> std::sync::Arc<dyn SourceConfig> {
    let registry = Registry::collect().expect("the stages register");
    match registry.get(Role::Source, name).expect("is registered").parse(options).expect("fits its type") {
        StageConfig::Source(config) => config,
        _ => unreachable!("it was looked up as a source"),
    }
}

/// Reads the whole input of a source; how many rows.
fn read(source: &dyn SourceConfig) -> u64 {
    let mut rows = 0;
    for (_, mut split) in
        source.build(&BuildContext::for_tests()).and_then(|source| source.fit_readers()).expect("opens")
    {
        loop {
            match split.next(BATCH, Instant::now() + Duration::from_secs(1)).expect("reads") {
                Poll::Rows(batch, dead) => {
                    assert!(dead.is_empty(), "{dead:?}");
                    rows += black_box(&batch).rows() as u64;
                }
                Poll::Idle => {}
                Poll::End => break,
            }
        }
    }
    rows
}

/// A file like the data set, with its share of missing values.
fn file(rows: u64) -> String {
    let mut text = format!("Date;Time;{};;\r\n", UCI_FIELDS.join(";"));
    for row in 0..rows {
        let (day, hour) = (row / 24 % 28 + 1, row % 24);
        let (co, small) = (row * 7 % 90, row * 13 % 900);
        let co = if row % 6 == 0 { "-200".to_owned() } else { format!("{},{}", co / 10, co % 10) };
        write!(
            text,
            "{day:02}/{:02}/2004;{hour:02}.00.00;{co};{};-200;{},{};{};{};{};{};{};{};{},{};{},{};0,{:04};;\r\n",
            row / 672 % 12 + 1,
            700 + small,
            small % 40,
            row % 10,
            900 + small / 2,
            small + 10,
            600 + small,
            small % 300 + 2,
            1000 + small,
            500 + small,
            small % 40,
            row % 10,
            small % 80 + 10,
            row % 9,
            row * 31 % 10_000,
        )
        .expect("a string takes it");
    }
    text
}

fn csv_decode(criterion: &mut Criterion) {
    let path = std::env::temp_dir().join(format!("aqpipe-csv-decode-{}.csv", std::process::id()));
    let text = file(ROWS);
    std::fs::write(&path, &text).expect("writes");
    let csv = source(
        "csv",
        json!({
            "path": path, "delimiter": ";", "decimal": ",", "missing": [-200], "timezone": "+01:00",
            "timestamp": { "columns": ["Date", "Time"], "format": "%d/%m/%Y %H.%M.%S" },
            "key": { "name": "station", "value": "uci" }, "fields": UCI_FIELDS,
        }),
    );
    let mut group = criterion.benchmark_group("csv");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("bytes to columns", |bench| bench.iter(|| assert_eq!(read(&*csv), ROWS)));
    group.finish();
    std::fs::remove_file(&path).expect("removes");

    let sample = source("sample", json!({ "records": ROWS }));
    let mut group = criterion.benchmark_group("sample");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("generated", |bench| bench.iter(|| assert_eq!(read(&*sample), ROWS)));
    group.finish();
}

criterion_group!(benches, csv_decode);
criterion_main!(benches);
