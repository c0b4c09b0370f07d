//! Tests of `pivot`.

use std::time::Duration;

use aqpipe_engine::record::{Batch, Field, Fields, Origin};
use aqpipe_engine::testing::{BatchBuilder, HarnessOutput, PipelineHarness, rows};
use serde_json::json;

use crate::testing::{problems, quality, values};

const LONG: &str = "[[transform]]\ntype = \"pivot\"\nnames = \"parameter\"\nvalues = \"value\"\n";

fn with(options: &str) -> String {
    format!("{LONG}{options}\n")
}

fn expecting() -> String {
    with("expect = [\"pm25\", \"o3\"]")
}

/// Records of one station: hour, parameter, value.
fn long(records: &[(i64, &str, Option<f64>)]) -> Batch {
    let lines: Vec<String> = records.iter().map(|(hour, name, _)| format!("{hour};{name}")).collect();
    BatchBuilder::new()
        .key("station", records.iter().map(|_| "42"))
        .texts("parameter", records.iter().map(|(_, name, _)| Some(*name).filter(|name| !name.is_empty())))
        .texts("location", records.iter().map(|_| Some("Hillside")))
        .texts("units", records.iter().map(|(_, name, _)| Some(if *name == "o3" { "ppm" } else { "µg/m³" })))
        .numbers("value", records.iter().map(|(.., value)| *value))
        .at(records.iter().map(|(hour, ..)| hour * 3_600))
        .raw(lines.iter().map(String::as_str))
        .build()
}

fn hours(out: &HarnessOutput) -> Vec<i64> {
    out.batches.iter().flat_map(Batch::time).map(|time| time / 3_600_000_000).collect()
}

fn column(out: &HarnessOutput, name: &str) -> Vec<Option<f64>> {
    out.batches.iter().flat_map(|batch| values(batch, name)).collect()
}

#[test]
fn the_records_of_a_key_and_time_become_one_with_a_column_for_each_name() {
    let mut pipeline = PipelineHarness::from_toml(&expecting());
    let records = [
        (1, "pm25", Some(12.5)),
        (1, "o3", Some(61.0)),
        (2, "o3", None),
        (2, "pm25", Some(13.0)),
        (3, "pm25", Some(9.0)),
    ];
    let out = pipeline.push(long(&records));
    assert_eq!((hours(&out), out.merged, pipeline.held()), (vec![1, 2], 2, 1));
    assert_eq!(column(&out, "pm25"), [Some(12.5), Some(13.0)]);
    assert_eq!(column(&out, "o3"), [Some(61.0), None]);
    let fields: Vec<&str> = out.batches[0].fields().names().collect();
    assert_eq!(fields, ["location", "units", "pm25", "o3"]);
    let text = rows(&out.batches)[0].text.clone();
    assert!(text.contains("location \"Hillside\", units none"), "what differs is no value of the row: {text}");
    let rest = pipeline.finish();
    assert_eq!((hours(&rest), column(&rest, "o3"), rest.merged), (vec![3], vec![None], 0));
    assert!(quality(&rest.batches[0], "o3")[0].starts_with("missing"));
}

#[test]
fn the_next_time_of_a_key_ends_its_row_and_no_other_keys() {
    let two = BatchBuilder::new()
        .key("station", ["a", "b", "a"])
        .texts("parameter", [Some("pm25"), Some("pm25"), Some("pm25")])
        .numbers("value", [Some(1.0), Some(2.0), Some(3.0)])
        .at([0, 0, 3_600])
        .build();
    let mut pipeline = PipelineHarness::from_toml(&expecting());
    let out = pipeline.push(two);
    assert_eq!((column(&out, "pm25"), pipeline.held()), (vec![Some(1.0)], 2));
}

#[test]
fn rows_wait_for_so_long_by_the_clock_or_in_the_time_of_the_records() {
    let mut pipeline = PipelineHarness::from_toml(&with("expect = [\"pm25\", \"o3\"]\nmax_wait = \"90s\""));
    assert_eq!(hours(&pipeline.push(long(&[(1, "pm25", Some(1.0))]))), Vec::<i64>::new());
    assert_eq!(hours(&pipeline.advance(Duration::from_secs(89))), Vec::<i64>::new());
    assert_eq!(hours(&pipeline.advance(Duration::from_secs(1))), [1]);
    let by_name =
        [(1, "pm25", Some(1.0)), (2, "pm25", Some(2.0)), (1, "o3", Some(3.0)), (2, "o3", Some(4.0)), (26, "o3", None)];
    let toml = with("expect = [\"pm25\", \"o3\"]\nallowed_lateness = \"1d\"");
    let out = PipelineHarness::from_toml(&toml).push(long(&by_name));
    assert_eq!((hours(&out), column(&out, "o3"), out.dead.len()), (vec![1, 2], vec![Some(3.0), Some(4.0)], 0));
}

#[test]
fn without_expected_names_all_is_held_up_to_a_bound_that_names_the_option() {
    let by_name = [(1, "pm25", Some(1.0)), (2, "pm25", Some(2.0)), (1, "o3", Some(3.0)), (2, "o3", Some(4.0))];
    let mut pipeline = PipelineHarness::from_toml(LONG);
    assert!(pipeline.push(long(&by_name)).batches.is_empty());
    assert_eq!(pipeline.held(), 4);
    pipeline.restart();
    let out = pipeline.finish();
    assert_eq!(
        (hours(&out), column(&out, "pm25"), column(&out, "o3")),
        (vec![1, 2], vec![Some(1.0), Some(2.0)], vec![Some(3.0), Some(4.0)])
    );
    let error = PipelineHarness::from_toml(&with("max_rows = 3")).try_push(long(&by_name)).expect_err("too many");
    let help = error.help_text().unwrap_or_default();
    assert!(error.to_string().contains("max_rows") && help.contains("expect = [\"pm25\", \"o3\"]"), "{error}: {help}");
    let out = PipelineHarness::from_toml(&with("expect = [\"a\", \"pm25\"]\nallowed_lateness = \"1d\"\nmax_rows = 1"))
        .push(long(&by_name));
    assert_eq!((hours(&out), out.filtered), (vec![1], 2), "the oldest go first");
}

#[test]
fn a_value_of_a_row_that_has_left_is_a_dead_letter_or_a_row_of_its_own() {
    let records = [
        (1, "pm25", Some(1.0)),
        (2, "pm25", Some(2.0)),
        (1, "o3", Some(3.0)),
        (2, "pm25", Some(4.0)),
        (2, "pm25", Some(2.0)),
    ];
    let mut pipeline = PipelineHarness::from_toml(&expecting());
    let out = pipeline.push(long(&records));
    let reasons: Vec<&str> = out.dead.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "a value of `o3` came after the row of its time had left",
            "a value of `pm25` came before, with the same key and time: is it the same record once more, or does the key \
             lack a part?",
        ]
    );
    assert_eq!(out.dead[0].raw.as_deref(), Some(&b"1;o3"[..]));
    assert_eq!(pipeline.finish().merged, 1, "the same value once more is merged");
    let out = PipelineHarness::from_toml(&with("expect = [\"pm25\", \"o3\"]\nlate = \"row\"")).push(long(&records));
    assert_eq!((hours(&out), out.dead.len()), (vec![1, 1, 2], 0));
    assert_eq!(column(&out, "o3"), [None, Some(3.0), None]);
}

#[test]
fn a_time_between_those_that_have_left_opens_a_row() {
    let mut pipeline = PipelineHarness::from_toml(&expecting());
    let out = pipeline.push(long(&[
        (1, "pm25", None),
        (3, "pm25", None),
        (5, "pm25", None),
        (2, "pm25", None),
        (2, "o3", None),
    ]));
    assert_eq!((hours(&out), out.dead.len()), (vec![1, 3, 2], 0));
}

#[test]
fn rows_whose_times_go_back_are_made_like_any_other() {
    let made_of = |given: &[i64]| {
        let records = given.iter().flat_map(|hour| [(*hour, "pm25", Some(*hour as f64)), (*hour, "o3", Some(1.0))]);
        let mut pipeline = PipelineHarness::from_toml(&expecting());
        let records: Vec<_> = records.collect();
        let mut made = Vec::new();
        for part in records.chunks(5) {
            let out = pipeline.push(long(part));
            assert_eq!(out.dead.len(), 0);
            made.extend(hours(&out));
            pipeline.restart();
        }
        let rest = pipeline.finish();
        assert_eq!(rest.dead.len(), 0);
        made.extend(hours(&rest));
        made
    };
    // The newest first; a backlog behind later days; months in the order of their files' names.
    for given in [
        (0..231).rev().collect(),
        (0..24).chain(96..120).chain(24..96).collect(),
        (0..31).chain(270..300).chain(31..60).collect(),
    ] {
        let given: Vec<i64> = given;
        assert_eq!(made_of(&given), given);
    }
}

#[test]
fn a_record_without_a_name_is_a_dead_letter_and_one_that_is_not_expected_is_left_out() {
    let out = PipelineHarness::from_toml(&expecting()).push(long(&[(1, "", None), (1, "so2", Some(1.0))]));
    assert_eq!((out.dead.len(), out.filtered), (1, 1));
    assert_eq!(out.dead[0].reason, "it has no name in `parameter`");
}

#[test]
fn a_field_and_a_measurement_of_one_name_are_both_there() {
    for names in [["location", "pm25"], ["pm25", "location"]] {
        let records: Vec<_> = names.iter().zip([1.0, 2.0]).map(|(name, value)| (1, *name, Some(value))).collect();
        let mut pipeline = PipelineHarness::from_toml(LONG);
        pipeline.push(long(&records));
        let out = pipeline.finish();
        assert_eq!(column(&out, "location").len(), 1);
        assert!(column(&out, "location")[0].is_some(), "the measurement");
        let text = rows(&out.batches)[0].text.clone();
        assert!(text.contains("location_ \"Hillside\""), "the field: {text}");
    }
    let mut pipeline = PipelineHarness::from_toml(LONG);
    pipeline.push(long(&[(1, "station", Some(1.0)), (1, "timestamp", Some(2.0))]));
    let out = pipeline.finish();
    assert_eq!((column(&out, "station_"), column(&out, "timestamp_")), (vec![Some(1.0)], vec![Some(2.0)]));
}

#[test]
fn names_may_be_numbers_and_values_text() {
    let batch = BatchBuilder::new()
        .numbers("MAGNITUD", [Some(8.0), Some(14.0)])
        .texts("value", [Some("1.5"), Some("x")])
        .at([0, 0])
        .build();
    let toml = "[[transform]]\ntype = \"pivot\"\nnames = \"MAGNITUD\"\nvalues = \"value\"\nexpect = [\"8\", \"14\"]\n";
    let out = PipelineHarness::from_toml(toml).push(batch);
    assert_eq!((column(&out, "8"), column(&out, "14")), (vec![Some(1.5)], vec![None]));
    assert!(quality(&out.batches[0], "14")[0].starts_with("fail"));
}

#[test]
fn a_dead_letter_of_a_merged_row_keeps_all_its_records() {
    let toml =
        expecting() + "\n[[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges.o3 = { max = 1.0 }\n";
    let out = PipelineHarness::from_toml(&toml).push(long(&[(1, "pm25", Some(12.5)), (1, "o3", Some(61.0))]));
    let [letter] = out.dead.as_slice() else { panic!("one row is rejected: {:?}", out.dead) };
    let record = |at: u64, raw: &str| Origin { source_offset: at, part: None, raw: Some(raw.as_bytes().to_vec()) };
    assert_eq!((&letter.raw, &letter.records), (&None, &vec![record(0, "1;pm25"), record(1, "1;o3")]));
}

#[test]
fn another_list_of_expected_names_takes_over_what_was_held() {
    let mut pipeline = PipelineHarness::from_toml(LONG);
    pipeline.push(long(&[(1, "pm25", Some(1.0)), (1, "o3", Some(2.0))]));
    let states = pipeline.saved();
    let state = states.values().next().expect("a state");
    let cx = aqpipe_engine::stage::BuildContext::for_tests();
    let table = json!({ "names": "parameter", "values": "value", "expect": ["o3", "no2"] });
    let mut other = crate::testing::transform("pivot", table).build(&cx).expect("builds");
    other.restore(state).expect("restores");
    let mut out = aqpipe_engine::stage::Output::default();
    other.finish(&mut out).expect("finishes");
    assert_eq!((values(&out.batches[0], "o3"), out.merged), (vec![Some(2.0)], 1));
}

#[test]
fn what_cannot_be_is_a_problem_at_its_place() {
    let fields = ["parameter", "location"].map(Field::text).into_iter().chain([Field::number("value")]);
    let input = Fields { list: fields.collect(), ..Fields::default() };
    let says = |options: serde_json::Value| {
        let mut table = json!({ "names": "parameter", "values": "value" });
        table.as_object_mut().expect("a table").extend(options.as_object().expect("a table").clone());
        problems("pivot", table, &input)
    };
    assert!(says(json!({})).is_empty() && says(json!({ "expect": ["o3", "value"] })).is_empty());
    assert_eq!(says(json!({ "expect": ["location"] })), ["expect.0: records have a field `location` already"]);
    assert!(says(json!({ "expect": ["location"], "keep": [] })).is_empty());
    assert_eq!(says(json!({ "expect": ["o3", "o3"] })), ["expect.1: the name `o3` is listed twice"]);
    assert_eq!(says(json!({ "keep": ["value"] })), ["keep.0: `value` becomes columns, and does not come along"]);
    assert_eq!(says(json!({ "max_wait": "5s" })).len(), 1);
    assert_eq!(says(json!({ "names": "value" })), ["values: names and values cannot be in one field"]);
    let names = crate::testing::transform("pivot", json!({ "names": "parameter", "values": "value" }));
    assert!(names.requires_bounded().is_some_and(|problem| problem.help.is_some_and(|help| help.contains("expect"))));
}
