//! The stages that ship keep the rules of a run, as the engine's testing kit checks them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{Registry, Role, SinkConfig, SourceConfig, StageConfig};
use aqpipe_engine::testing::{BatchBuilder, check_sink, check_source, check_transform};
use aqpipe_stages as _;
use serde_json::{Value, json};

/// Hourly readings of one station with gaps, in batches of some lengths.
fn readings() -> Vec<Batch> {
    let value = |row: u32, gap: u32| (row % 7 >= gap).then(|| f64::from(row * 7 % 23) / 2.0);
    let batch = |rows: std::ops::Range<u32>| {
        BatchBuilder::new()
            .key("station", rows.clone().map(|_| "north"))
            .numbers("T", rows.clone().map(|row| value(row, 3)))
            .numbers("CO(GT)", rows.clone().map(|row| value(row + 2, 1)))
            .at(rows.clone().map(|row| 1_078_941_600 + i64::from(row) * 3_600))
            .every(Duration::from_secs(3_600))
            .from_offset(u64::from(rows.start))
            .build()
    };
    vec![batch(0..9), batch(9..10), batch(10..26)]
}

#[test]
fn each_transform_gives_the_same_rows_wherever_batches_and_runs_end() {
    let steps = [
        "{ method = \"forward_fill\", limit = 2 }",
        "{ method = \"forward_fill\", max_gap = \"3h\" }",
        "{ method = \"backward_fill\", limit = 2, max_age = \"2h\" }",
        "{ method = \"interpolate\" }",
        "{ method = \"median\" }",
        "{ method = \"median\", window = 3 }",
        "{ method = \"median\", over = \"expanding\" }",
        "{ method = \"constant\", value = 0.5 }",
    ];
    for step in steps {
        check_transform(&format!("[[transform]]\ntype = \"impute\"\nsteps = [{step}]\n"), &readings());
    }
    for options in [
        "type = \"range_check\"\non_fail = \"flag\"\nranges.T = { max = 5.0 }\n",
        "type = \"range_check\"\non_fail = \"null\"\nranges.T = { max = 5.0 }\n",
        "type = \"range_check\"\non_fail = \"reject\"\nranges.T = { max = 5.0 }\n",
        "type = \"derive\"\n",
        "type = \"score\"\n",
    ] {
        check_transform(&format!("[[transform]]\n{options}"), &readings());
    }
}

/// Readings of two stations, a parameter a record, in the order of time, with a gap and a value that comes again.
fn long_readings() -> Vec<Batch> {
    let batch = |rows: std::ops::Range<u32>| {
        let name = |row: u32| ["pm25", "o3", "no2"][row as usize % 3];
        BatchBuilder::new()
            .key("station", rows.clone().map(|_| "north"))
            .texts("parameter", rows.clone().map(|row| Some(name(row))))
            .texts("place", rows.clone().map(|row| Some(if row % 2 == 0 { "roof" } else { "street" })))
            .numbers("value", rows.clone().map(|row| (row % 5 != 0).then(|| f64::from(row))))
            .at(rows.clone().map(|row| 1_078_941_600 + i64::from(row / 3 - u32::from(row == 13)) * 3_600))
            .from_offset(u64::from(rows.start))
            .build()
    };
    vec![batch(0..9), batch(9..10), batch(10..26)]
}

#[test]
fn rows_that_are_made_and_merged_are_the_same_wherever_batches_and_runs_end() {
    for options in [
        "expect = [\"pm25\", \"o3\", \"no2\"]\n",
        "expect = [\"pm25\", \"so2\"]\nkeep = []\n",
        "expect = [\"pm25\", \"so2\", \"o3\"]\nlate = \"row\"\n",
        "expect = [\"o3\", \"no2\"]\nallowed_lateness = \"2h\"\n",
        "",
    ] {
        let toml = format!("[[transform]]\ntype = \"pivot\"\nnames = \"parameter\"\nvalues = \"value\"\n{options}");
        check_transform(&toml, &long_readings());
    }
    let wide: Vec<Batch> = (0..4_i32)
        .map(|day| {
            BatchBuilder::new()
                .texts("note", [Some("a"), Some("b")])
                .numbers("H01", [Some(f64::from(day)), None])
                .numbers("H02", [None, Some(2.0)])
                .at([i64::from(day) * 172_800, i64::from(day) * 172_800 + 86_400])
                .from_offset(day as u64 * 2)
                .build()
        })
        .collect();
    let unpivot = "[[transform]]\ntype = \"unpivot\"\ncolumns = \"H{hour}\"\n";
    check_transform(unpivot, &wide);
    let again = "\n[[transform]]\ntype = \"pivot\"\nnames = \"note\"\nvalues = \"value\"\n";
    check_transform(&format!("{unpivot}{again}"), &wide);
}

#[test]
fn a_chain_of_transforms_gives_the_same_rows_wherever_batches_and_runs_end() {
    let toml = "[[transform]]\ntype = \"range_check\"\non_fail = \"null\"\nranges.T = { max = 9.0 }\n\n\
                [[transform]]\ntype = \"impute\"\nsteps = [\n  { method = \"forward_fill\", limit = 1 },\n  \
                { method = \"backward_fill\", limit = 2 },\n  { method = \"interpolate\" },\n]\n\n\
                [[transform]]\ntype = \"derive\"\n\n[[transform]]\ntype = \"score\"\n";
    check_transform(toml, &readings());
}

fn config(role: Role, name: &str, options: Value) -> StageConfig {
    let registry = Registry::collect().expect("stages that fit together");
    registry.get(role, name).expect("is registered").parse(options).expect("fits its type")
}

fn source(name: &str, options: Value) -> Arc<dyn SourceConfig> {
    match config(Role::Source, name, options) {
        StageConfig::Source(config) => config,
        _ => unreachable!("it was looked up as a source"),
    }
}

#[test]
fn files_are_read_on_after_any_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let rows =
        |day: u32| -> String { (0..20).map(|hour| format!("2004-03-{day}T{hour:02}:00:00,{hour}\r\n")).collect() };
    for day in [10, 11] {
        let text = format!("timestamp,T\r\n{}\r\n,\r\n", rows(day));
        std::fs::write(dir.path().join(format!("{day}.csv")), text).expect("writes");
    }
    for parallel in [false, true] {
        let csv = source("csv", json!({ "path": dir.path().join("*.csv"), "parallel": parallel }));
        check_source(&|cx| csv.build(cx));
    }
}

#[test]
fn generated_readings_go_on_after_any_row() {
    let sample = source("sample", json!({ "records": 50, "stations": 3 }));
    check_source(&|cx| sample.build(cx));
}

/// The rows in the visible CSV files of a directory.
fn visible_rows(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let visible = files.filter(|path| path.extension().is_some_and(|extension| extension == "csv"));
    visible.map(|path| std::fs::read_to_string(path).expect("reads").lines().skip(1).count()).sum()
}

#[test]
fn files_of_a_sink_appear_once_whatever_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let csv: Arc<dyn SinkConfig> = match config(Role::Sink, "csv", json!({ "dir": dir.path() })) {
        StageConfig::Sink(config) => config,
        _ => unreachable!("it was looked up as a sink"),
    };
    check_sink(&|cx| csv.build(cx), &readings()[0], &|| visible_rows(dir.path()));
}
