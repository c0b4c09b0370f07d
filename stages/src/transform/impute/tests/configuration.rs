//! What the configuration refuses, in the schema and beyond it.

use serde_json::{Value, json};

use super::config;
use crate::testing::{number_fields, problems, schema_takes};

fn says(table: Value) -> Vec<String> {
    problems("impute", table, &number_fields(&["CO", "T"]))
}

#[test]
fn a_key_of_another_method_is_refused_by_the_check_and_by_the_schema() {
    let values = [
        ("limit", json!(3)),
        ("max_gap", json!(60.0)),
        ("max_age", json!(60.0)),
        ("by", json!("records")),
        ("over", json!("expanding")),
        ("window", json!(3)),
        ("value", json!(1.0)),
        ("values", json!({ "CO": 1.0 })),
    ];
    let takes = [
        ("forward_fill", &["limit", "max_gap", "max_age"][..]),
        ("backward_fill", &["limit", "max_gap", "max_age"]),
        ("interpolate", &["limit", "max_gap", "by"]),
        ("median", &["over", "window"]),
        ("constant", &["value", "values"]),
    ];
    for (method, keys) in takes {
        for (key, value) in &values {
            let table = json!({ "steps": [{ "method": method, *key: value }] });
            let taken = keys.contains(key);
            assert_eq!(schema_takes("impute", &table), taken, "the schema: {method} and {key}");
            let misplaced = format!("steps.0.{key}: the method `{method}` takes no `{key}`");
            assert_eq!(!says(table).contains(&misplaced), taken, "the check: {method} and {key}");
        }
    }
}

#[test]
fn steps_that_cannot_be_are_problems_at_their_place() {
    let step = |step: Value| says(json!({ "steps": [step] }));
    assert_eq!(step(json!({ "method": "constant" })), ["steps.0: the method `constant` needs a value"]);
    let both = step(json!({ "method": "median", "over": "all", "window": 3 }));
    assert_eq!(both, ["steps.0.over: a median is taken over either `over` or `window`"]);
    let unknown = step(json!({ "method": "constant", "values": { "COO": 1.0 } }));
    assert_eq!(unknown, ["steps.0.values.COO: there is no field `COO` here: no stage before this one has it"]);
    let steps = json!([{ "method": "median" }]);
    let twice = says(json!({ "steps": steps, "fields": ["CO"], "exclude": ["T"] }));
    assert_eq!(twice, ["exclude: `fields` and `exclude` exclude each other"]);
    let unknown = says(json!({ "steps": steps, "exclude": ["T", "RH"] }));
    assert_eq!(unknown, ["exclude.1: there is no field `RH` here: no stage before this one has it"]);
}

#[test]
fn the_schema_refuses_what_has_no_meaning() {
    let takes = |step: Value| schema_takes("impute", &json!({ "steps": [step] }));
    assert!(takes(json!({ "method": "forward_fill", "limit": 1, "max_gap": 0.5 })));
    assert!(!takes(json!({ "method": "forward_fill", "limit": 0 })));
    assert!(!takes(json!({ "method": "forward_fill", "max_age": 0 })));
    assert!(!takes(json!({ "method": "median", "window": 0 })));
    assert!(!takes(json!({ "method": "ffill" })));
    assert!(!schema_takes("impute", &json!({ "steps": [] })));
    let steps = json!([{ "method": "median" }]);
    assert!(!schema_takes("impute", &json!({ "steps": steps, "max_held": 0 })));
    assert!(!schema_takes("impute", &json!({ "steps": steps, "max_wait_secs": 0 })));
}

#[test]
fn only_a_median_over_everything_asks_for_a_fit_and_names_what_to_use_instead() {
    let asks = |steps: Value| config(&steps).requires_bounded();
    assert!(asks(json!([{ "method": "median", "window": 3 }])).is_none());
    assert!(asks(json!([{ "method": "median", "over": "expanding" }])).is_none());
    for step in [json!({ "method": "median" }), json!({ "method": "median", "over": "all" })] {
        let problem = asks(json!([{ "method": "forward_fill" }, step])).expect("asks");
        assert_eq!(problem.path, ["steps", "1"]);
        let help = problem.help.unwrap_or_default();
        assert!(["window", "expanding", "constant"].iter().all(|word| help.contains(word)), "{help}");
    }
}
