//! Tests of `unpivot`.

use aqpipe_engine::record::{Batch, CellQuality, Field, Fields};
use aqpipe_engine::stage::{BuildContext, Output};
use aqpipe_engine::testing::{BatchBuilder, PipelineHarness, rows};
use serde_json::json;

use crate::testing::{number_fields, problems, quality, transform, values};

/// Two days of Madrid's files, with three hours.
fn days() -> Batch {
    BatchBuilder::new()
        .key("station", ["4", "4"])
        .texts("MAGNITUD", [Some("1"), Some("1")])
        .numbers("H01", [Some(7.0), Some(6.0)])
        .texts("V01", [Some("V"), Some("V")])
        .numbers("H02", [Some(8.0), Some(5.0)])
        .texts("V02", [Some("V"), Some("V")])
        .numbers("H24", [Some(9.0), None])
        .texts("V24", [Some("N"), Some("N")])
        .at([0, 86_400])
        .raw(["a", "b"])
        .build()
}

const MADRID: &str = "[[transform]]\ntype = \"unpivot\"\ncolumns = \"H{hour}\"\nvalidity = \"V{hour}\"\n";

#[test]
fn each_hour_is_a_record_at_its_own_time() {
    let mut pipeline = PipelineHarness::from_toml(MADRID);
    let out = pipeline.push(days());
    assert_eq!((out.made, out.batches.len()), (4, 1));
    let batch = &out.batches[0];
    let hours: Vec<i64> = batch.time().iter().map(|time| time / 3_600_000_000).collect();
    assert_eq!(hours, [1, 2, 24, 25, 26, 48]);
    assert_eq!(batch.fields().names().collect::<Vec<_>>(), ["MAGNITUD", "value"]);
    assert_eq!(values(batch, "value"), [Some(7.0), Some(8.0), None, Some(6.0), Some(5.0), None]);
    assert_eq!(batch.source_offsets(), [0, 0, 0, 1, 1, 1]);
    let marks = quality(batch, "value");
    assert!(marks[2].starts_with("fail observed"), "a mark that does not hold empties the value: {marks:?}");
    assert!(marks[5].starts_with("missing"), "there was none: {marks:?}");
}

#[test]
fn columns_that_hold_text_are_read_and_what_cannot_be_read_says_so() {
    let batch = BatchBuilder::new().texts("00", [Some("1.5"), Some("x")]).texts("01", [None, Some(" 2 ")]).build();
    let mut pipeline = PipelineHarness::from_toml("[[transform]]\ntype = \"unpivot\"\ncolumns = \"{hour}\"\n");
    let out = pipeline.push(batch);
    assert_eq!(values(&out.batches[0], "value"), [Some(1.5), None, None, Some(2.0)]);
    assert_eq!(quality(&out.batches[0], "value")[2], format!("{:?}", CellQuality::UNREADABLE));
}

#[test]
fn marks_may_be_numbers_and_a_column_without_one_holds() {
    let toml = "[[transform]]\ntype = \"unpivot\"\ncolumns = \"H{hour}\"\nvalidity = \"V{hour}\"\nvalid = [1, \"2\"]\n";
    let batch = BatchBuilder::new()
        .numbers("H1", [Some(7.0), Some(6.0)])
        .numbers("V1", [Some(1.0), Some(-1.0)])
        .numbers("H2", [Some(3.0), Some(4.0)])
        .build();
    let out = PipelineHarness::from_toml(toml).push(batch);
    assert_eq!(values(&out.batches[0], "value"), [Some(7.0), Some(3.0), None, Some(4.0)]);
}

#[test]
fn a_dead_letter_of_a_part_names_it_and_a_replay_sends_that_part_alone() {
    let toml = format!(
        "{MADRID}\n[[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges.value = {{ max = 7.5 }}\n"
    );
    let mut pipeline = PipelineHarness::from_toml(&toml);
    let out = pipeline.push(days());
    let [letter] = out.dead.as_slice() else { panic!("one value is too high: {:?}", out.dead) };
    assert_eq!(
        (letter.part.as_deref(), letter.raw.as_deref(), letter.source_offset),
        (Some("H02"), Some(&b"a"[..]), 0)
    );
    let toml = toml.replace("7.5", "10");
    let again = PipelineHarness::from_toml(&toml).push_parts(days().slice(0, 1), vec![(0, "H02".into())]);
    assert_eq!((rows(&again.batches).len(), again.filtered), (1, 2));
    assert_eq!(values(&again.batches[0], "value"), [Some(8.0)]);
}

#[test]
fn records_without_such_a_column_are_left_out() {
    let out = PipelineHarness::from_toml(MADRID).push(BatchBuilder::new().numbers("x", [Some(1.0)]).build());
    assert_eq!((out.batches.len(), out.filtered), (0, 1));
}

#[test]
fn what_cannot_be_is_a_problem_at_its_place() {
    let says = |table| problems("unpivot", table, &number_fields(&["H01", "V01", "x"]));
    assert!(says(json!({ "columns": "H{hour}" })).is_empty());
    assert_eq!(says(json!({ "columns": "T{hour}" })), ["columns: no field here is called like `T{hour}`"]);
    assert_eq!(says(json!({ "columns": "H{hour}", "values": "x" })), ["values: records have a field `x` already"]);
    assert!(says(json!({ "columns": "H{hour}", "validity": "V{hour}" })).is_empty());
    assert_eq!(
        says(json!({ "columns": "H{hour}", "validity": "Q{hour}" })),
        ["validity: there is no field `Q01` with the marks of `H01`"]
    );
    let says = |table| problems("unpivot", table, &Fields { list: vec![Field::number("H01")], ..Fields::default() });
    assert_eq!(says(json!({ "columns": "H", "validity": "V{hours}" })).len(), 2);
    assert!(says(json!({ "columns": "H{hour}", "values": "H01" })).is_empty(), "the column goes away");
}

/// A day of Madrid's clock that begins at an instant, in seconds, with an offset in minutes.
fn day(start: i64, offset: i16, values: [&str; 4]) -> Batch {
    let mut batch = BatchBuilder::new();
    for (name, value) in ["H01", "H02", "H03", "H24"].into_iter().zip(values) {
        batch = batch.texts(name, [Some(value)]);
    }
    batch.at([start]).utc_offset(offset).raw(["day"]).build()
}

/// What becomes of a day: the hour in UTC and the offset of each record, its values, and the dead letters.
fn hours_of(options: &serde_json::Value, batch: &Batch) -> (Vec<(i64, i16)>, Vec<Option<f64>>, Output) {
    let mut table = json!({ "columns": "H{hour}" });
    table.as_object_mut().expect("a table").extend(options.as_object().expect("a table").clone());
    let cx = BuildContext::for_tests().with_changing_clock("Europe/Madrid");
    let mut out = Output::default();
    let mut stage = transform("unpivot", table).build(&cx).expect("builds");
    stage.apply(batch.clone(), &mut out).expect("applies");
    let made = &out.batches[0];
    let since = |time: &i64| (time - batch.time()[0]) / 3_600_000_000;
    let times = made.time().iter().map(since).zip(made.utc_offset().iter().copied()).collect();
    (times, values(made, "value"), out)
}

/// 2024-03-31 and 2024-10-27 in Madrid.
const FORWARD: i64 = 1_711_839_600;
const BACK: i64 = 1_729_980_000;

#[test]
fn an_hour_that_the_clock_passes_over_is_a_dead_letter_if_there_is_a_value() {
    let (times, found, out) = hours_of(&json!({}), &day(FORWARD, 60, ["1", "2", "3", "24"]));
    assert_eq!(times, [(1, 60), (2, 120), (23, 120)]);
    assert_eq!(found, [Some(1.0), Some(3.0), Some(24.0)]);
    let [letter] = out.dead.as_slice() else { panic!("one is: {:?}", out.dead) };
    assert_eq!((letter.part.as_deref(), letter.raw.as_deref()), (Some("H02"), Some(&b"day"[..])));
    assert_eq!(
        letter.reason,
        "the hour of `H02` does not exist: the clock of Europe/Madrid was put forward by 60 minutes and passed it over"
    );
    assert_eq!((out.made, out.filtered), (3, 0));
    let (times, _, out) = hours_of(&json!({}), &day(FORWARD, 60, ["1", "", "3", "24"]));
    assert_eq!((times.len(), out.dead.len(), out.made), (3, 0, 2), "nothing is lost");
    let (_, _, out) = hours_of(&json!({}), &day(FORWARD, 60, ["1", "?", "3", "24"]));
    assert_eq!(out.dead.len(), 1, "what cannot be read is no gap");
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_the_one_that_is_asked_for() {
    let batch = day(BACK, 120, ["1", "2", "3", "24"]);
    assert_eq!(hours_of(&json!({}), &batch).0, [(1, 120), (2, 120), (4, 60), (25, 60)]);
    assert_eq!(hours_of(&json!({ "ambiguous": "later" }), &batch).0, [(1, 120), (3, 60), (4, 60), (25, 60)]);
    let (times, _, out) = hours_of(&json!({ "ambiguous": "reject" }), &batch);
    assert_eq!((times.len(), out.dead.len()), (3, 1));
    assert!(out.dead[0].reason.starts_with("the hour of `H02` is shown twice by the clock of Europe/Madrid"));
}

#[test]
fn other_days_and_times_with_an_offset_of_their_own_are_counted_at_that_offset() {
    let (times, ..) = hours_of(&json!({}), &day(FORWARD - 7 * 86_400, 60, ["1", "2", "3", "24"]));
    assert_eq!(times, [(1, 60), (2, 60), (3, 60), (24, 60)]);
    let (times, ..) = hours_of(&json!({}), &day(FORWARD, 0, ["1", "2", "3", "24"]));
    assert_eq!(times, [(1, 0), (2, 0), (3, 0), (24, 0)]);
}
