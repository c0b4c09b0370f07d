//! Tests of the score.

use std::sync::Arc;

use aqpipe_engine::record::{Batch, CellQuality, Column, Field, Fields, Flag, Numbers, Provenance};
use aqpipe_engine::stage::{BuildContext, Transform};
use serde_json::json;

use crate::testing::{apply_one, batch, number_fields, problems, schema_takes, transform};

fn build(table: serde_json::Value) -> Box<dyn Transform> {
    transform("score", table).build(&BuildContext::for_tests()).expect("builds")
}

fn with_quality(columns: &[(&str, &[CellQuality])]) -> Batch {
    let values: Vec<_> = columns.iter().map(|(_, quality)| vec![Some(1.0); quality.len()]).collect();
    let cells: Vec<_> = columns.iter().zip(&values).map(|((name, _), values)| (*name, &values[..])).collect();
    let mut rows = batch(&cells);
    for (index, (_, quality)) in columns.iter().enumerate() {
        let bits = quality.iter().map(|quality| quality.0).collect();
        let change = |numbers: Numbers| Ok(Numbers::from_vecs(numbers.into_vecs().0, None, bits));
        rows.change_numbers(index, change).expect("changed");
    }
    rows
}

fn scores(scored: &Batch) -> Vec<f64> {
    scored.score().expect("scored").values().to_vec()
}

#[test]
fn flags_and_provenance_are_worth_what_the_documentation_says() {
    let cells = [
        (CellQuality::OBSERVED, 1.0),
        (CellQuality::OBSERVED.checked(Flag::Good, 1), 1.0),
        (CellQuality::OBSERVED.checked(Flag::Suspect, 1), 0.5),
        (CellQuality::OBSERVED.checked(Flag::Fail, 1), 0.0),
        (CellQuality::MISSING, 0.0),
        (CellQuality::MISSING.filled(Provenance::ForwardFill, 1), 0.9),
        (CellQuality::MISSING.filled(Provenance::BackwardFill, 3), 0.9 * 0.9 * 0.9),
        (CellQuality::MISSING.filled(Provenance::Interpolated, 0), 0.85),
        (CellQuality::MISSING.filled(Provenance::Median, 0), 0.2),
        (CellQuality::MISSING.filled(Provenance::Constant, 0).checked(Flag::Suspect, 3), 0.1),
        (CellQuality::DERIVED, 1.0),
    ];
    let scored = apply_one(&mut *build(json!({})), with_quality(&[("CO", &cells.map(|(quality, _)| quality))]));
    for (score, (quality, expected)) in scores(&scored).iter().zip(cells) {
        assert!((score - expected).abs() < 1e-15, "{quality:?} scores {score}, not {expected}");
    }
    assert_eq!(scored.fields().score.as_deref(), Some("quality_score"));
}

#[test]
fn a_value_below_a_limit_counts_by_its_own_figure() {
    let censored = CellQuality::OBSERVED.filled(Provenance::Censored, 0).checked(Flag::Good, 1);
    let score = |table| scores(&apply_one(&mut *build(table), with_quality(&[("CO", &[censored])])))[0];
    assert_eq!(score(json!({})), 0.9);
    assert_eq!(score(json!({ "fills": { "censored": 1.0 } })), 1.0);
}

#[test]
fn a_perfect_record_scores_exactly_1_and_none_more_whatever_the_weights() {
    for seed in 1..200_u32 {
        let names: Vec<String> = (0..13).map(|i| format!("f{i}")).collect();
        let weights: serde_json::Map<String, serde_json::Value> = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.clone(), json!(f64::from(seed.wrapping_mul(i as u32 * 977 + 13) % 1009 + 1) / 7.3)))
            .collect();
        let perfect = [CellQuality::OBSERVED.checked(Flag::Good, 1)];
        let columns: Vec<(&str, &[CellQuality])> = names.iter().map(|name| (name.as_str(), &perfect[..])).collect();
        let scored = apply_one(&mut *build(json!({ "weights": weights })), with_quality(&columns));
        assert_eq!(scores(&scored), [1.0]);
    }
}

#[test]
fn weights_shift_the_mean_and_a_listed_field_that_is_not_there_counts_as_missing() {
    let rows = || with_quality(&[("CO", &[CellQuality::OBSERVED]), ("T", &[CellQuality::MISSING])]);
    let score = |table| scores(&apply_one(&mut *build(table), rows()))[0];
    assert_eq!(score(json!({})), 0.5);
    assert_eq!(score(json!({ "weights": { "CO": 3.0 } })), 0.75);
    assert_eq!(score(json!({ "weights": { "T": 0 } })), 1.0);
    assert_eq!(score(json!({ "fields": ["CO", "RH", "AH", "NOx"] })), 0.25);
}

#[test]
fn derived_fields_count_only_where_they_are_listed_and_an_earlier_score_is_replaced() {
    let mut parts = with_quality(&[("CO", &[CellQuality::MISSING]), ("hour", &[CellQuality::DERIVED])]).into_parts();
    let mut layout = Fields::clone(&parts.fields);
    layout.list[1].derived = true;
    layout.score = Some("old".into());
    parts.fields = Arc::new(layout);
    parts.score = Some(vec![0.3].into());
    let rows = Batch::new(parts).expect("fits");
    let scored = apply_one(&mut *build(json!({ "field": "q" })), rows.clone());
    assert_eq!((scores(&scored), scored.fields().score.as_deref()), (vec![0.0], Some("q")));
    assert_eq!(scores(&apply_one(&mut *build(json!({ "fields": ["CO", "hour"] })), rows)), [0.5]);
}

#[test]
fn a_record_without_a_scored_field_has_no_score() {
    let layout = Fields { list: vec![Field::text("note")], ..Fields::default() };
    let mut parts = batch(&[("x", &[Some(1.0)])]).into_parts();
    parts.columns = vec![Column::Text(vec![Some("a")].into())];
    parts.fields = Arc::new(layout);
    let scored = apply_one(&mut *build(json!({})), Batch::new(parts).expect("fits"));
    assert_eq!(scored.score().map(arrow_array::Array::null_count), Some(1));
}

#[test]
fn figures_weights_and_names_that_cannot_be_are_problems_at_their_place() {
    let input = number_fields(&["CO", "T"]);
    let says = |table: serde_json::Value| problems("score", table, &input);
    assert!(says(json!({})).is_empty());
    assert_eq!(says(json!({ "field": "CO" })), ["field: records have a field `CO` already"]);
    assert_eq!(says(json!({ "field": "timestamp" })), ["field: records have a field `timestamp` already"]);
    assert_eq!(says(json!({ "fields": ["CO", "CO"] })), ["fields.1: the field `CO` is listed twice"]);
    let unscored = says(json!({ "fields": ["CO"], "weights": { "T": 1 } }));
    assert_eq!(unscored, ["weights.T: `T` has a weight but is not scored"]);
    let zero = says(json!({ "weights": { "T": 0, "CO": 0 } }));
    assert_eq!(zero, ["weights: every scored field has the weight 0"]);
}

#[test]
fn the_schema_refuses_figures_outside_0_to_1_and_negative_weights() {
    let takes = |table| schema_takes("score", &table);
    assert!(takes(json!({ "fills": { "median": 1 }, "values": { "suspect": 0.0 }, "weights": { "T": 2.5 } })));
    assert!(!takes(json!({ "fills": { "median": 1.5 } })));
    assert!(!takes(json!({ "values": { "suspect": -0.5 } })));
    assert!(!takes(json!({ "weights": { "T": -1 } })));
    assert!(!takes(json!({ "fields": [] })));
    assert!(!takes(json!({ "field": "" })));
}

#[test]
fn a_field_that_comes_with_the_records_keeps_its_name_and_the_score_gets_another() {
    let mut score = build(json!({ "field": "quality" }));
    let scored = apply_one(&mut *score, batch(&[("T", &[Some(1.0)])]));
    assert_eq!(scored.fields().score.as_deref(), Some("quality"));
    let scored = apply_one(&mut *score, batch(&[("quality", &[Some(7.0)]), ("T", &[Some(1.0)])]));
    assert_eq!(scored.fields().score.as_deref(), Some("quality_"));
    assert_eq!(scored.fields().names().collect::<Vec<_>>(), ["quality", "T"]);
    assert_eq!(scores(&scored), [1.0]);
}

fn with_keys(rows: Batch, keys: Vec<Option<&str>>) -> Batch {
    let mut parts = rows.into_parts();
    parts.fields = Arc::new(Fields { key: Some("station".into()), ..Fields::clone(&parts.fields) });
    parts.key = Some(keys.into());
    Batch::new(parts).expect("fits")
}

#[test]
fn keys_have_fields_of_their_own_and_others_the_list_of_all() {
    let observed = [CellQuality::OBSERVED; 4];
    let missing = [CellQuality::MISSING; 4];
    let rows = || {
        let rows = with_quality(&[("CO", &observed), ("NOx", &observed), ("T", &missing), ("RH", &missing)]);
        with_keys(rows, vec![Some("a"), Some("b"), None, Some("c")])
    };
    let score = |table| apply_one(&mut *build(table), rows()).score().cloned().expect("scored");
    let fields = json!(["CO", "NOx", "T", "RH"]);
    let by_key = json!({ "a": ["CO", "NOx"], "b": ["CO", "T", "RH", "AH"], "d": ["T"] });
    let scored = score(json!({ "fields": fields, "fields_by_key": by_key }));
    assert_eq!(scored.values().to_vec(), [1.0, 0.25, 0.5, 0.5]);
    let weighted = score(json!({ "fields": fields, "fields_by_key": by_key, "weights": { "T": 2.0 } }));
    assert_eq!(weighted.values().to_vec(), [1.0, 0.2, 0.4, 0.4]);
    let others_by_what_they_have = score(json!({ "fields_by_key": by_key, "weights": { "T": 0 } }));
    assert_eq!(others_by_what_they_have.values()[2..], [2.0 / 3.0, 2.0 / 3.0]);
}

#[test]
fn keys_that_never_had_a_listed_field_are_told_to_the_metrics() {
    let cx = BuildContext::for_tests();
    let table = json!({ "fields": ["CO", "T", "AH"], "fields_by_key": { "b": ["CO"] } });
    let config = transform("score", table);
    // Two splits may have records of one key.
    let [mut score, mut other] = [0, 1].map(|_| config.build(&cx).expect("builds"));
    let filled = CellQuality::MISSING.filled(Provenance::ForwardFill, 1);
    let unreadable = CellQuality::UNREADABLE;
    let rows = with_quality(&[
        ("CO", &[CellQuality::OBSERVED, CellQuality::OBSERVED, unreadable]),
        ("T", &[filled, CellQuality::MISSING, CellQuality::MISSING]),
    ]);
    apply_one(&mut *score, with_keys(rows, vec![Some("a"), Some("b"), Some("c")]));
    assert_eq!(cx.metrics().snapshot().lacking_fields, ["a: AH, T", "c: AH, T"], "a fill is no value of the source");
    let rows = with_quality(&[("T", &[CellQuality::OBSERVED]), ("AH", &[CellQuality::OBSERVED])]);
    apply_one(&mut *other, with_keys(rows, vec![Some("a")]));
    assert_eq!(cx.metrics().snapshot().lacking_fields, ["c: AH, T"]);
    apply_one(&mut *build(json!({})), batch(&[("T", &[Some(1.0)])]));
}

#[test]
fn lists_of_keys_are_checked_as_that_of_all() {
    let input = Fields { key: Some("station".into()), ..number_fields(&["CO", "T"]) };
    let says = |table: serde_json::Value| problems("score", table, &input);
    assert!(says(json!({ "fields_by_key": { "a": ["CO"] }, "weights": { "T": 2 } })).is_empty());
    assert_eq!(
        says(json!({ "fields_by_key": { "a": ["CO", "CO"] } })),
        ["fields_by_key.a.1: the field `CO` is listed twice"]
    );
    assert_eq!(
        says(json!({ "fields": ["CO"], "fields_by_key": { "a": ["T"] }, "weights": { "T": 0 } })),
        ["fields_by_key.a: every field of this key has the weight 0"]
    );
    assert_eq!(
        problems("score", json!({ "fields_by_key": { "a": ["CO"] } }), &number_fields(&["CO"])),
        ["fields_by_key: records have no key here"]
    );
    assert!(!schema_takes("score", &json!({ "fields_by_key": { "a": [] } })));
}
