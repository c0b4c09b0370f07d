//! The transforms that ship on the real file: what is filled, what fails and what the records score.

use aqpipe_engine::record::{Batch, CellQuality, Flag, Provenance};
use aqpipe_engine::testing::{BatchBuilder, PipelineHarness};
use aqpipe_stages::UCI_FIELDS;

/// The transforms of the pipelines that ship.
const TRANSFORMS: &str = r#"
[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 3 }, { method = "backward_fill", limit = 3 }, { method = "median" }]

[[transform]]
type = "range_check"
ranges."CO(GT)" = { min = 0.0, max = 50.0 }
ranges."NOx(GT)" = { min = 0.0, max = 1000.0 }
ranges."C6H6(GT)" = { min = 0.0, max = 100.0 }
ranges.T = { min = -20.0, max = 50.0 }
ranges.RH = { min = 0.0, max = 100.0 }

[[transform]]
type = "derive"

[[transform]]
type = "score"
"#;

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
    let cell =
        |text: &str| Some(text.replace(',', ".").parse::<f64>().expect("a number")).filter(|value| *value != -200.0);
    let batch = |(index, records): (usize, &[csv::StringRecord])| {
        // Strictly hourly, so that the place of a row says its time.
        let rows = (index * rows)..(index * rows + records.len());
        let builder = BatchBuilder::new()
            .key("station", records.iter().map(|_| "uci"))
            .at(rows.clone().map(|row| 1_078_941_600 + row as i64 * 3_600))
            .from_offset(rows.start as u64);
        let fields = UCI_FIELDS.into_iter().zip(columns);
        let numbers = |builder: BatchBuilder, (name, column): (&str, usize)| {
            builder.numbers(name, records.iter().map(|record| cell(&record[column])))
        };
        fields.fold(builder, numbers).build()
    };
    records.chunks(rows).enumerate().map(batch).collect()
}

/// Everything that the transforms make of the batches.
fn run(batches: Vec<Batch>) -> Vec<Batch> {
    let mut pipeline = PipelineHarness::with_input(TRANSFORMS, &batches);
    let mut outputs: Vec<_> = batches.into_iter().map(|batch| pipeline.push(batch)).collect();
    outputs.push(pipeline.finish());
    assert!(outputs.iter().all(|output| output.dead.is_empty()));
    outputs.into_iter().flat_map(|output| output.batches).collect()
}

#[test]
#[ignore = "needs AQPIPE_UCI_CSV"]
fn the_real_file_is_filled_checked_and_scored_as_the_reference_says() {
    let path = std::env::var("AQPIPE_UCI_CSV").expect("AQPIPE_UCI_CSV names the original AirQualityUCI.csv");
    for rows in [100, 1_000, 9_357] {
        let out = run(read(&path, rows));
        let mut origins: Vec<u64> = out.iter().flat_map(|batch| batch.source_offsets().to_vec()).collect();
        assert_eq!(origins.len(), 9_357);
        origins.dedup();
        assert!(origins.is_sorted() && origins.len() == 9_357, "one key: the order of the file");

        for (field, (name, expected)) in UCI_FIELDS.into_iter().zip(FILLED).enumerate() {
            let count = |provenance| {
                let of =
                    |batch: &Batch| batch.numbers(field).map(|numbers| numbers.quality.to_vec()).unwrap_or_default();
                let quality = out.iter().flat_map(of).map(CellQuality);
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
