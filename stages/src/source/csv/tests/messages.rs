//! Rows that are messages.

use std::sync::Arc;

use aqpipe_engine::record::Kind;

use super::super::message_decoder::{CsvMessageDecoder, CsvMessageTable};
use super::*;
use crate::codec::json::Pushed;
use crate::reading::{KindSample, NumberOptions};

fn decoder(columns: &[&str], more: &Value) -> CsvMessageDecoder {
    let part = |name: &str| more.get(name).cloned().unwrap_or(Value::Null);
    let text = |name: &str| part(name).as_str().map(str::to_owned);
    let table = CsvMessageTable {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        delimiter: text("delimiter").and_then(|text| text.chars().next()),
        quote: text("quote"),
        numbers: NumberOptions { decimal: text("decimal").map_or('.', |_| ','), ..NumberOptions::default() },
        flags: serde_json::from_value(more.get("flags").cloned().unwrap_or(json!({}))).expect("flags"),
        timestamp: serde_json::from_value(more.get("timestamp").cloned().unwrap_or(json!("at"))).expect("a timestamp"),
        timezone: text("timezone"),
        key: more.get("key").map(|key| serde_json::from_value(key.clone()).expect("a key")),
        fields: serde_json::from_value(more.get("fields").cloned().unwrap_or(json!([]))).expect("fields"),
        text_fields: Vec::new(),
        rename: std::collections::BTreeMap::new(),
    };
    CsvMessageDecoder::new(&table.options(&Arc::default(), 0, true).expect("options")).expect("a decoder")
}

fn push(decoder: &mut CsvMessageDecoder, row: &str, key: Option<&str>) -> Result<Pushed, String> {
    decoder.push(0, row.as_bytes(), (key.map(str::as_bytes), Some(0))).map_err(|rejected| rejected.reason)
}

fn numbers(batch: &Batch, name: &str) -> Vec<Option<f64>> {
    let numbers = batch.numbers(batch.fields().index(name).expect("a field")).expect("numbers");
    (0..batch.rows()).map(|row| numbers.get(row)).collect()
}

#[test]
fn a_message_is_one_row_with_or_without_its_line_end_and_keeps_its_bytes() {
    let mut decoder = decoder(&["at", "v", "note"], &json!({ "fields": ["v"] }));
    let rows = ["\u{feff}2024-01-01T00:00:00Z,1,x", "2024-01-01T00:00:00Z,2,\"a,b\"\n", "2024-01-01T00:00:00Z,,x\r\n"];
    for row in rows {
        assert_eq!(push(&mut decoder, row, None), Ok(Pushed::Row), "{row:?}");
    }
    for (row, reason) in [
        ("", "no row"),
        ("2024-01-01T00:00:00Z,1,x\n2024-01-01T01:00:00Z,2,x", "more than one row"),
        ("2024-01-01T00:00:00Z,1", "2 columns"),
        ("2024-01-01T00:00:00Z,1,x,y", "4 columns"),
        ("then,1,x", "`then`"),
        ("2024-01-01T00:00:00Z,1,\"x", "is a quote not closed?"),
        ("2024-01-01T00:00:00Z,1,\"x\n2024-01-01T00:00:00Z,2,x", "is a quote not closed?"),
        ("\"2024-01-01T00:00:00Z,1,x", "is a quote not closed?"),
    ] {
        let found = push(&mut decoder, row, None).expect_err(row);
        assert!(found.contains(reason), "{found} for {row:?}");
    }
    let batch = decoder.take().expect("fits").expect("rows");
    assert_eq!(numbers(&batch, "v"), [Some(1.0), Some(2.0), None]);
    assert_eq!(batch.raw(1), Some(rows[1].trim_end().as_bytes()));
    assert!(decoder.take().expect("fits").is_none());
}

#[test]
fn the_key_may_be_several_columns_or_the_message_s() {
    let joined = json!({ "key": { "columns": ["a", "b"], "name": "station" } });
    let mut rows = decoder(&["at", "a", "b", "v"], &joined);
    for row in [
        "2024-01-01T00:00:00Z,x,1,1",
        "2024-01-01T00:00:00Z,x,,2",
        "2024-01-01T00:00:00Z,,NA,3",
        "2024-01-01T00:00:00Z,,,4",
    ] {
        assert_eq!(push(&mut rows, row, Some("not this")), Ok(Pushed::Row));
    }
    let keys = |batch: &Batch| batch.key().expect("keys").iter().map(|key| key.map(str::to_owned)).collect::<Vec<_>>();
    let batch = rows.take().expect("fits").expect("rows");
    assert_eq!(keys(&batch), [Some("x-1".to_owned()), Some("x-".to_owned()), Some("-NA".to_owned()), None]);

    let mut rows = decoder(&["at", "v"], &json!({ "key": { "from": "message", "name": "station" } }));
    for key in [Some("n"), None, Some("")] {
        assert_eq!(push(&mut rows, "2024-01-01T00:00:00Z,1", key), Ok(Pushed::Row));
    }
    let reason = rows.push(0, b"2024-01-01T00:00:00Z,1", (Some(b"\xff"), None)).expect_err("no text").reason;
    assert!(reason.contains("UTF-8"), "{reason}");
    assert_eq!(keys(&rows.take().expect("fits").expect("rows")), [Some("n".to_owned()), None, None]);
}

#[test]
fn an_hour_that_comes_twice_goes_by_the_key_of_the_message_and_after_a_restart() {
    let options = || json!({ "key": { "from": "message" }, "timezone": "Europe/Rome" });
    let mut rows = decoder(&["at", "v"], &options());
    for key in ["a", "b", "a"] {
        assert_eq!(push(&mut rows, "2024-10-27 02:30:00,1", Some(key)), Ok(Pushed::Row));
    }
    let offsets = |batch: &Batch| batch.utc_offset().to_vec();
    assert_eq!(offsets(&rows.take().expect("fits").expect("rows")), [120, 120, 60]);
    let mut again = decoder(&["at", "v"], &options());
    again.restore(&rows.snapshot_state().expect("saved")).expect("restored");
    assert_eq!(push(&mut again, "2024-10-27 02:30:00,1", Some("b")), Ok(Pushed::Row));
    assert_eq!(offsets(&again.take().expect("fits").expect("rows")), [60]);
    assert!(again.needs_time(1_729_992_600_000_000) && !again.needs_time(0));
    let mut zoneless = decoder(&["at", "v"], &json!({}));
    assert!(push(&mut zoneless, "2024-10-27 02:30:00,1", None).expect_err("no clock").contains("no `timezone`"));
}

#[test]
fn the_time_may_be_the_message_s() {
    let mut rows = decoder(&["v"], &json!({ "timestamp": { "from": "message" } }));
    assert_eq!(rows.push(0, b"1", (None, Some(1_500))).map_err(|rejected| rejected.reason), Ok(Pushed::Row));
    assert_eq!(rows.take().expect("fits").expect("rows").time()[0], 1_500_000);
    assert!(rows.push(0, b"1", (None, None)).expect_err("no time").reason.contains("no time"));
    assert!(rows.needs_time(0));
    assert_eq!((rows.push(0, b"1,2", (None, Some(7))).is_err(), rows.time_of_message()), (true, Some((7_000, 0))));
}

#[test]
fn a_message_without_a_value_is_a_row_where_it_has_its_time_from_elsewhere() {
    let from_message = json!({ "fields": ["a"], "timestamp": { "from": "message" } });
    for (columns, rows) in [(&["a"][..], &["", " ", "\n", "\"\""][..]), (&["a", "b"], &[",", " , \r\n"])] {
        let mut decoder = decoder(columns, &from_message);
        for row in rows {
            assert_eq!(push(&mut decoder, row, None), Ok(Pushed::Row), "{row:?}");
        }
        assert_eq!(numbers(&decoder.take().expect("fits").expect("rows"), "a"), vec![None; rows.len()]);
    }
    let mut two = decoder(&["a", "b"], &from_message);
    assert!(push(&mut two, "", None).is_err_and(|reason| reason.contains("no row")));
    let mut timed = decoder(&["at", "a"], &json!({ "fields": ["a"] }));
    assert!(push(&mut timed, ",", None).is_err_and(|reason| reason.contains("`at`")));
}

#[test]
fn a_message_that_is_no_row_is_told_in_words_for_messages() {
    let mut rows = decoder(&["at", "v", "w"], &json!({ "fields": ["v", "w"] }));
    for (row, reason) in [
        ("at,v,w\n2024-01-01T00:00:00Z,1,2\n", "leave the names away"),
        (",at,v,w\n0,2024-01-01T00:00:00Z,1,2\n", "leave the names away"),
        ("at,v,w", "names of columns, and no row"),
        ("2024-01-01T00:00:00Z;1;2", "and `columns` 3: it seems to be split by `;`: set delimiter = \";\""),
        (",,", "`at` is ``"),
    ] {
        let found = push(&mut rows, row, None).expect_err(row);
        assert!(found.contains(reason) && !found.contains("file") && !found.contains("header"), "{found} for {row:?}");
    }
    // Cells without a value are cells.
    let of_message = json!({ "timestamp": { "from": "message" }, "fields": ["v"] });
    for (columns, row) in [(&["v", "w"][..], ","), (&["v"], ""), (&["v"], "\n")] {
        let mut rows = decoder(columns, &of_message);
        assert_eq!(push(&mut rows, row, None), Ok(Pushed::Row), "{row:?}");
        assert_eq!(numbers(&rows.take().expect("fits").expect("rows"), "v"), [None]);
    }
}

#[test]
fn a_sample_of_messages_decides_the_kinds_of_columns() {
    let mut decoder = decoder(&["at", "a", "b", "c", "d"], &json!({}));
    assert!(decoder.wants_sample());
    let mut sample = KindSample::default();
    let rows = [
        "2024-03-01T00:00:00Z,offline,1,7,\"2,5\"",
        "never,2.5,low,007,\"3,5\"",
        "x",
        "2024-03-01T01:00:00Z,3,high,8,NA",
    ];
    for (place, row) in rows.iter().enumerate() {
        decoder.sample(row.as_bytes(), &format!("t/0@{place}"), &mut sample);
    }
    let said: Vec<String> = decoder.decide_kinds(sample).into_iter().map(|(_, said)| said).collect();
    assert_eq!(
        said,
        ["`b` is text: `low` at t/0@1 is no number", "`c` is text: `007` at t/0@1 is a code and no number"]
    );
    // `d` has decimal commas: its cells fail, so that `decimal` can be named.
    for row in [rows[0], rows[3]] {
        assert_eq!(push(&mut decoder, row, None), Ok(Pushed::Row));
    }
    let batch = decoder.take().expect("fits").expect("rows");
    let kinds: Vec<Kind> = batch.fields().list.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::Text, Kind::Text, Kind::Number]);
    assert_eq!(numbers(&batch, "a"), [None, Some(3.0)]);
}
