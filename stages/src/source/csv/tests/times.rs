//! Times of rows: how they are written, whose clock they are by, and what is said of those that are refused.

use std::sync::Arc;

use aqpipe_engine::record::Position;
use aqpipe_engine::stage::{SourceConfig as _, SplitState};

use super::super::column_plan::ColumnPlan;
use super::super::row_decoder::RowDecoder;
use super::super::snapshot::SplitSnapshot;
use super::*;

/// The night on which the clock of Rome is put back, hourly, of two stations.
const NIGHT: &str = "time,site,T\n\
    31/10/2004 01:00,n,1\n31/10/2004 01:00,s,1\n31/10/2004 02:00,n,2\n31/10/2004 02:00,s,2\n\
    31/10/2004 02:00,n,3\n31/10/2004 02:00,s,3\n31/10/2004 03:00,n,4\n31/10/2004 03:00,s,4\n";

fn rome() -> Value {
    json!({
        "timestamp": { "column": "time", "format": "%d/%m/%Y %H:%M" }, "timezone": "Europe/Rome",
        "key": { "column": "site" }, "fields": ["T"],
    })
}

/// The times, written out.
fn times(read: &Read) -> Vec<String> {
    let time = |row: &String| {
        let mut parts = row.split(' ');
        let offset: i16 = parts.nth(1).expect("an offset").parse().expect("minutes");
        let seconds: i64 = parts.next().expect("a time").parse().expect("seconds");
        let mut out = Vec::new();
        crate::codec::text::write_timestamp(&mut out, seconds * 1_000_000, offset);
        String::from_utf8(out).expect("ASCII")
    };
    read.rows.iter().map(time).collect()
}

#[test]
fn seconds_since_1970_are_times_with_their_fraction() {
    let csv = b"ts,pm1\n1711843200,3.1\n1711843260,3.0\n1711843320.5,2.9\n";
    for format in ["%s", "%s%.f", "unix"] {
        let read = read(csv, json!({ "timestamp": { "column": "ts", "format": format }, "fields": ["pm1"] }));
        assert!(read.dead.is_empty(), "{:?}", read.dead);
        assert_eq!(times(&read), ["2024-03-31T00:00:00Z", "2024-03-31T00:01:00Z", "2024-03-31T00:02:00Z"], "{format}");
    }
    let files = Files::one(csv);
    let options = files.options("a.csv", json!({ "timestamp": { "column": "ts", "format": "%s" } }));
    let mut split = split(options, &BuildContext::for_tests()).expect("opens");
    let (batch, _) = next(&mut *split, 10).expect("reads").expect("rows");
    assert_eq!(batch.time()[2], 1_711_843_320_500_000, "nothing is dropped");
}

#[test]
fn hour_24_of_a_compact_time_is_the_next_day() {
    let csv = b"code,when,SO2\n900017,2019110523,0.003\n900017,2019110524,0.003\n900017,2019110601,0.004\n";
    let options = json!({
        "timestamp": { "column": "when", "format": "%Y%m%d%H" }, "timezone": "+09:00",
        "key": { "name": "station", "column": "code" }, "fields": ["SO2"],
    });
    let read = read(csv, options);
    let expected = ["2019-11-05T23:00:00+09:00", "2019-11-06T00:00:00+09:00", "2019-11-06T01:00:00+09:00"];
    assert_eq!((times(&read), read.dead.len()), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn times_that_mark_the_end_of_their_hour_are_moved_to_its_beginning() {
    let csv = b"Date,Time,pm10\n01/01/2020,01:00,44.4\n01/01/2020,02:00,37.7\n01/01/2020,24:00,22.2\n";
    let timestamp =
        json!({ "columns": ["Date", "Time"], "format": "%d/%m/%Y %H:%M", "marks": "end", "interval": "1h" });
    let read = read(csv, json!({ "timestamp": timestamp }));
    assert_eq!(times(&read), ["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "2020-01-01T23:00:00Z"]);
}

#[test]
fn a_string_is_the_name_of_the_column() {
    let read = read(b"when,a\n2004-03-10 18:00 +0100,1\n", json!({ "timestamp": "when" }));
    assert_eq!(times(&read), ["2004-03-10T18:00:00+01:00"]);
    let unknown = problems(json!({ "path": "x", "columns": ["a"], "timestamp": "when" }));
    assert_eq!(unknown, ["timestamp: `columns` has no `when`"]);
}

#[test]
fn hours_that_come_twice_go_by_the_order_of_records_of_their_key_and_those_that_never_come_are_dead_letters() {
    let read_night = read(NIGHT.as_bytes(), rome());
    let hours = ["01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00"];
    let expected: Vec<String> =
        hours.iter().flat_map(|hour| [hour; 2]).map(|hour| format!("2004-10-31T{hour}")).collect();
    assert_eq!(times(&read_night), expected);
    let spring = read(b"time,site,T\n28/03/2004 02:00,n,1\n28/03/2004 03:00,n,2\n", rome());
    assert_eq!(times(&spring), ["2004-03-28T03:00:00+02:00"]);
    let reason = spring.reasons()[0].to_owned();
    assert!(
        reason.starts_with("`time` is `28/03/2004 02:00`, which does not exist: the clock of Europe/Rome"),
        "{reason}"
    );
}

#[test]
fn a_split_that_goes_on_anywhere_decides_as_before() {
    let files = Files::one(NIGHT.as_bytes());
    let config = Arc::new(config(files.options("a.csv", rome())));
    let header: Vec<String> = ["time", "site", "T"].map(str::to_owned).to_vec();
    let decoder = || {
        let plan = ColumnPlan::new(&header, &config, &Default::default()).expect("a plan");
        RowDecoder::new(&config, plan, 0, false).expect("a decoder")
    };
    let cx = BuildContext::for_tests();
    let whole = read_all(&mut *split(files.options("a.csv", rome()), &cx).expect("opens"), 100).expect("reads");
    let lines: Vec<&str> = NIGHT.lines().skip(1).collect();
    for size in [1, 3, 100] {
        let mut reader = split(files.options("a.csv", rome()), &cx).expect("opens");
        while let Some((batch, _)) = next(&mut *reader, size).expect("reads") {
            // A checkpoint may lie before any row of the batch, where rows wait to be released.
            for row in 0..batch.rows() {
                let at = Position { offset: batch.source_offsets()[row], records: 0 };
                let start = SplitState {
                    position: at,
                    reader: reader.snapshot_state(at).expect("carries"),
                    ..SplitState::default()
                };
                let snapshot = SplitSnapshot::from_state("x", &start).expect("reads");
                let mut later = decoder();
                assert!(later.times().restore(&snapshot.times));
                let first =
                    whole.rows.iter().position(|line| line.starts_with(&format!("{} ", at.offset))).expect("a row");
                for (line, expected) in lines[first..].iter().zip(times(&whole)[first..].iter()) {
                    let mut cells = line.split(',');
                    let (time, key) = (cells.next().expect("a time"), cells.next().expect("a key"));
                    let found = later.times().read(time.as_bytes(), || key.as_bytes()).expect("a time");
                    later.times().taken(0);
                    let mut out = Vec::new();
                    crate::codec::text::write_timestamp(&mut out, found.0, found.1);
                    assert_eq!(String::from_utf8(out).expect("ASCII"), *expected, "{line} from {first}");
                }
            }
        }
    }
}

#[test]
fn a_dead_letter_keeps_a_time_that_its_row_does_not_say() {
    let files = Files::one(NIGHT.as_bytes());
    let options = files.options("a.csv", rome());
    let mut reader = split(options.clone(), &BuildContext::for_tests().with_raw()).expect("opens");
    let (batch, _) = next(&mut *reader, 100).expect("reads").expect("rows");
    let config = config(options);
    let mut again = config.dead_letter_decoder(&BuildContext::for_tests()).expect("builds").expect("can");
    let mut with_time = 0;
    for row in 0..batch.rows() {
        let letter = DeadLetter::of_row(&batch, row, "for a reason");
        let schema = reader.raw_schema(&letter).expect("a schema");
        with_time += usize::from(schema.contains("\"time\":["));
        let raw = letter.raw.as_deref().expect("its bytes");
        let decoded = again.decode(7, raw, Some(&schema)).expect("decodes").expect("a row");
        assert_eq!((decoded.time()[0], decoded.utc_offset()[0]), (batch.time()[row], batch.utc_offset()[row]));
    }
    assert_eq!(with_time, 4, "the hour that comes twice, and no other");
}

#[test]
fn a_refused_timestamp_says_what_would_read_it() {
    let csv = b"time,a\n03/25/2004 10:00,1\n03/26/2004 11:00,2\n";
    let read = read(csv, json!({ "timestamp": { "column": "time", "format": "%d/%m/%Y %H:%M" } }));
    assert_eq!(
        read.reasons()[0],
        "`time` is `03/25/2004 10:00`, which is not a time of the format `%d/%m/%Y %H:%M`: there is no such date; \
         `format = \"%m/%d/%Y %H:%M\"` reads it"
    );
}
