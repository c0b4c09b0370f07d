//! What the options do, and which of them are refused.

use aqpipe_engine::record::Kind;
use aqpipe_engine::stage::SourceConfig as _;

use aqpipe_engine::stage::{Boundedness, Repeat};

use super::*;

#[test]
fn fields_are_selected_ordered_and_renamed() {
    let csv = b"timestamp,CO_GT,note,T\n2004-03-10,1,dry,2\n";
    let options = json!({ "fields": ["T", "CO(GT)"], "rename": { "CO_GT": "CO(GT)" } });
    assert_eq!(read(csv, options).values(), ["T=2 CO(GT)=1"]);
    let options = json!({ "fields": ["CO_GT"], "text_fields": ["T", "note"] });
    assert_eq!(read(csv, options).values(), ["CO_GT=1 T=\"2\" note=\"dry\""]);
    assert_eq!(read(csv, json!({})).values(), ["CO_GT=1 note=\"dry\" T=2"]);
}

#[test]
fn a_column_may_be_the_key() {
    let csv = b"timestamp,site,a\n2004-03-10, north ,1\n2004-03-10,,2\n2004-03-10,south,3\n";
    let options = json!({ "key": { "column": "site", "name": "station" } });
    assert_eq!(read(csv, options).values(), ["[north] a=1", "[-] a=2", "[south] a=3"]);
}

#[test]
fn columns_can_be_named_where_the_file_does_not() {
    let options = json!({ "columns": ["timestamp", "", "a"] });
    assert_eq!(read(b"\xef\xbb\xbf2004-03-10,9,1\n2004-03-11,9,2\n", options.clone()).values(), ["a=1", "a=2"]);
    assert_eq!(read(b"", options.clone()).values(), [""; 0], "an empty file has no records");
    let skipped = with(options, json!({ "header": true }));
    assert_eq!(read(b"time,x,y\n2004-03-10,9,1\n", skipped).values(), ["a=1"]);
}

#[test]
fn quotes_can_be_others_or_none() {
    let csv = b"timestamp;a\n2004-03-10;'x;\"y'\n";
    assert_eq!(read(csv, json!({ "delimiter": ";", "quote": "'" })).values(), ["a=\"x;\\\"y\""]);
    let csv = b"timestamp\ta\n2004-03-10\t\"x\n";
    assert_eq!(read(csv, json!({ "delimiter": "\t", "quote": "" })).values(), ["a=\"\\\"x\""]);
}

#[test]
fn declared_fields_are_all_there_are_and_others_may_come_otherwise() {
    let declared = config(json!({ "path": "x", "fields": ["a"], "text_fields": ["b"] })).check().expect("good");
    let kinds: Vec<_> = declared.list.iter().map(|field| (&*field.name, field.kind)).collect();
    assert_eq!(kinds, [("a", Kind::Number), ("b", Kind::Text)]);
    assert!(!declared.open);
    let undeclared = config(json!({ "path": "x", "key": { "column": "site" } })).check().expect("good");
    assert!(undeclared.open && undeclared.list.is_empty());
    assert_eq!(undeclared.key.as_deref(), Some("site"));
}

#[test]
fn the_fields_of_the_file_are_known_before_its_first_row() {
    let files = Files::one(b"timestamp,a,b,c\n");
    let cx = BuildContext::for_tests().with_numeric_fields(["b"]);
    let options = files.options("a.csv", json!({ "text_fields": ["c"] }));
    let fields = built(options, &cx).and_then(|source| source.fields()).expect("reads").expect("known");
    let kinds: Vec<_> = fields.list.iter().map(|field| (&*field.name, field.kind)).collect();
    assert_eq!(kinds, [("a", Kind::Unknown), ("b", Kind::Number), ("c", Kind::Text)]);
    assert!(!fields.open);
}

#[test]
fn options_that_the_schema_lets_through_are_checked() {
    for (options, problem) in [
        (json!({ "delimiter": "é" }), "delimiter: the delimiter must be an ASCII character that no number has"),
        (json!({ "delimiter": "5" }), "delimiter: the delimiter must be an ASCII character that no number has"),
        (json!({ "delimiter": "." }), "delimiter: the delimiter must not be the decimal mark"),
        (json!({ "decimal": ",", "quote": "" }), "decimal: the delimiter must not be the decimal mark"),
        (json!({ "quote": "," }), "quote: the quote must not be the delimiter"),
        (json!({ "quote": "''" }), "quote: the quote must be one ASCII character, or empty"),
        (json!({ "decimal": ";" }), "decimal: the decimal mark must be \".\" or \",\""),
        (json!({ "header": false }), "header: without a header, `columns` must name the columns"),
        (json!({ "columns": ["timestamp", "a", "a"] }), "columns.2: `a` is named twice"),
        (json!({ "columns": ["time", "a"] }), "columns: `columns` has no `timestamp`"),
        (json!({ "columns": ["timestamp"], "fields": ["a"] }), "fields.0: `columns` has no `a`"),
        (json!({ "timezone": "Europe/Roma" }), "timezone: there is no time zone `Europe/Roma`"),
        (
            json!({ "timestamp": { "column": "a", "columns": ["b"] } }),
            "timestamp.columns: `column` and `columns` exclude each other",
        ),
        (json!({ "key": {} }), "key: the key says neither its `column` nor its `value`"),
        (json!({ "key": { "value": "x" } }), "key: a key with a `value` needs a `name`"),
        (json!({ "key": { "value": "x", "column": "y" } }), "key: a key is a `column` or a `value`, not both"),
        (
            json!({ "fields": ["timestamp"] }),
            "fields.0: `timestamp` is a column of the timestamp and cannot be a field as well",
        ),
        (json!({ "fields": ["a", "a"] }), "fields.1: `a` is named twice"),
        (
            json!({ "fields": ["s"], "key": { "column": "s" } }),
            "fields.0: `s` is the key and cannot be a field as well",
        ),
        (json!({ "rename": { "a": "x", "b": "x" } }), "rename.b: two columns would be called `x`"),
        (json!({ "quote": "\"", "delimiter": "\"" }), "delimiter: the quote must not be the delimiter"),
        (json!({ "fields": ["a"], "rename": { "a": "b" } }), "fields.0: `rename` calls the column `a` something else"),
        (
            json!({ "fields": ["b"], "timestamp": "a", "rename": { "a": "b" } }),
            "timestamp: `rename` calls the column `a` something else",
        ),
        (
            json!({ "fields": ["a"], "key": { "column": "s" }, "rename": { "s": "a" } }),
            "key.column: `rename` calls the column `s` something else",
        ),
        (
            json!({ "timestamp": "t", "rename": { "a": "timestamp" } }),
            "rename.a: `timestamp` is reserved for the time of a record",
        ),
        (
            json!({ "columns": ["t", "a"], "timestamp": "t", "rename": { "a": "t" } }),
            "rename.a: two columns would be called `t`, for `columns` has one",
        ),
        (json!({ "columns": ["timestamp", "a"], "rename": { "b": "x" } }), "rename.b: `columns` has no `b`"),
        (
            json!({ "columns": ["timestamp", "a", "q"], "flags": { "b": { "column": "q", "good": [1] } } }),
            "flags.b: `columns` has no `b`",
        ),
        (
            json!({ "flags": { "timestamp": { "column": "q", "good": [1] } } }),
            "flags.timestamp: `timestamp` is a column of the timestamp and cannot be a field as well",
        ),
        (
            json!({ "flags": { "a": { "column": "q", "good": [1], "fail": ["1"] } } }),
            "flags.a.fail.0: this code is in `good` already",
        ),
        (json!({ "replay": { "speed": 0.0 } }), "replay.speed: the speed must be above 0"),
        (
            json!({ "replay": { "interval_secs": -1.0 } }),
            "replay.interval_secs: the interval must be 0 or more seconds",
        ),
        (json!({ "max_records": 0 }), "max_records: at least 1 record must be read"),
        (json!({ "path": "" }), "path: the path is empty"),
    ] {
        let options = with(json!({ "path": "x.csv" }), options);
        assert_eq!(problems(options.clone()), [problem], "{options}");
    }
    let format = problems(json!({ "path": "x", "timestamp": { "column": "t", "format": "%d/%m %H" } }));
    assert!(
        format[0].starts_with("timestamp.format: `%d/%m %H` is not a format that times can be read by: "),
        "{format:?}"
    );
}

#[test]
fn what_has_no_effect_is_warned_of_and_names_may_be_swapped() {
    let warnings = |options: Value| -> Vec<String> {
        let config = config(with(json!({ "path": "x.csv" }), options));
        config.check().expect("it can be run");
        config.warnings().iter().map(|problem| format!("{}: {}", problem.path.join("."), problem.message)).collect()
    };
    let unused = json!({ "fields": ["NO2"], "rename": { "no2": "NO_2", "time": "timestamp" } });
    assert_eq!(warnings(unused), ["rename.no2: no option asks for `NO_2`: the column is not read"]);
    let swapped = json!({ "columns": ["timestamp", "a", "b"], "fields": ["a", "b"], "rename": { "a": "b", "b": "a" } });
    assert_eq!(warnings(swapped), [""; 0]);
    assert_eq!(warnings(json!({ "timestamp": { "column": "t", "ambiguous": "later" } })).len(), 1);
}

#[test]
fn columns_that_are_named_are_all_there_are() {
    let options = json!({ "path": "x", "columns": ["timestamp", "a", "", "s"], "key": { "column": "s" } });
    let fields = config(options).check().expect("good");
    assert!(!fields.open && fields.names().eq(["a"]));
}

#[test]
fn a_replay_is_the_engines_to_pace() {
    let options = json!({ "path": "x", "replay": { "speed": 3600.0, "interval_secs": 2.0, "records_per_step": 3 } });
    let pace = config(options).pace().expect("a replay");
    assert_eq!((pace.speed, pace.interval, pace.records_per_step), (3600.0, Some(Duration::from_secs(2)), Some(3)));
    let plain = config(json!({ "path": "x" }));
    assert!(plain.pace().is_none() && plain.boundedness() == Boundedness::Bounded { rerun: Repeat::Changed });
}
