//! The sink as the engine uses it.

use std::path::Path;

use aqpipe_engine::record::{BatchParts, Column, Field, FieldTest, Numbers, Position};
use aqpipe_engine::stage::PipelineVersion;

use super::*;

fn config(dir: &Path) -> CsvSinkConfig {
    serde_json::from_value(serde_json::json!({"dir": dir.to_str()})).expect("valid")
}

fn batch(names: &[&str], rows: std::ops::Range<u64>) -> Batch {
    let count = rows.clone().count();
    let numbers = || Column::Number(Numbers::observed(rows.clone().map(|row| Some(row as f64)).collect()));
    Batch::new(BatchParts {
        fields: Arc::new(Fields { list: names.iter().map(|name| Field::number(name)).collect(), ..Fields::default() }),
        time: vec![0; count].into(),
        utc_offset: vec![0; count].into(),
        key: None,
        columns: names.iter().map(|_| numbers()).collect(),
        score: None,
        source_offsets: rows.clone().collect::<Vec<_>>().into(),
        raw: None,
    })
    .expect("fits")
}

fn range(from: u64, to: u64) -> OffsetRange {
    OffsetRange {
        from: Position { offset: from, records: from },
        to: Position { offset: to, records: to },
        sequence: 0,
    }
}

#[test]
fn a_checkpoint_becomes_a_file_with_a_header_and_one_without_rows_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = config(dir.path());
    (config.partition, config.offset) = (true, true);
    let sink = config.build(&BuildContext::for_tests()).expect("builds");
    sink.acquire().expect("files").acquire().expect("free");
    let mut writer = sink.open(&"air-quality-data/2".into(), 0).expect("opens");
    let mut dead = Vec::new();
    writer.write(batch(&["T"], 0..0), &mut dead).expect("writes");
    assert!(writer.prepare(range(0, 5)).expect("nothing").staged().is_empty());
    writer.write(batch(&["T"], 5..6), &mut dead).expect("writes");
    writer.write(batch(&["T"], 6..7), &mut dead).expect("writes");
    let first = writer.prepare(range(5, 7)).expect("prepares");
    writer.write(batch(&["T", "RH"], 7..8), &mut dead).expect("other fields in another checkpoint");
    let second = writer.prepare(range(7, 8)).expect("prepares");
    sink.two_phase_commit().expect("files").commit(first.staged()).expect("finishes");
    sink.two_phase_commit().expect("files").commit(second.staged()).expect("finishes");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("visible");
    let name = "air_quality_batch_air-quality-data-2_00000000000000000005-00000000000000000007.csv";
    insta::assert_snapshot!(read(name), @r"
    timestamp,T,qc_flags,fills,tests,partition,offset
    1970-01-01T00:00:00Z,5.0,q2,,,2,5
    1970-01-01T00:00:00Z,6.0,q2,,,2,6
    ");
    assert!(read(&name.replace('7', "8").replace('5', "7")).starts_with("timestamp,T,RH,qc_flags"));
    assert_eq!(
        sink.committed_offsets().expect("files").committed_offsets(&["air-quality-data/2".into()]).expect("known"),
        [Some(8)]
    );
}

#[test]
fn long_files_are_written_as_they_grow() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = config(dir.path()).build(&BuildContext::for_tests()).expect("builds");
    sink.acquire().expect("files").acquire().expect("free");
    let mut writer = sink.open(&"topic/0".into(), 0).expect("opens");
    for start in 0..20 {
        writer.write(batch(&["T"], start * 1000..(start + 1) * 1000), &mut Vec::new()).expect("writes");
    }
    let prepared = writer.prepare(range(0, 20_000)).expect("prepares");
    sink.two_phase_commit().expect("files").commit(prepared.staged()).expect("finishes");
    sink.two_phase_commit().expect("files").commit(prepared.staged()).expect("length and checksum are those of before");
    let name = "air_quality_batch_topic-0_00000000000000000000-00000000000000020000.csv";
    let text = std::fs::read_to_string(dir.path().join(name)).expect("visible");
    assert_eq!(text.lines().count(), 20_001);
}

#[test]
fn names_and_delimiters_that_would_confuse_readers_are_problems() {
    let open = Fields { open: true, ..Fields::default() };
    let mut config = config(Path::new("out"));
    config.check(&open).expect("fine");
    config.delimiter = '"';
    assert_eq!(config.check(&open).expect_err("a quote")[0].path, ["delimiter"]);
    config.delimiter = 'é';
    assert!(config.check(&open).is_err());
    config.delimiter = '\t';
    let fields = Fields { list: vec![Field::text("qc_flags")], ..Fields::default() };
    assert_eq!(config.check(&fields).expect_err("taken")[0].path, ["marks"]);
    config.marks = MarksOption(Marks::None);
    config.check(&fields).expect("free then");
}

#[test]
fn a_unit_of_no_field_is_warned_of() {
    let config: CsvSinkConfig =
        serde_json::from_value(serde_json::json!({"dir": "out", "units": {"T": "K", "t": "K"}})).expect("valid");
    let fields = Fields { list: vec![Field::number("T")], ..Fields::default() };
    let problems = config.check(&fields).expect_err("a warning");
    assert!(matches!(&problems[..], [one] if one.warning && one.path == ["units", "t"]), "{problems:?}");
    config.check(&Fields { open: true, ..Fields::default() }).expect("it may still come");
}

#[test]
fn a_file_is_a_checkpoint_of_so_many_records_and_is_never_written_again() {
    let config: CsvSinkConfig = toml::from_str(EXAMPLE).expect("valid");
    let policy = CheckpointPolicy::Records { records_max: 10_000, timeout: Duration::from_secs(30) };
    assert_eq!((config.checkpoint_policy(), config.rerun(), config.writes()), (policy, Rerun::Refuse, vec![]));
}

#[test]
fn rows_of_other_fields_in_one_checkpoint_get_a_file_of_their_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = config(dir.path()).build(&BuildContext::for_tests()).expect("builds");
    sink.acquire().expect("files").acquire().expect("free");
    let mut writer = sink.open(&"topic/0".into(), 0).expect("opens");
    for (names, rows) in [(&["T"][..], 0..2), (&["T", "RH"], 2..3), (&["T"], 3..4)] {
        writer.write(batch(names, rows), &mut Vec::new()).expect("writes");
    }
    let prepared = writer.prepare(range(0, 4)).expect("prepares");
    sink.two_phase_commit().expect("files").commit(prepared.staged()).expect("finishes");
    sink.two_phase_commit().expect("files").commit(prepared.staged()).expect("and again");
    let lines = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("visible").lines().count();
    let stem = "air_quality_batch_topic-0_00000000000000000000-00000000000000000004";
    assert_eq!(lines(&format!("{stem}.csv")), 1 + 3);
    assert_eq!(lines(&format!("{stem}.2.csv")), 1 + 1);
    assert_eq!(
        sink.committed_offsets().expect("files").committed_offsets(&["topic/0".into()]).expect("known"),
        [Some(4)]
    );
}

#[test]
fn a_record_with_a_field_called_as_another_column_is_written_and_ends_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let sink = config(dir.path()).build(&BuildContext::for_tests()).expect("builds");
    sink.acquire().expect("files").acquire().expect("free");
    let mut writer = sink.open(&"topic/0".into(), 0).expect("opens");
    writer.write(batch(&["T"], 0..1), &mut Vec::new()).expect("writes");
    writer.write(batch(&["T", "qc_flags", "timestamp"], 1..2), &mut Vec::new()).expect("writes");
    sink.two_phase_commit()
        .expect("files")
        .commit(writer.prepare(range(0, 2)).expect("prepares").staged())
        .expect("finishes");
    let name = "air_quality_batch_topic-0_00000000000000000000-00000000000000000002.2.csv";
    let text = std::fs::read_to_string(dir.path().join(name)).expect("visible");
    insta::assert_snapshot!(text, @r"
    timestamp,T,qc_flags_,timestamp_,qc_flags,fills,tests
    1970-01-01T00:00:00Z,1.0,1.0,1.0,q222,,
    ");
}

#[test]
fn marks_are_a_switch_or_a_word() {
    let marks = |value: serde_json::Value| {
        let options = serde_json::json!({"dir": "out", "marks": value});
        serde_json::from_value::<CsvSinkConfig>(options).map(|config| config.marks.0).map_err(|error| error.to_string())
    };
    assert_eq!(marks(true.into()), Ok(Marks::Text));
    assert_eq!(marks(false.into()), Ok(Marks::None));
    assert_eq!(marks("columns".into()), Ok(Marks::Columns));
    assert!(marks("rows".into()).is_err_and(|error| error.contains("true, false or \"columns\"")));
}

/// The package in a directory.
fn package(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("datapackage.json")).expect("there")).expect("JSON")
}

/// Writes and commits a batch as one file.
fn write_file(config: &CsvSinkConfig, names: &[&str], rows: std::ops::Range<u64>) {
    write_file_of(config, &BuildContext::for_tests(), names, rows);
}

fn write_file_of(config: &CsvSinkConfig, cx: &BuildContext, names: &[&str], rows: std::ops::Range<u64>) {
    let sink = config.build(cx).expect("builds");
    sink.acquire().expect("files").acquire().expect("free");
    let mut writer = sink.open(&"topic/0".into(), 0).expect("opens");
    writer.write(batch(names, rows.clone()), &mut Vec::new()).expect("writes");
    let prepared = writer.prepare(range(rows.start, rows.end)).expect("prepares");
    sink.two_phase_commit().expect("files").commit(prepared.staged()).expect("finishes");
}

#[test]
fn a_description_stands_beside_the_first_file_and_goes_with_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = config(dir.path());
    first.units.insert("T".to_owned(), "°C".to_owned());
    write_file(&first, &["T"], 0..2);
    let described = package(dir.path());
    let resource = &described["resources"][0];
    assert_eq!(resource["path"], "air_quality_batch_topic-0_00000000000000000000-00000000000000000002.csv");
    assert_eq!(resource["schema"]["fields"][1], serde_json::json!({"name": "T", "type": "number", "unit": "°C"}));
    write_file(&first, &["T"], 2..3);
    assert_eq!(package(dir.path()), described, "that of the first file with these columns");
    write_file(&first, &["T", "RH"], 3..4);
    write_file(&first, &["T"], 4..5);
    let more = package(dir.path());
    assert_eq!((&more["resources"][0], more["resources"].as_array().map(Vec::len)), (resource, Some(2)));
    let other = &more["resources"][1];
    assert_eq!(other["path"], "air_quality_batch_topic-0_00000000000000000003-00000000000000000004.csv");
    assert_eq!(other["schema"]["fields"][2], serde_json::json!({"name": "RH", "type": "number"}));
    assert_ne!(other["name"], resource["name"]);

    let mut second = config(dir.path());
    (second.prefix, second.marks) = ("Other".to_owned(), MarksOption(Marks::Columns));
    write_file(&second, &["RH"], 0..1);
    let both = package(dir.path());
    assert_eq!(both["resources"][0], *resource);
    let names: Vec<&serde_json::Value> = both["resources"][2]["schema"]["fields"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|field| &field["name"])
        .collect();
    assert_eq!(names, ["timestamp", "RH", "RH_qc", "fills", "tests"]);

    let reset = |config: &CsvSinkConfig| {
        let sink = config.build(&BuildContext::for_tests()).expect("builds");
        sink.acquire().expect("files").reset().expect("removed");
    };
    reset(&first);
    assert_eq!(package(dir.path())["resources"].as_array().map(Vec::len), Some(1), "the other's stays");
    reset(&second);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).expect("a directory").map(|it| it.expect("it").file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with("lock")), "{left:?}");
}

#[test]
fn a_description_names_the_versions_of_the_pipeline_that_wrote_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(dir.path());
    let write = |digest: &str, max: f64, rows: std::ops::Range<u64>| {
        let cx = BuildContext::for_tests();
        let test = FieldTest { max: Some(max), ..FieldTest::new("gross_range", "T") };
        cx.pipeline_extensions().put(Arc::new(PipelineVersion { digest: digest.to_owned(), tests: vec![test] }));
        write_file_of(&config, &cx, &["T"], rows);
    };
    let versions = || -> Vec<(String, f64, bool)> {
        let all = package(dir.path())["resources"][0]["aqpipe"]["made_by"].as_array().expect("versions").clone();
        let one = |one: &serde_json::Value| {
            let file = dir.path().join(one["since"].as_str().expect("a file"));
            let max = one["tests"][0]["max"].as_f64().expect("a bound");
            (one["digest"].as_str().expect("a digest").to_owned(), max, file.exists())
        };
        all.iter().map(one).collect()
    };
    write("0000000a", 50.0, 0..2);
    write("0000000a", 50.0, 2..3);
    assert_eq!(versions(), [("0000000a".to_owned(), 50.0, true)]);
    write("0000000b", 60.0, 3..4);
    write("0000000a", 50.0, 4..5);
    let digests: Vec<String> = versions().into_iter().map(|(digest, ..)| digest).collect();
    assert_eq!(digests, ["0000000a", "0000000b", "0000000a"], "one that comes back is the latest");
    assert_eq!(package(dir.path())["resources"].as_array().map(Vec::len), Some(1));
    for number in 5..120 {
        write(&format!("{number:08x}"), 1.0, number..number + 1);
    }
    assert_eq!((versions().len(), versions().last().map(|last| last.0.clone())), (100, Some("00000077".to_owned())));
}

#[test]
fn a_package_of_somebody_else_stays_and_costs_no_file() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("datapackage.json"), "{\"name\": \"mine\"}").expect("written");
    write_file(&config(dir.path()), &["T"], 0..2);
    assert_eq!(package(dir.path()), serde_json::json!({"name": "mine"}));
    let count = std::fs::read_dir(dir.path())
        .expect("a directory")
        .filter(|it| it.as_ref().is_ok_and(|it| it.path().extension().is_some_and(|extension| extension == "csv")));
    assert_eq!(count.count(), 1);

    let dir = tempfile::tempdir().expect("a directory");
    let mut off = config(dir.path());
    off.datapackage = false;
    write_file(&off, &["T"], 0..2);
    assert!(!dir.path().join("datapackage.json").exists());
}
