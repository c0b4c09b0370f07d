//! Tests of the range check.

use serde_json::json;

use super::*;
use crate::testing::{apply_one, batch, number_fields, problems, quality, schema_takes, transform, values};

fn build(table: serde_json::Value) -> Box<dyn Transform> {
    transform("range_check", table).build(&BuildContext::for_tests()).expect("builds")
}

#[test]
fn bounds_are_inclusive_and_missing_values_are_not_evaluated() {
    let range = json!({ "min": 0.0, "max": 50.0, "suspect_min": 1.0, "suspect_max": 10.0 });
    let mut check = build(json!({ "ranges": { "CO": range } }));
    let cells = [-0.1, 0.0, 1.0, 10.0, 10.5, 50.0, 50.1, f64::INFINITY].map(Some);
    let checked = apply_one(&mut *check, batch(&[("CO", &[&cells[..], &[None]].concat())]));
    let flags: Vec<_> = (0..9).map(|row| checked.numbers(0).expect("numbers").quality_at(row).flag() as u8).collect();
    assert_eq!(flags, [4, 3, 1, 1, 3, 3, 4, 4, 9]);
    let tests: Vec<_> = (0..9).map(|row| checked.numbers(0).expect("numbers").quality_at(row).tests()).collect();
    assert_eq!(tests, [2, 2, 0, 0, 2, 2, 2, 2, 0], "a test that objects names itself");
    assert_eq!(values(&checked, "CO")[0], Some(-0.1), "flagging changes no value");
}

#[test]
fn a_filled_value_is_checked_and_an_earlier_worse_flag_stays() {
    let mut check = build(json!({ "ranges": { "CO": { "max": 5.0 } } }));
    let mut rows = batch(&[("CO", &[Some(1.0), Some(9.0), Some(1.0)])]);
    rows.change_numbers(0, |numbers| {
        let (values, nulls, mut quality) = numbers.into_vecs();
        quality[0] = CellQuality::MISSING.filled(aqpipe_engine::record::Provenance::ForwardFill, 2).0;
        quality[2] = CellQuality::OBSERVED.checked(Flag::Suspect, 5).0;
        Ok(Numbers::from_vecs(values, nulls, quality))
    })
    .expect("changed");
    let checked = apply_one(&mut *check, rows);
    let expected = ["good forward_fill(2)", "fail observed(0) tests 0b10", "suspect observed(0) tests 0b100000"];
    assert_eq!(quality(&checked, "CO"), expected);
}

#[test]
fn a_failing_value_can_be_emptied_and_keeps_its_flag() {
    let mut check = build(json!({ "on_fail": "null", "ranges": { "CO": { "max": 5.0 } } }));
    let checked = apply_one(&mut *check, batch(&[("CO", &[Some(1.0), Some(9.0), None])]));
    assert_eq!(values(&checked, "CO"), [Some(1.0), None, None]);
    assert_eq!(quality(&checked, "CO")[1..], ["fail observed(0) tests 0b10", "missing observed(0)"]);
}

#[test]
fn a_rejected_record_is_a_dead_letter_with_its_bytes_and_the_rest_goes_on() {
    let mut check = build(json!({ "on_fail": "reject", "ranges": { "CO": { "max": 5.0 }, "T": { "min": -20 } } }));
    let rows = batch(&[("CO", &[Some(1.0), Some(9.5), Some(2.0)]), ("T", &[Some(3.0), Some(-30.0), None])]);
    let mut parts = rows.into_parts();
    parts.raw = Some((0..3).map(|row| Some(vec![b'a' + row])).collect());
    let mut out = Output::default();
    check.apply(Batch::new(parts).expect("fits"), &mut out).expect("applies");
    assert_eq!(out.batches[0].source_offsets(), [0, 200]);
    assert_eq!(out.dead.len(), 1);
    assert_eq!((out.dead[0].source_offset, out.dead[0].raw.as_deref()), (100, Some(&b"b"[..])));
    let reason = "`CO` is 9.5, above its maximum of 5; `T` is -30, below its minimum of -20";
    assert_eq!(out.dead[0].reason, reason);
    assert!(transform("range_check", json!({ "on_fail": "reject", "ranges": {} })).rejects());
}

#[test]
fn impossible_bounds_and_unknown_fields_are_problems_at_their_place() {
    let input = number_fields(&["CO", "T"]);
    let says = |ranges: serde_json::Value| problems("range_check", json!({ "ranges": ranges }), &input);
    assert_eq!(says(json!({ "CO": { "min": 5, "max": 1 } })), ["ranges.CO.min: `min` (5) lies above `max` (1)"]);
    let outside = says(json!({ "CO": { "max": 10, "suspect_max": 11 } }));
    assert_eq!(outside, ["ranges.CO.suspect_max: `suspect_max` (11) lies above `max` (10)"]);
    let outside = says(json!({ "T": { "min": -20, "suspect_min": -21 } }));
    assert_eq!(outside, ["ranges.T.suspect_min: `min` (-20) lies above `suspect_min` (-21)"]);
    assert_eq!(
        says(json!({ "COO": { "min": 1 } })),
        ["ranges.COO: there is no field `COO` here: no stage before this one has it"]
    );
    assert!(!schema_takes("range_check", &json!({ "ranges": { "CO": {} } })));
    assert!(!schema_takes("range_check", &json!({ "ranges": {} })));
    assert!(says(json!({ "CO": { "min": 0, "max": 9, "suspect_min": 0, "suspect_max": 9 } })).is_empty());
}

#[test]
fn columns_are_found_by_name_when_the_layout_changes() {
    let mut check = build(json!({ "ranges": { "CO": { "max": 5.0 } } }));
    apply_one(&mut *check, batch(&[("CO", &[Some(1.0)])]));
    let checked = apply_one(&mut *check, batch(&[("T", &[Some(99.0)]), ("CO", &[Some(9.0)])]));
    assert_eq!(quality(&checked, "T"), ["unknown observed(0)"]);
    assert_eq!(quality(&checked, "CO"), ["fail observed(0) tests 0b10"]);
}
