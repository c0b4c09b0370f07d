//! Fills against what pandas 3.1 gives for the same columns.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{column, run};
use crate::testing::{HOUR, START, batch, timed};

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Vec<Option<f64>>,
    /// `ffill(limit=3)`.
    forward: Vec<Option<f64>>,
    /// `bfill(limit=3)`.
    backward: Vec<Option<f64>>,
    /// `ffill(limit=3).bfill(limit=3)`.
    forward_backward: Vec<Option<f64>>,
    /// The same, then `fillna(median)`.
    chain: Vec<Option<f64>>,
    /// `interpolate(limit=3, limit_area="inside")`.
    interpolated: Vec<Option<f64>>,
}

fn assert_same(steps: &Value, expected: impl Fn(&Case) -> &[Option<f64>]) {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../../tests/fixtures/fills.json")).expect("reads");
    assert!(cases.len() >= 15);
    for case in &cases {
        for size in [1, 2, 3, 5, 100] {
            let whole = batch(&[("x", &case.input)]);
            let starts = (0..case.input.len()).step_by(size);
            let batches = starts.map(|from| whole.slice(from, size.min(case.input.len() - from))).collect();
            assert_eq!(column(&run(steps, batches), "x"), expected(case), "{} in batches of {size}", case.name);
        }
    }
}

#[test]
fn forward_fill_is_that_of_pandas() {
    assert_same(&json!([{ "method": "forward_fill", "limit": 3 }]), |case| &case.forward);
}

#[test]
fn backward_fill_is_that_of_pandas() {
    assert_same(&json!([{ "method": "backward_fill", "limit": 3 }]), |case| &case.backward);
}

#[test]
fn forward_then_backward_fill_is_that_of_pandas() {
    let steps = json!([{ "method": "forward_fill", "limit": 3 }, { "method": "backward_fill", "limit": 3 }]);
    assert_same(&steps, |case| &case.forward_backward);
}

#[test]
fn the_chain_that_ships_is_that_of_pandas() {
    let steps = json!([
        { "method": "forward_fill", "limit": 3 },
        { "method": "backward_fill", "limit": 3 },
        { "method": "median" },
    ]);
    assert_same(&steps, |case| &case.chain);
}

#[test]
fn interpolation_by_records_is_that_of_pandas_inside() {
    assert_same(&json!([{ "method": "interpolate", "limit": 3, "by": "records" }]), |case| &case.interpolated);
}

#[test]
fn interpolation_by_time_is_that_of_pandas() {
    // `Series([10, nan, 40, nan, 52, nan, nan, 46], index=…).interpolate(method="time", limit_area="inside")`
    let minutes = [0, 150, 180, 185, 240, 250, 270, 300];
    let times = minutes.map(|minute| START + minute * HOUR / 60);
    let cells = [Some(10.0), None, Some(40.0), None, Some(52.0), None, None, Some(46.0)];
    let out = run(&json!([{ "method": "interpolate" }]), vec![timed(&times, None, &[("x", &cells)])]);
    let expected = [10.0, 35.0, 40.0, 41.0, 52.0, 51.0, 49.0, 46.0];
    assert_eq!(column(&out, "x"), expected.map(Some));
}
