//! Tests of the features.

use std::f64::consts::TAU;

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{BuildContext, Transform};
use serde_json::json;

use super::feature::{Feature, Hemisphere};
use crate::codec::clock_codes::CLOCK_CODES;
use crate::testing::{
    HOUR, START, apply_one, batch, number_fields, problems, quality, schema_takes, timed, transform, values,
};

fn build(table: serde_json::Value) -> Box<dyn Transform> {
    transform("derive", table).build(&BuildContext::for_tests()).expect("builds")
}

#[test]
fn the_features_are_those_of_the_clock_that_the_source_wrote() {
    // 2004-03-10 18:00 UTC was a Wednesday; at +07:00 it is 01:00 on Thursday.
    let mut parts = timed(&[START, START], None, &[("CO", &[None, None])]).into_parts();
    parts.utc_offset = vec![0, 420].into();
    let rows = apply_one(&mut *build(json!({})), Batch::new(parts).expect("fits"));
    let of = |name: &str| values(&rows, name).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(of("hour"), [18.0, 1.0]);
    assert_eq!(of("day_of_week"), [2.0, 3.0]);
    assert_eq!((of("month"), of("season"), of("is_weekend")), (vec![3.0; 2], vec![2.0; 2], vec![0.0; 2]));
    let near = |name: &str, expected: f64| assert!((of(name)[0] - expected).abs() < 1e-12, "{name}");
    near("hour_sin", -1.0);
    near("hour_cos", 0.0);
    near("day_sin", (TAU * 2.0 / 7.0).sin());
    near("day_cos", (TAU * 2.0 / 7.0).cos());
    near("month_sin", (TAU / 6.0).sin());
    near("month_cos", 0.5);
    assert_eq!(quality(&rows, "hour"), ["unknown derived(0)"; 2]);
    assert!(rows.fields().get("hour").is_some_and(|field| field.derived));
    assert!(rows.fields().get("CO").is_some_and(|field| !field.derived));
}

#[test]
fn seasons_are_numbered_from_winter_and_turn_with_the_hemisphere() {
    let of = |hemisphere| (1..=12).map(|month| Feature::Season.at(month, hemisphere) as u8).collect::<Vec<_>>();
    assert_eq!(of(Hemisphere::North), [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 1]);
    assert_eq!(of(Hemisphere::South), [3, 3, 4, 4, 4, 1, 1, 1, 2, 2, 2, 3]);
}

#[test]
fn only_the_chosen_features_come_in_their_order_with_their_prefix() {
    let mut derive = build(json!({ "features": ["month", "is_weekend"], "prefix": "t_" }));
    let times: Vec<i64> = (0..7).map(|day| START + day * 24 * HOUR).collect();
    let rows = apply_one(&mut *derive, timed(&times, None, &[("CO", &[None; 7])]));
    assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["CO", "t_month", "t_is_weekend"]);
    let weekend: Vec<_> = values(&rows, "t_is_weekend").into_iter().flatten().collect();
    assert_eq!(weekend, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn a_field_that_comes_with_the_records_is_kept_and_the_feature_of_its_name_left_out() {
    let mut derive = build(json!({ "features": ["hour", "month"] }));
    let rows = apply_one(&mut *derive, batch(&[("T", &[Some(1.0)])]));
    assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["T", "hour", "month"]);
    let rows = apply_one(&mut *derive, batch(&[("hour", &[Some(99.0)]), ("T", &[Some(1.0)])]));
    assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["hour", "T", "month"], "no name is there twice");
    assert_eq!(values(&rows, "hour"), [Some(99.0)]);
    assert_eq!(values(&rows, "month"), [Some(3.0)]);
}

#[test]
fn names_that_are_taken_and_repeated_features_are_problems() {
    let says = |table| problems("derive", table, &number_fields(&["hour"]));
    assert_eq!(says(json!({})), ["features.0: records have a field `hour` already"]);
    assert!(says(json!({ "prefix": "t_" })).is_empty());
    let twice = says(json!({ "features": ["month", "month"] }));
    assert_eq!(twice, ["features.1: the feature `month` is listed twice"]);
    assert!(!schema_takes("derive", &json!({ "features": [] })));
}

#[test]
fn the_codes_of_the_clock_are_the_features_whose_values_are_all_whole() {
    let is_whole = |feature: &Feature| feature.table(Hemisphere::North).iter().all(|value| value.fract() == 0.0);
    let whole: Vec<&str> = Feature::all().iter().filter(|feature| is_whole(feature)).map(|it| it.name()).collect();
    assert_eq!(whole, CLOCK_CODES.map(|(name, _)| name));
}
