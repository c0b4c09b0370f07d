//! What holds of every picture.

use proptest::prelude::*;

use super::{
    Bar, Frame, HeatCell, Held, Limit, Line, Mark, Reading, Row, STYLE, Scale, Shade, Span, Step, availability,
    calendar, heat_map, histogram, profile, series, stacked_bars, terminal_line, trend,
};

const HOUR_MS: i64 = 3_600_000;
const HOSTILE: &str = "<script>alert(1)</script>\"' onload=\u{202e}\0\n&";

/// Every picture of the same numbers, under one name.
fn all(name: &str, values: &[f64], times: &[i64]) -> Vec<String> {
    let points: Vec<(i64, Option<f64>)> =
        times.iter().zip(values).map(|(time, value)| (*time, (value.to_bits() % 5 != 0).then_some(*value))).collect();
    let marks = [Mark::Observed, Mark::Suspect, Mark::Fail, Mark::Filled];
    let readings: Vec<Reading> = points
        .iter()
        .enumerate()
        .map(|(at, (time_ms, value))| Reading { time_ms: *time_ms, value: *value, mark: marks[at % 4] })
        .collect();
    let limits: Vec<Limit> =
        values.iter().take(4).map(|value| Limit { value: *value, name: name.into(), fails: *value > 0.0 }).collect();
    let counts: Vec<u64> = values.iter().skip(1).map(|value| *value as u64).collect();
    let cells: Vec<Option<HeatCell>> = values
        .iter()
        .map(|share| (*share != 0.0).then_some(HeatCell { count: share.to_bits(), share: *share }))
        .collect();
    let columns = vec![name; values.len()];
    let days: Vec<(i64, f64)> = times.iter().copied().zip(values.iter().copied()).collect();
    let steps: Vec<Step> = values
        .iter()
        .map(|value| Step { name: name.into(), middle_low_high: Some((*value, value - 1.0, value * 2.0)) })
        .collect();
    let spans: Vec<Span> = times
        .windows(2)
        .enumerate()
        .map(|(at, pair)| {
            let part = |kind: usize| (at * kind % 7) as f64;
            let held =
                Held { valid: part(1), filled: part(2), failed: part(3), unreadable: part(4), missing: values[at] };
            Span { from_ms: pair[0], to_ms: pair[1], held }
        })
        .collect();
    let bar = Bar { name, values: values.to_vec() };
    [Frame::half(name), Frame::full(name)]
        .into_iter()
        .flat_map(|frame| {
            let lines = [Line { name, points: &points }, Line { name, points: &[] }];
            [
                series(frame, Some(name), &readings, &limits),
                trend(frame, Some(name), Scale::Fitted, &lines),
                trend(frame, None, Scale::FromZero, &lines),
                trend(frame, None, Scale::Between(0.0, 1.0), &lines[..1]),
                histogram(frame, Some(name), values, &counts),
                heat_map(frame, Shade::Worse, &[name], &columns, &cells),
                calendar(frame, Shade::Better, name, &days),
                profile(frame, Some(name), name, &steps),
                availability(frame, &[Row { name, spans: &spans }, Row { name, spans: &[] }]),
                stacked_bars(frame, name, &[name, name], &[bar.clone(), Bar { name, values: vec![] }]),
            ]
        })
        .collect()
}

fn is_whole(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert_eq!(svg.matches("<title>").count(), svg.matches("</title>").count());
    assert!(svg.contains(r#"role="img""#) && svg.contains("<title>") && svg.contains("<desc>"));
    for forbidden in ["<script", "<style", "style=", " id=", "url(", "NaN", "inf ", "\u{202e}", "\0"] {
        assert!(!svg.contains(forbidden), "{forbidden:?} in {svg}");
    }
}

fn usual(count: i64) -> (Vec<f64>, Vec<i64>) {
    ((0..count).map(|at| (at * 37 % 101) as f64 / 100.0).collect(), (0..count).map(|at| at * HOUR_MS).collect())
}

#[test]
fn names_are_text_and_never_markup() {
    let (values, times) = usual(60);
    for svg in all(HOSTILE, &values, &times) {
        is_whole(&svg);
        assert!(svg.contains("&lt;script&gt;"), "{svg}");
    }
}

#[test]
fn a_picture_of_nothing_says_so() {
    for svg in all("NO2", &[], &[]) {
        is_whole(&svg);
        assert!(svg.contains("<text") && svg.len() < 500, "{svg}");
    }
}

#[test]
fn one_point_is_drawn() {
    for svg in [
        series(Frame::half("NO2"), None, &[Reading { time_ms: 0, value: Some(3.0), mark: Mark::Observed }], &[]),
        trend(Frame::half("rate"), None, Scale::Fitted, &[Line { name: "read", points: &[(0, Some(3.0))] }]),
    ] {
        is_whole(&svg);
        assert!(svg.contains("h0\""), "{svg}");
    }
}

#[test]
fn pictures_of_long_input_stay_small() {
    let (values, times) = usual(300_000);
    for svg in all("NO2", &values, &times) {
        assert!(svg.len() < 100_000, "{} bytes: {}", svg.len(), &svg[..400]);
    }
}

#[test]
fn a_year_of_days_has_a_text_for_each_and_stays_small() {
    let days: Vec<(i64, f64)> = (0..365).map(|day| (day * 24 * HOUR_MS, day as f64 / 365.0)).collect();
    let svg = calendar(Frame::full("Days"), Shade::Better, "present", &days);
    assert!(svg.contains("<title>1970-01-01: 0 %</title>"), "{svg}");
    assert!(svg.len() < 48_000, "{}", svg.len());
}

#[test]
fn a_gap_a_fill_and_a_failure_leave_the_line_open() {
    let reading = |hour: i64, value: f64, mark| Reading { time_ms: hour * HOUR_MS, value: Some(value), mark };
    let mut readings: Vec<Reading> = (0..40).map(|hour| reading(hour, hour as f64, Mark::Observed)).collect();
    let joined = series(Frame::half("NO2"), None, &readings, &[]);
    readings[10].mark = Mark::Filled;
    readings[20].mark = Mark::Fail;
    readings[30].value = None;
    let open = series(Frame::half("NO2"), None, &readings, &[]);
    let pieces = |svg: &str| {
        svg.split("<path")
            .filter(|path| path.contains("\"s-observed\""))
            .map(|path| path.matches('M').count())
            .sum::<usize>()
    };
    assert_eq!(pieces(&open), pieces(&joined) + 3, "{open}");
    assert!(open.contains("1 fail. 1 filled, not observed. 1 missing. 3 gaps in the line."), "{open}");
}

#[test]
fn failures_far_off_do_not_flatten_the_rest() {
    let mut readings: Vec<Reading> = (0..40)
        .map(|hour| Reading { time_ms: hour * HOUR_MS, value: Some(hour as f64), mark: Mark::Observed })
        .collect();
    readings[7] = Reading { value: Some(1e9), mark: Mark::Fail, ..readings[7] };
    let svg = series(Frame::half("NO2"), None, &readings, &[]);
    assert!(svg.contains("1 of the failures off the scale, at its edge"), "{svg}");
    assert!(svg.contains("highest 1.00e9"), "{svg}");
    assert!(svg.contains(">40</text>") || svg.contains(">50</text>"), "{svg}");
}

#[test]
fn limits_are_lines_with_a_text_and_those_far_off_are_named_and_not_drawn() {
    let readings: Vec<Reading> = (0..40)
        .map(|hour| Reading { time_ms: hour * HOUR_MS, value: Some(hour as f64), mark: Mark::Observed })
        .collect();
    let limit = |value: f64, name: &str, fails| Limit { value, name: name.into(), fails };
    let limits = [limit(45.0, "fail above 45", true), limit(30.0, "suspect above 30", false), limit(9e3, "far", true)];
    let svg = series(Frame::half("NO2"), None, &readings, &limits);
    let lines: Vec<&str> = svg.split("<path").filter(|path| path.contains("\"s-limit\"")).collect();
    assert_eq!(lines.len(), 2, "{svg}");
    assert!(
        lines[0].contains("stroke-dasharray=\"8 3\"") && lines[1].contains("stroke-dasharray=\"2 3\""),
        "{lines:?}"
    );
    let place = |line: &str| {
        let d = line.split("d=\"M").nth(1).and_then(|d| d.split(['L', 'H']).next()).expect("a line");
        d.split(' ').nth(1).and_then(|y| y.parse::<f64>().ok()).expect("a place")
    };
    assert!(place(lines[0]) < place(lines[1]), "45 lies above 30");
    assert!(svg.contains(">fail above 45</text>") && svg.contains(">suspect above 30</text>"), "{svg}");
    assert!(svg.contains("Limits: fail above 45, suspect above 30. Beyond the scale: far."), "{svg}");
    // Texts of limits that are close share a place.
    let near = [limit(30.0, "suspect above 30", false), limit(30.5, "fail above 30.5", true)];
    assert!(series(Frame::half("NO2"), None, &readings, &near).contains(">suspect above 30, fail above 30.5</text>"));
}

#[test]
fn a_test_that_never_objected_is_told_from_one_that_does_not_look() {
    let cell = |count: u64| Some(HeatCell { count, share: 0.0 });
    let svg = heat_map(Frame::half("t"), Shade::Worse, &["a", "b"], &["x"], &[cell(0), None]);
    assert!(svg.contains(">0</text>") && svg.contains(">·</text>"), "{svg}");
    assert!(svg.contains("a, x: 0 (0 %)") && svg.contains("b, x: not tested"), "{svg}");
    assert!(svg.contains("f-worse0") && svg.contains("1 cell not tested."), "{svg}");
}

#[test]
fn every_colour_of_a_picture_has_its_rule() {
    let (values, times) = usual(200);
    for svg in all("NO2", &values, &times) {
        for class in svg.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            for word in class.split(' ') {
                assert!(STYLE.contains(&format!(".{word}")), "no rule for {word}");
            }
        }
    }
}

#[test]
fn a_line_of_a_terminal_fits_its_screen() {
    let points: Vec<(i64, Option<f64>)> =
        (0..500).map(|at| (at * 1000, (at % 90 > 5).then_some((at % 37) as f64))).collect();
    for points in [&points[..], &points[..1], &[]] {
        let text = terminal_line(points, 40, 4);
        assert_eq!(text.lines().count(), 4, "{text:?}");
        assert!(text.lines().all(|line| line.chars().count() == 40), "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert!(terminal_line(&points, 40, 4).chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3f64,
        1 => any::<f64>(),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e15, -1e15]),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..1_000 * HOUR_MS,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, -62_135_596_800_000, 253_402_300_799_999]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_input_gives_a_whole_picture(
        name in any::<String>(),
        readings in prop::collection::vec((any_value(), any_time()), 0..40),
        sorted in any::<bool>(),
    ) {
        let (mut values, mut times): (Vec<f64>, Vec<i64>) = readings.into_iter().unzip();
        if sorted {
            values.sort_by(f64::total_cmp);
            times.sort_unstable();
        }
        for svg in all(&name, &values, &times) {
            prop_assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
            prop_assert!(svg.len() < 100_000);
        }
        let points: Vec<(i64, Option<f64>)> = times.iter().copied().zip(values.iter().copied().map(Some)).collect();
        prop_assert_eq!(terminal_line(&points, 30, 3).lines().count(), 3);
    }
}
