//! Bytes to columns and back, on records such as those of the UCI file: 13 measurements, some of them missing or filled.

use std::hint::black_box;
use std::sync::Arc;

use aqpipe_engine::record::{
    Batch, BatchParts, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance, QcTests,
};
use aqpipe_stages::UCI_FIELDS;
use aqpipe_stages::codec::csv::{BatchContext, CsvEncoder};
use aqpipe_stages::codec::json::{Decoder, DecoderOptions, Encoder, Pushed, SCORE};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 8192;

fn batch(tests: &QcTests) -> Batch {
    let range = tests.bit("gross_range");
    let column = |index: usize| {
        let mut quality = Vec::with_capacity(ROWS);
        let values: Vec<Option<f64>> = (0..ROWS)
            .map(|row| {
                let noise = (row * 7919 + index * 104_729) % 10_007;
                let value = match index {
                    0 | 3 | 10 | 11 => (noise % 500) as f64 / 10.0,
                    12 => (noise % 20_000) as f64 / 10_000.0,
                    _ => (noise % 2_000) as f64,
                };
                let (value, cell) = match noise % 50 {
                    0 => (None, CellQuality::MISSING),
                    1 => (Some(value), CellQuality::MISSING.filled(Provenance::ForwardFill, 2)),
                    _ => (Some(value), CellQuality::OBSERVED.checked(Flag::Good, range)),
                };
                quality.push(cell.0);
                value
            })
            .collect();
        Column::Number(Numbers { values: values.into(), quality: quality.into() })
    };
    Batch::new(BatchParts {
        fields: Arc::new(Fields {
            list: UCI_FIELDS.map(Field::number).to_vec(),
            key: Some("station".into()),
            score: Some(SCORE.into()),
            open: false,
        }),
        time: (0..ROWS as i64).map(|row| 1_078_938_000_000_000 + row * 3_600_000_000).collect::<Vec<_>>().into(),
        utc_offset: vec![60; ROWS].into(),
        key: Some(vec!["uci"; ROWS].into()),
        columns: (0..UCI_FIELDS.len()).map(column).collect(),
        score: Some((0..ROWS).map(|row| Some(1.0 - (row % 100) as f64 / 1000.0)).collect()),
        source_offsets: (0..ROWS as u64).collect::<Vec<_>>().into(),
        raw: None,
    })
    .expect("fits")
}

fn codec(c: &mut Criterion) {
    let tests = Arc::new(QcTests::default());
    let batch = batch(&tests);
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(ROWS as u64));

    let mut encoder = Encoder::new(Arc::clone(&tests));
    let (mut written, mut written_ends) = (Vec::new(), Vec::new());
    encoder.encode(&batch, &mut written, &mut written_ends).expect("names are free");
    let starts: Vec<usize> = std::iter::once(0).chain(written_ends.iter().copied()).collect();
    let messages: Vec<&[u8]> = starts.windows(2).map(|pair| &written[pair[0]..pair[1]]).collect();

    let (mut out, mut ends) = (Vec::new(), Vec::new());
    group.bench_function("json encode", |b| {
        b.iter(|| {
            out.clear();
            ends.clear();
            encoder.encode(black_box(&batch), &mut out, &mut ends).expect("names are free");
        });
    });

    let mut decoder = Decoder::new(DecoderOptions { key: Some("station".into()), tests, ..DecoderOptions::default() });
    group.bench_function(format!("json decode, {} bytes", written.len() / ROWS), |b| {
        b.iter(|| {
            for (origin, message) in messages.iter().enumerate() {
                assert_eq!(decoder.push(origin as u64, black_box(message)), Ok(Pushed::Row));
            }
            decoder.take().expect("fits")
        });
    });
    let encoder = CsvEncoder::default();
    let mut lines = Vec::new();
    group.bench_function("csv write", |b| {
        b.iter(|| {
            lines.clear();
            encoder.write_rows(black_box(&batch), BatchContext::default(), &mut lines);
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
