//! What the stage promises beside values: order, quality, waiting, layouts, bounds.

use std::time::{Duration, Instant};

use aqpipe_engine::record::{Batch, CellQuality, Flag, Numbers, Provenance};
use aqpipe_engine::stage::{BuildContext, Output};
use serde_json::json;

use super::{apply, column, column_quality, config, context, finish, run, series};
use crate::reading::SOURCE_TEST;
use crate::testing::{HOUR, START, batch, keyed, timed, transform};

/// A batch whose first field's first rows have these quality.
fn with_quality(mut batch: Batch, quality: &[CellQuality]) -> Batch {
    batch
        .change_numbers(0, |numbers| {
            let (values, nulls, mut all) = numbers.into_vecs();
            all.iter_mut().zip(quality).for_each(|(quality, new)| *quality = new.0);
            Ok(Numbers::from_vecs(values, nulls, all))
        })
        .expect("changed");
    batch
}

#[test]
fn marks_say_which_method_filled_a_cell_and_how_far_away_its_value_was_observed() {
    let cells = [None, Some(1.0), None, None, None, None, None, Some(4.0)];
    let steps = json!([
        { "method": "forward_fill", "limit": 2 },
        { "method": "backward_fill", "limit": 1 },
        { "method": "interpolate", "limit": 1 },
        { "method": "median" },
    ]);
    let out = run(&steps, vec![batch(&[("x", &cells)])]);
    let expected = [
        "unknown backward_fill(1)",
        "unknown observed(0)",
        "unknown forward_fill(1)",
        "unknown forward_fill(2)",
        "unknown interpolated(0)",
        "unknown median(0)",
        "unknown backward_fill(1)",
        "unknown observed(0)",
    ];
    assert_eq!(column_quality(&out, "x"), expected);
}

#[test]
fn a_value_that_was_carried_already_counts_its_own_way_too() {
    let cells = [Some(1.0), None, None];
    let steps = json!([{ "method": "forward_fill", "limit": 1 }, { "method": "forward_fill" }]);
    let out = run(&steps, vec![batch(&[("x", &cells)])]);
    assert_eq!(column_quality(&out, "x")[1..], ["unknown forward_fill(1)", "unknown forward_fill(2)"]);
}

#[test]
fn a_failed_value_is_carried_nowhere_and_an_emptied_cell_is_filled_and_stays_failed() {
    let failed = CellQuality::OBSERVED.checked(Flag::Fail, 2);
    let cells = [Some(1.0), Some(99.0), None, None];
    let rows = with_quality(batch(&[("x", &cells)]), &[CellQuality::OBSERVED, failed, failed]);
    let out = run(&json!([{ "method": "forward_fill", "limit": 2 }, { "method": "median" }]), vec![rows]);
    assert_eq!(column(&out, "x"), [Some(1.0), Some(99.0), Some(1.0), Some(1.0)]);
    let expected = ["fail forward_fill(2) tests 0b100", "unknown median(0)"];
    assert_eq!(column_quality(&out, "x")[2..], expected, "the failed 99 counts for no median either");
}

#[test]
fn rows_keep_their_order_within_a_key_and_a_silent_key_blocks_no_other() {
    let keys = ["a", "b", "b", "b", "b"];
    let cells = [None, Some(1.0), Some(2.0), None, Some(3.0)];
    let config = config(&json!([{ "method": "backward_fill" }]));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    let out = apply(&mut *impute, keyed(Some(&keys), &[("x", &cells)]));
    assert_eq!(out.iter().flat_map(Batch::source_offsets).collect::<Vec<_>>(), [&100, &200, &300, &400]);
    assert_eq!(column(&out, "x"), [Some(1.0), Some(2.0), Some(3.0), Some(3.0)]);
    assert_eq!(impute.held(), 1);
    assert_eq!(column(&finish(&mut *impute), "x"), [None]);
}

#[test]
fn a_batch_without_gaps_goes_on_at_once_and_whole() {
    let config = config(&json!([{ "method": "backward_fill", "limit": 3 }, { "method": "interpolate" }]));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    let out = apply(&mut *impute, batch(&[("x", &[Some(1.0); 100])]));
    assert_eq!((out.len(), out[0].rows(), impute.held()), (1, 100, 0));
}

#[test]
fn only_the_rows_that_later_ones_may_fill_are_held() {
    let config = config(&json!([{ "method": "backward_fill", "limit": 3 }]));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    let out = apply(&mut *impute, batch(&[("x", &[None; 50])]));
    assert_eq!(out[0].rows(), 47, "the 48th has two records behind it, the 47th has three");
    assert_eq!(impute.held(), 3);
}

#[test]
fn rows_that_wait_too_long_go_on_unfilled_by_that_step_alone() {
    let steps = json!([{ "method": "backward_fill" }, { "method": "constant", "value": 7.0 }]);
    let config = transform("impute", json!({ "steps": steps, "max_wait_secs": 5 }));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    assert!(apply(&mut *impute, batch(&[("x", &[None, None])])).is_empty());
    let mut out = Output::default();
    impute.tick(Instant::now(), &mut out).expect("ticks");
    assert!(out.batches.is_empty(), "five seconds are not over");
    impute.tick(Instant::now() + Duration::from_secs(6), &mut out).expect("ticks");
    assert_eq!(column(&out.batches, "x"), [Some(7.0), Some(7.0)]);
    assert_eq!(impute.held(), 0);
}

#[test]
fn only_a_source_without_an_end_bounds_the_wait_by_itself() {
    let later = Instant::now() + Duration::from_secs(61);
    for (bounded, released) in [(true, 0), (false, 1)] {
        let cx = BuildContext::for_tests().with_bounded(bounded);
        let mut impute = config(&json!([{ "method": "backward_fill" }])).build(&cx).expect("builds");
        apply(&mut *impute, batch(&[("x", &[None])]));
        let mut out = Output::default();
        impute.tick(later, &mut out).expect("ticks");
        assert_eq!(out.batches.len(), released, "bounded: {bounded}");
    }
}

#[test]
fn more_rows_than_may_be_held_are_given_up_oldest_first() {
    let steps = json!([{ "method": "backward_fill" }]);
    let config = transform("impute", json!({ "steps": steps, "max_held": 3 }));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    let out = apply(&mut *impute, batch(&[("x", &[None; 5])]));
    assert_eq!((column(&out, "x"), impute.held()), (vec![None, None], 3));
    let out = apply(&mut *impute, timed(&[START + 5 * HOUR], None, &[("x", &[Some(4.0)])]));
    assert_eq!(column(&out, "x"), [Some(4.0); 4]);
}

#[test]
fn a_gap_longer_than_max_gap_is_left_alone_and_a_value_older_than_max_age_is_not_carried() {
    // The gap of two records from the first value to the second takes 3 h, the one behind 2 h.
    let times = [0, 1, 2, 3, 4, 5].map(|hour| START + hour * HOUR);
    let cells = [Some(1.0), None, None, Some(2.0), None, Some(3.0)];
    let fill = |step: serde_json::Value| column(&run(&json!([step]), vec![timed(&times, None, &[("x", &cells)])]), "x");
    for method in ["forward_fill", "backward_fill", "interpolate"] {
        let out = fill(json!({ "method": method, "max_gap": 2 * 3_600 }));
        assert_eq!((out[1], out[2]), (None, None), "{method}");
        assert!(out[4].is_some(), "{method}");
        assert!(fill(json!({ "method": method, "max_gap": 3 * 3_600 })).iter().all(Option::is_some), "{method}");
    }
    let out = fill(json!({ "method": "forward_fill", "max_age": 3_600 }));
    assert_eq!(out, [Some(1.0), Some(1.0), None, Some(2.0), Some(2.0), Some(3.0)]);
    let out = fill(json!({ "method": "backward_fill", "max_age": 3_600 }));
    assert_eq!(out, [Some(1.0), None, Some(2.0), Some(2.0), Some(3.0), Some(3.0)]);
}

#[test]
fn held_rows_are_filled_across_a_change_of_layout_and_leave_in_their_own() {
    let config = config(&json!([{ "method": "backward_fill", "limit": 3 }]));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    assert!(apply(&mut *impute, batch(&[("x", &[None])])).is_empty());
    let out = apply(&mut *impute, batch(&[("y", &[None, Some(8.0)]), ("x", &[None, Some(5.0)])]));
    assert_eq!(out.iter().map(|batch| batch.fields().list.len()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(column(&out, "x"), [Some(5.0); 3]);
    assert_eq!(column(&out[1..], "y"), [Some(8.0); 2]);
    assert_eq!(impute.held(), 0);
}

#[test]
fn fields_are_filled_that_are_listed_or_not_excluded_and_derived_ones_only_when_listed() {
    let rows = || {
        let mut parts = batch(&[("x", &[None]), ("y", &[None]), ("hour", &[None])]).into_parts();
        let mut layout = aqpipe_engine::record::Fields::clone(&parts.fields);
        layout.list[2].derived = true;
        parts.fields = layout.into();
        Batch::new(parts).expect("fits")
    };
    let filled = |table: serde_json::Value| {
        let mut impute = transform("impute", table).build(&BuildContext::for_tests()).expect("builds");
        let out = apply(&mut *impute, rows());
        ["x", "y", "hour"].map(|name| column(&out, name)[0].is_some())
    };
    let steps = json!([{ "method": "constant", "value": 1 }]);
    assert_eq!(filled(json!({ "steps": steps })), [true, true, false]);
    assert_eq!(filled(json!({ "steps": steps, "exclude": ["x"] })), [false, true, false]);
    assert_eq!(filled(json!({ "steps": steps, "fields": ["y", "hour"] })), [false, true, true]);
    let some = json!([{ "method": "constant", "values": { "y": 2.0 } }]);
    assert_eq!(filled(json!({ "steps": some })), [false, true, false]);
}

#[test]
fn the_median_of_a_key_or_field_that_was_never_observed_stays_missing() {
    let keys = ["a", "a", "b"];
    let cells = [Some(2.0), None, None];
    let config = config(&json!([{ "method": "median" }]));
    let rows = keyed(Some(&keys), &[("x", &cells), ("y", &[None; 3])]);
    let cx = context(&*config, &[rows.slice(0, 3)]);
    let mut impute = config.build(&cx).expect("builds");
    let out = apply(&mut *impute, rows);
    assert_eq!(column(&out, "x"), [Some(2.0), Some(2.0), None]);
    assert_eq!(column(&out, "y"), [None; 3]);
    let out = apply(&mut *impute, keyed(Some(&["new"]), &[("x", &[None])]));
    assert_eq!(column(&out, "x"), [None]);
}

#[test]
fn records_without_a_key_are_a_series_of_their_own() {
    let mut parts = keyed(Some(&["a", "a", "a"]), &[("x", &[Some(1.0), None, None])]).into_parts();
    parts.key = Some(vec![Some("a"), None, Some("a")].into());
    let out = run(&json!([{ "method": "forward_fill" }]), vec![Batch::new(parts).expect("fits")]);
    let by_key = series(&out, &["x"]);
    assert_eq!(by_key[&None][0].1[0].0, None);
    assert_eq!(by_key[&Some("a".to_owned())][1].1[0].0, Some(1.0));
}

#[test]
fn interpolating_between_huge_values_stays_finite() {
    let cells = [Some(-f64::MAX), None, Some(f64::MAX)];
    let out = run(&json!([{ "method": "interpolate" }]), vec![batch(&[("x", &cells)])]);
    assert_eq!(column(&out, "x")[1], Some(0.0));
}

#[test]
fn a_late_record_is_filled_from_the_values_around_its_own_time() {
    // 12:00 came before 11:00, and 14:00 before 13:00, whose value is no donor of the past.
    let times = [10, 12, 11, 14, 13, 15].map(|hour| START + hour * HOUR);
    let cells = [Some(1.0), Some(3.0), None, None, Some(4.0), None];
    let fill = |method: &str| {
        let rows = timed(&times, None, &[("x", &cells)]);
        column(&run(&json!([{ "method": method, "limit": 2 }]), vec![rows]), "x")
    };
    assert_eq!(fill("forward_fill"), [Some(1.0), Some(3.0), Some(1.0), Some(3.0), Some(4.0), Some(4.0)]);
    assert_eq!(fill("backward_fill"), [Some(1.0), Some(3.0), Some(3.0), None, Some(4.0), None]);
    assert_eq!(fill("interpolate"), [Some(1.0), Some(3.0), Some(2.0), None, Some(4.0), None]);
}

#[test]
fn in_a_file_with_its_newest_record_first_a_later_value_is_carried_as_far_as_the_limit_allows() {
    let cells = [Some(9.0), Some(30.0), None, None, None, None, Some(10.0), None];
    let times: Vec<i64> = (0..8).rev().map(|hour| START + hour * HOUR).collect();
    let steps = json!([{ "method": "forward_fill", "limit": 3 }, { "method": "backward_fill", "limit": 3 }]);
    for size in 1..=cells.len() {
        let batches =
            times.chunks(size).zip(cells.chunks(size)).map(|(times, cells)| timed(times, None, &[("x", cells)]));
        let out = run(&steps, batches.collect());
        let filled = |carried| [Some(9.0), Some(30.0), carried, carried, carried, None, Some(10.0), Some(10.0)];
        assert_eq!(column(&out, "x"), filled(Some(30.0)), "batches of {size}");
        let fills: Vec<String> = column_quality(&out, "x")[2..5].iter().map(ToString::to_string).collect();
        assert_eq!(fills, [1, 2, 3].map(|records| format!("unknown backward_fill({records})")), "batches of {size}");
    }
}

#[test]
fn a_value_that_came_before_an_older_stretch_is_not_carried_into_it_where_a_nearer_one_comes() {
    // A false date, then good records. And a day that comes behind the next one.
    for (hours, cells, filled) in [
        (
            &[1, 90_000, 2, 3, 4, 5][..],
            &[Some(1.0), Some(99.0), Some(2.0), None, Some(4.0), None][..],
            [Some(4.0), Some(99.0), Some(3.0)],
        ),
        (
            &[24, 25, 26, 0, 1, 23],
            &[Some(24.0), None, Some(26.0), None, Some(1.0), None],
            [Some(1.0), Some(24.0), None],
        ),
    ] {
        let times: Vec<i64> = hours.iter().map(|hour| START + hour * HOUR).collect();
        for size in 1..=cells.len() {
            let fill = |method: &str| {
                let rows = |(times, cells): (&[i64], _)| timed(times, None, &[("x", cells)]);
                let batches = times.chunks(size).zip(cells.chunks(size)).map(rows).collect();
                column(&run(&json!([{ "method": method, "limit": 2 }]), batches), "x")
            };
            let found = (fill("backward_fill")[3], fill("backward_fill")[5], fill("interpolate")[3]);
            assert_eq!(found, (filled[0], filled[1], filled[2]), "batches of {size}");
        }
    }
}

#[test]
fn a_late_record_goes_by_a_value_that_came_before_it_where_no_nearer_one_comes() {
    let hours: Vec<i64> = [10, 20, 15].into_iter().chain(21..=40).collect();
    let times: Vec<i64> = hours.iter().map(|hour| START + hour * HOUR).collect();
    let mut cells = vec![None; hours.len()];
    (cells[0], cells[1]) = (Some(10.0), Some(20.0));
    for size in 1..=8 {
        let fill = |step: serde_json::Value| {
            let rows = |(times, cells): (&[i64], _)| timed(times, None, &[("x", cells)]);
            let out = run(&json!([step]), times.chunks(size).zip(cells.chunks(size)).map(rows).collect());
            (column(&out, "x")[2], column_quality(&out, "x")[2].clone())
        };
        let (value, quality) = fill(json!({ "method": "backward_fill", "limit": 3 }));
        assert_eq!((value, &*quality), (Some(20.0), "unknown backward_fill(1)"), "batches of {size}");
        let (value, _) = fill(json!({ "method": "interpolate", "by": "records" }));
        assert_eq!(value, Some(15.0), "batches of {size}");
    }
}

#[test]
fn a_cell_that_could_not_be_read_is_filled_only_where_that_is_asked_for_and_counts_in_the_limit() {
    let rows = || with_quality(batch(&[("x", &[None, None, None])]), &[CellQuality::UNREADABLE]);
    let rows = || Batch::concat(&[batch(&[("x", &[Some(1.0)])]), rows()]).expect("one layout");
    let steps = ["forward_fill", "constant", "median"].map(|method| match method {
        "constant" => json!([{ "method": method, "value": 1.0 }]),
        "median" => json!([{ "method": method, "over": "expanding" }]),
        _ => json!([{ "method": method, "limit": 2 }]),
    });
    for (steps, reach) in steps.iter().zip([2, 3, 3]) {
        for (fill_failed, filled) in [(false, None), (true, Some(1.0))] {
            let config = transform("impute", json!({ "steps": steps, "fill_failed": fill_failed }));
            let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
            let out = apply(&mut *impute, rows());
            let last = (reach == 3).then_some(1.0);
            assert_eq!(column(&out, "x"), [Some(1.0), filled, Some(1.0), last], "{steps}");
            let quality = &column_quality(&out, "x")[1];
            let expected = if fill_failed { "unknown " } else { "fail observed(0)" };
            assert!(quality.starts_with(expected) && quality.ends_with("tests 0b1"), "{quality}");
        }
    }
}

#[test]
fn what_the_publisher_says_is_wrong_is_filled_only_where_that_is_asked_for() {
    let cx = BuildContext::for_tests();
    let source = cx.qc_tests().bit(SOURCE_TEST);
    let range = cx.qc_tests().bit("gross_range");
    let wrong = CellQuality::MISSING.checked(Flag::Fail, source);
    let emptied = CellQuality::OBSERVED.checked(Flag::Suspect, source).checked(Flag::Fail, range);
    for (quality, fill_failed, filled) in
        [(wrong, false, None), (wrong, true, Some(1.0)), (emptied, false, Some(1.0)), (emptied, true, Some(1.0))]
    {
        let rows = with_quality(batch(&[("x", &[Some(1.0), None])]), &[CellQuality::OBSERVED, quality]);
        let config =
            transform("impute", json!({ "steps": [{ "method": "forward_fill" }], "fill_failed": fill_failed }));
        let mut impute = config.build(&cx).expect("builds");
        assert_eq!(column(&apply(&mut *impute, rows), "x"), [Some(1.0), filled], "{quality:?} {fill_failed}");
    }
}

#[test]
fn what_a_check_emptied_is_unknown_once_filled_where_that_is_asked_for() {
    let failed = CellQuality::OBSERVED.checked(Flag::Fail, 2);
    let rows = with_quality(batch(&[("x", &[Some(1.0), None])]), &[CellQuality::OBSERVED, failed]);
    let config = transform("impute", json!({ "steps": [{ "method": "forward_fill" }], "fill_failed": true }));
    let mut impute = config.build(&BuildContext::for_tests()).expect("builds");
    let out = apply(&mut *impute, rows);
    assert_eq!(column_quality(&out, "x")[1], "unknown forward_fill(1) tests 0b100");
}

#[test]
fn a_value_below_a_limit_is_carried_and_counts_for_a_median() {
    let censored = CellQuality::OBSERVED.filled(Provenance::Censored, 0);
    for step in [json!({ "method": "forward_fill" }), json!({ "method": "median" })] {
        let rows = with_quality(batch(&[("x", &[Some(0.25), None])]), &[censored]);
        assert_eq!(column(&run(&json!([step]), vec![rows]), "x"), [Some(0.25); 2], "{step}");
    }
}

#[test]
fn interpolation_goes_by_time_unless_records_are_asked_for() {
    let times = [0, 3, 4].map(|hour| START + hour * HOUR);
    let fill = |step: serde_json::Value| {
        let rows = timed(&times, None, &[("x", &[Some(0.0), None, Some(4.0)])]);
        column(&run(&json!([step]), vec![rows]), "x")[1]
    };
    assert_eq!(fill(json!({ "method": "interpolate" })), Some(3.0));
    assert_eq!(fill(json!({ "method": "interpolate", "by": "records" })), Some(2.0));
}
