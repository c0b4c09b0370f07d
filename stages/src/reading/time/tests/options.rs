//! The option `timestamp`: what it takes, and what it refuses.

use aqpipe_engine::stage::Problem;

use super::super::Cells;
use super::*;

fn problems(timestamp: Value, cells: Cells) -> Vec<String> {
    let options: TimestampOptions = serde_json::from_value(timestamp).expect("fits its type");
    let line = |problem: &Problem| format!("{}: {}", problem.path.join("."), problem.message);
    options.check(cells, Some(&Zone::Fixed(0))).iter().map(line).collect()
}

#[test]
fn a_name_stands_for_a_column_or_a_property() {
    for (timestamp, names) in [
        (json!("when"), &["when"][..]),
        (json!({}), &["timestamp"]),
        (json!({ "column": "a" }), &["a"]),
        (json!({ "columns": ["a", "b"] }), &["a", "b"]),
        (json!({ "path": "a" }), &["a"]),
        (json!({ "paths": ["a", "b"] }), &["a", "b"]),
        (json!({ "from": "message" }), &[]),
    ] {
        let options: TimestampOptions = serde_json::from_value(timestamp.clone()).expect("fits its type");
        assert_eq!(options.names(), names, "{timestamp}");
        assert_eq!(options.is_of_message(), names.is_empty());
    }
    for wrong in [json!(5), json!(["a"]), json!({ "coloumn": "a" }), json!({ "format": 5 }), json!({ "from": "key" })] {
        assert!(serde_json::from_value::<TimestampOptions>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn what_does_not_fit_a_source_or_says_nothing_is_refused() {
    use Cells::{Columns, ColumnsOfMessages, Properties};
    for (timestamp, cells, problem) in [
        (json!({ "path": "a" }), Columns, "timestamp.path: `path` does not fit this source"),
        (json!({ "from": "message" }), Columns, "timestamp.from: `from` does not fit this source"),
        (json!({ "column": "a" }), Properties, "timestamp.column: `column` does not fit this source"),
        (
            json!({ "column": "a", "columns": ["b"] }),
            Columns,
            "timestamp.columns: `column` and `columns` exclude each other",
        ),
        (json!({ "from": "message", "path": "b" }), Properties, "timestamp.from: `path` and `from` exclude each other"),
        (
            json!({ "from": "message", "format": "unix" }),
            ColumnsOfMessages,
            "timestamp.format: the time of a message is no text that has a format",
        ),
        (
            json!({ "columns": ["a", "b"], "format": "unix" }),
            Columns,
            "timestamp.format: `unix` is one number, and `columns` are several texts with blanks between them",
        ),
        (
            json!({ "paths": ["a", "b"], "format": ["iso8601", "unix_ms"] }),
            Properties,
            "timestamp.format.1: `unix_ms` is one number, and `paths` are several texts with blanks between them",
        ),
        (json!({ "marks": "end" }), Columns, "timestamp.marks: `marks` needs the `interval` that times stand for"),
        (json!({ "interval": "1h" }), Columns, "timestamp.interval: `interval` needs `marks`"),
        (
            json!({ "ambiguous": "later" }),
            Columns,
            "timestamp.ambiguous: a clock with a fixed offset shows no time twice",
        ),
        (
            json!({ "format": ["unix", "%d"] }),
            Columns,
            "timestamp.format.1: `%d` is not a format that times can be read by: it has no year (`%Y`)",
        ),
    ] {
        assert_eq!(problems(timestamp.clone(), cells), [problem], "{timestamp}");
    }
    let options: TimestampOptions = serde_json::from_value(json!({ "format": "unix-ms" })).expect("fits");
    let problem = &options.check(Columns, None)[0];
    assert_eq!(problem.label.as_deref(), Some("did you mean `unix_ms`?"));
}

#[test]
fn the_schema_takes_what_the_type_takes() {
    let schema = schemars::SchemaGenerator::default().root_schema_for::<TimestampOptions>();
    let validator = jsonschema::validator_for(&serde_json::to_value(schema).expect("a schema")).expect("is a schema");
    for (value, fits) in [
        (json!("when"), true),
        (json!(""), false),
        (json!({}), true),
        (json!({ "column": "a", "format": "%F" }), true),
        (json!({ "paths": ["a", "b"], "format": ["unix", "rfc3339"], "marks": "end", "interval": "1h" }), true),
        (json!({ "format": [] }), false),
        (json!({ "other": 1 }), false),
        (json!({ "from": "key" }), false),
        (json!(5), false),
    ] {
        assert_eq!(validator.is_valid(&value), fits, "{value}");
    }
}
