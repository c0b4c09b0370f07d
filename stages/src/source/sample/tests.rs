//! Generated readings: the same everywhere, and of the shape that they claim.

use std::time::{Duration, Instant};

use aqpipe_engine::record::{Batch, QcTests};
use aqpipe_engine::stage::SourceConfig as _;
use aqpipe_engine::stage::{BuildContext, DeadLetter, Poll, SplitReader};
use serde_json::{Value, json};

use super::config::SampleSourceConfig;
use super::settings::{SampleSettings, UCI_FIELDS};
use super::split::SampleSplitReader;

fn config(options: Value) -> SampleSourceConfig {
    serde_json::from_value(options).expect("fits its type")
}

fn settings(options: Value) -> SampleSettings {
    config(options).settings().expect("good options")
}

fn read(split: &mut dyn SplitReader, max: usize) -> (Batch, Vec<DeadLetter>) {
    let (mut batches, mut dead_letters) = (Vec::new(), Vec::new());
    loop {
        match split.next(max, Instant::now() + Duration::from_secs(60)).expect("reads") {
            Poll::Rows(batch, dead) => {
                batches.push(batch);
                dead_letters.extend(dead);
            }
            Poll::Idle => {}
            Poll::End => return (Batch::concat(&batches).expect("one layout"), dead_letters),
        }
    }
}

fn all(options: Value) -> (Batch, Vec<DeadLetter>) {
    read(&mut SampleSplitReader::new(&settings(options), true, 0, None), 1000)
}

fn values(batch: &Batch, name: &str) -> Vec<Option<f64>> {
    let index = batch.fields().index(name).expect("a field");
    batch.numbers(index).expect("numbers").values.iter().collect()
}

/// A checksum of all raw lines (FNV-1a): the same on every machine.
fn checksum(batch: &Batch) -> u64 {
    let lines = (0..batch.rows()).flat_map(|row| batch.raw(row).unwrap_or_default().iter().copied().chain([b'\n']));
    lines.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn one_seed_gives_the_same_readings_on_every_machine() {
    let (batch, _) = all(json!({}));
    let first = "10/03/2004;18.00.00;6,1;1605;530;31,7;1460;781;588;225;1394;1662;9,1;43,9;0,5103;;";
    assert_eq!(batch.raw(0), Some(first.as_bytes()));
    assert_eq!(checksum(&batch), 3_353_650_419_635_156_339);
    let (other, _) = all(json!({ "seed": 2 }));
    assert_ne!(checksum(&batch), checksum(&other));
}

#[test]
fn readings_go_on_at_any_record() {
    let options = json!({ "records": 700, "stations": 3, "faults": { "bad_timestamp": 0.05, "not_a_number": 0.05 } });
    let whole = all(options.clone());
    for row in [0, 1, 2, 350, 699] {
        let (rest, dead_letters) = read(&mut SampleSplitReader::new(&settings(options.clone()), true, row, None), 64);
        let from = whole.0.source_offsets().partition_point(|origin| *origin < row);
        let expected = whole.0.slice(from, whole.0.rows() - from);
        assert_eq!(rest.to_arrow(), expected.to_arrow());
        let expected: Vec<_> = whole.1.iter().filter(|dead_letter| dead_letter.source_offset >= row).cloned().collect();
        assert_eq!(dead_letters, expected);
    }
}

#[test]
fn readings_have_the_shape_of_the_data_set() {
    let (batch, dead) = all(json!({}));
    assert!(dead.is_empty());
    assert_eq!(batch.rows(), 9357);
    assert_eq!(batch.fields().names().collect::<Vec<_>>(), UCI_FIELDS);
    assert_eq!((batch.time()[0], batch.time()[1]), (1_078_941_600_000_000, 1_078_945_200_000_000));
    let absent = |name: &str| values(&batch, name).iter().filter(|value| value.is_none()).count();
    // The data set: 1683, 366, 8443, 366, 1639.
    assert!((800..3000).contains(&absent("CO(GT)")), "{}", absent("CO(GT)"));
    assert!((150..700).contains(&absent("T")), "{}", absent("T"));
    assert_eq!(absent("T"), absent("C6H6(GT)"), "the sensors fail together");
    assert!((8200..8700).contains(&absent("NMHC(GT)")), "{}", absent("NMHC(GT)"));
    assert!((800..3000).contains(&absent("NOx(GT)")), "{}", absent("NOx(GT)"));
    assert_eq!(absent("NOx(GT)"), absent("NO2(GT)"));
    let nox = values(&batch, "NOx(GT)");
    let nights = |hour: usize, of: &[Option<f64>]| {
        let all = (0..of.len()).filter(|row| (row + 18) % 24 == hour);
        let (absent, count) =
            all.fold((0, 0), |(absent, count), row| (absent + usize::from(of[row].is_none()), count + 1));
        absent as f64 / count as f64
    };
    assert!(nights(3, &nox) > 0.85, "{}", nights(3, &nox));
    assert!(nights(12, &nox) < 0.3, "{}", nights(12, &nox));
    let co = values(&batch, "CO(GT)");
    assert!((0.4..0.8).contains(&nights(4, &co)), "{}", nights(4, &co));
    let above = nox.iter().flatten().filter(|value| **value > 1000.0).count();
    assert!((10..400).contains(&above), "the range check has something to find: {above}");
    let median = |name: &str| {
        let mut present: Vec<f64> = values(&batch, name).into_iter().flatten().collect();
        present.sort_by(f64::total_cmp);
        present[present.len() / 2]
    };
    for (name, low, high) in [("CO(GT)", 1.2, 2.6), ("NOx(GT)", 110.0, 280.0), ("T", 14.0, 22.0), ("RH", 40.0, 60.0)] {
        assert!((low..high).contains(&median(name)), "{name}: {}", median(name));
    }
    for (name, low, high) in [("CO(GT)", 0.0, 50.0), ("C6H6(GT)", 0.0, 100.0), ("T", -20.0, 50.0), ("RH", 0.0, 100.0)] {
        assert!(values(&batch, name).iter().flatten().all(|value| (low..=high).contains(value)), "{name}");
    }
    let rush = |hour: usize| {
        let mean: Vec<f64> = (0..co.len()).filter(|row| (row + 18) % 24 == hour).filter_map(|row| co[row]).collect();
        mean.iter().sum::<f64>() / mean.len() as f64
    };
    assert!(rush(8) > 2.0 * rush(3), "there are rush hours");
}

#[test]
fn stations_take_turns() {
    let (batch, _) = all(json!({ "stations": ["north", "south"], "records": 5, "interval": 60, "timezone": "+01:00" }));
    let key = batch.key().expect("a key");
    let keys: Vec<&str> = (0..5).map(|row| key.value(row)).collect();
    assert_eq!(keys, ["north", "south", "north", "south", "north"]);
    let minutes: Vec<i64> = batch.time().iter().map(|time| (time - batch.time()[0]) / 60_000_000).collect();
    assert_eq!(minutes, [0, 0, 1, 1, 2]);
    assert_eq!(batch.time()[0], 1_078_938_000_000_000, "six in the evening by the station's clock");
    assert_ne!(values(&batch, "T")[0], values(&batch, "T")[1]);
}

#[test]
fn faults_come_at_their_rates_and_dead_letters_hold_their_bytes() {
    let faults = json!({ "bad_timestamp": 0.1, "not_a_number": 0.2, "out_of_range": 0.1 });
    let (batch, dead) = all(json!({ "records": 5000, "faults": faults }));
    assert_eq!(batch.rows() + dead.len(), 5000);
    assert!((400..600).contains(&dead.len()), "{}", dead.len());
    assert!(
        dead.iter()
            .all(|dead_letter| dead_letter.raw.as_ref().is_some_and(|raw| raw.starts_with(b"31/02/2004;25.61.00;")))
    );
    let words: usize = (0..UCI_FIELDS.len())
        .map(|field| {
            let numbers = batch.numbers(field).expect("numbers");
            (0..batch.rows()).filter(|row| numbers.quality_at(*row).tests() & 1 << QcTests::SYNTAX != 0).count()
        })
        .sum();
    assert!((700..1100).contains(&words), "{words}");
    assert!(values(&batch, "RH").contains(&Some(250.0)), "out of range");
}

#[test]
fn the_raw_lines_read_as_the_readings() {
    let (batch, _) = all(json!({ "records": 3000, "faults": { "not_a_number": 0.01 } }));
    let mut csv = format!("Date;Time;{};;\r\n", UCI_FIELDS.join(";")).into_bytes();
    for row in 0..batch.rows() {
        csv.extend_from_slice(batch.raw(row).unwrap_or_default());
        csv.extend_from_slice(b"\r\n");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.csv");
    std::fs::write(&path, csv).expect("writes");
    let options = json!({
        "path": path, "delimiter": ";", "decimal": ",", "missing": [-200], "fields": UCI_FIELDS,
        "timestamp": { "columns": ["Date", "Time"], "format": "%d/%m/%Y %H.%M.%S" },
        "key": { "name": "station", "value": "station-1" },
    });
    let source = aqpipe_engine::stage::Registry::collect().expect("registers");
    let descriptor = source.get(aqpipe_engine::stage::Role::Source, "csv").expect("is registered");
    let Ok(aqpipe_engine::stage::StageConfig::Source(csv)) = descriptor.parse(options) else { panic!("a source") };
    let cx = BuildContext::for_tests().with_raw();
    let mut splits = csv.build(&cx).and_then(|source| source.fit_readers()).expect("opens");
    let (read, dead) = read(&mut *splits[0].1, 8192);
    assert!(dead.is_empty());
    let mut parts = read.into_parts();
    parts.source_offsets = batch.source_offsets().to_vec().into();
    assert_eq!(Batch::new(parts).expect("fits").to_arrow(), batch.to_arrow());
}

#[test]
fn readings_without_end_are_unbounded() {
    let endless = config(json!({ "endless": true }));
    assert!(!endless.boundedness().is_bounded());
    assert!(config(json!({})).boundedness().is_bounded());
    let mut split = SampleSplitReader::new(&endless.settings().expect("good"), false, u64::MAX / 2, None);
    let Ok(Poll::Rows(batch, _)) = split.next(3, Instant::now()) else { panic!("rows") };
    assert_eq!(batch.rows(), 3, "far out too");
}

#[test]
fn options_that_the_schema_lets_through_are_checked() {
    for (options, problem) in [
        (json!({ "records": 0 }), "records: at least 1 record must be generated"),
        (json!({ "records": 5, "endless": true }), "records: `endless` has no number of records"),
        (json!({ "stations": 0 }), "stations: there are 1 to 100000 stations"),
        (json!({ "stations": [] }), "stations: no station is named"),
        (json!({ "stations": ["a", "a"] }), "stations.1: two stations have one name"),
        (json!({ "key": "T" }), "key: the key needs a name that nothing else has"),
        (json!({ "fields": ["CO"] }), "fields.0: there is no field `CO`"),
        (json!({ "start": "today" }), "start: `today` is no time by a clock"),
        (json!({ "timezone": "CET" }), "timezone: `CET` is neither UTC nor a fixed offset"),
        (json!({ "interval": 0 }), "interval: the interval must be at least 1 second"),
        (json!({ "faults": { "bad_timestamp": 1.5 } }), "faults.bad_timestamp: a rate is from 0 to 1"),
    ] {
        let problems = config(options.clone()).check().expect_err("refused");
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect();
        assert_eq!(lines, [problem], "{options}");
    }
    assert!(serde_json::from_value::<SampleSourceConfig>(json!({ "stations": "north" })).is_err());
    let layout = config(json!({ "fields": ["T", "AH"], "key": "site" })).check().expect("good");
    assert_eq!(layout.names().collect::<Vec<_>>(), ["T", "AH"]);
    assert_eq!(layout.key.as_deref(), Some("site"));
}
