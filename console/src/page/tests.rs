//! What holds of the page.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::metrics::{Phase, RecentDeadLetter};
use aqpipe_engine::monitor::{
    AlertStatus, Bucket, DeadLetterStatus, Distribution, FieldStatus, Health, PipelineStatus, SplitStatus, StageStatus,
    StationStatus, StationsStatus, Status, TestStatus,
};

use super::{ASSETS, CONTENT_SECURITY_POLICY, Choice, Model, Moment, View, index, panels};
use crate::pictures::{Mark, Reading};

const HOSTILE: &str = "</div><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&\u{202e}\0";

/// A pipeline of which everything is named as `name`, with `many` of each.
fn model(name: &str, many: usize) -> Model {
    let text = || name.to_owned();
    let alert = || AlertStatus {
        alert: text(),
        subject: Some(text()),
        firing: true,
        since: text(),
        text: text(),
        ..AlertStatus::default()
    };
    let distribution = Distribution {
        count: 10,
        sum: 5.0,
        buckets: vec![Bucket { le: Some(0.5), count: 9 }, Bucket { le: None, count: 1 }],
    };
    let field = |at: usize| FieldStatus {
        field: format!("{name}{at}"),
        observed: 900,
        filled: BTreeMap::from([(text(), 50)]),
        missing: 50,
        suspect: 4,
        fail: 7,
        tests: vec![TestStatus { test: text(), suspect: 4, fail: 7 }],
        ..FieldStatus::default()
    };
    let pipeline = PipelineStatus {
        name: text(),
        instance: Some(text()),
        topology: text(),
        delivery: text(),
        phase: Phase::Running,
        failure: Some(text()),
        waits: vec![text()],
        health: Health { alive: true, ready: false, reasons: vec![text()], ready_reasons: vec![text()] },
        read: 7,
        expected: Some(100),
        scores: Some(distribution.clone()),
        batch_seconds: distribution,
        stages: (0..many).map(|_| StageStatus { stage: text(), seconds: 1.0, ..StageStatus::default() }).collect(),
        splits: (0..many).map(|_| SplitStatus { split: text(), lag: Some(3), ..SplitStatus::default() }).collect(),
        fields: (0..many).map(field).collect(),
        stations: StationsStatus {
            known: many as u64,
            oldest: (0..many)
                .map(|_| StationStatus { station: text(), newest_reading: text(), age_seconds: -1.0 })
                .collect(),
            others: 0,
        },
        dead_letters: (0..many)
            .map(|_| DeadLetterStatus {
                stage: text(),
                reason: text(),
                first_reason: text(),
                count: 1,
                first_place: text(),
            })
            .collect(),
        clients: vec![aqpipe_engine::metrics::ClientFigures { client: text(), ..Default::default() }],
        notes: BTreeMap::from([(text(), 1)]),
        alerts: (0..many).map(|_| alert()).collect(),
        alert_history: (0..many).map(|_| alert()).collect(),
        ..PipelineStatus::default()
    };
    let letter = || RecentDeadLetter {
        unix_ms: 0,
        stage: text(),
        reason: text(),
        place: text(),
        bytes: Some(name.as_bytes().to_vec()),
    };
    let moment = |at: usize| Moment {
        unix_ms: at as i64 * 5_000,
        read_per_second: 1.0,
        written_per_second: 1.0,
        mean_score: Some(0.9),
    };
    let view = View {
        history: (0..180).map(moment).collect(),
        stations: vec![text(), String::new()],
        fields: vec![text()],
        station: Some(text()),
        field: Some(text()),
        readings: (0..200)
            .map(|at| Reading { time_ms: at * 3_600_000, value: Some(1.0), mark: Mark::Observed })
            .collect(),
        dead_letters: (0..many).map(|_| letter()).collect(),
    };
    let other = PipelineStatus { name: format!("{name} too"), ..PipelineStatus::default() };
    let status = Status { version: text(), time: text(), pipelines: vec![pipeline, other], ..Status::default() };
    Model { status, view }
}

fn page(model: &Model) -> String {
    index(model, &Choice::default()).into_string()
}

fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn nothing_from_outside_is_markup() {
    let html = page(&model(HOSTILE, 3));
    assert_eq!(html.matches("<script").count(), 1, "only the file of the page");
    // What a form sends back is no text that is seen.
    let seen: String =
        html.split(" value=\"").map(|rest| rest.split_once('"').map_or(rest, |(_, seen)| seen)).collect();
    for forbidden in ["<img", "</div><script", "\u{202e}", "\0"] {
        assert!(!seen.contains(forbidden), "{forbidden:?}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn the_page_obeys_its_policy() {
    let html = page(&model("air-quality", 3));
    for forbidden in [" style=", "<style", " onclick=", " onload=", "javascript:", "http-equiv"] {
        assert!(!html.contains(forbidden), "{forbidden:?}");
    }
    for source in attributes(&html, "src").into_iter().chain(attributes(&html, "href")) {
        assert!(source.starts_with('/') || source.starts_with('#') || source.is_empty(), "{source:?} is elsewhere");
    }
    for file in ASSETS.iter().filter(|asset| asset.path != "/icon.svg") {
        assert!(
            !file.text.contains("://") && !file.text.contains("eval") && !file.text.contains("@import"),
            "{}",
            file.path
        );
        assert!(html.contains(&format!("\"{}\"", file.path)), "{} is not asked for", file.path);
    }
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none';") && !CONTENT_SECURITY_POLICY.contains("unsafe"));
}

#[test]
fn each_panel_has_its_element_and_ids_are_of_one_element() {
    let (model, choice) = (model("air-quality", 3), Choice::default());
    let html = page(&model);
    let ids = attributes(&html, "id");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    let parts = panels(&model, &choice);
    assert_eq!(parts.first().map(|(id, _)| *id), Some("p-time"), "a round without a change would be silent");
    for (id, content) in parts {
        assert!(unique.contains(id), "no element for {id}");
        assert!(html.contains(&content), "{id} differs from the page");
    }
}

#[test]
fn everything_has_a_name_for_those_who_do_not_see() {
    let html = page(&model("air-quality", 30));
    for label in attributes(&html, "for").into_iter().chain(attributes(&html, "aria-labelledby")) {
        assert!(html.contains(&format!(" id=\"{label}\"")), "nothing has the id {label}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("role=\"img\"").count());
    assert_eq!(html.matches("<svg").count(), html.matches("<desc>").count());
    assert_eq!(html.matches("<th ").count() + html.matches("<th>").count(), html.matches(" scope=\"").count());
    let scrolling = html.matches("class=\"scroll\"").count();
    assert!(scrolling > 5 && html.matches("tabindex=\"0\"").count() == scrolling);
    assert!(html.contains("class=\"skip\"") && html.contains("lang=\"en\""));
}

#[test]
fn the_page_stays_small_whatever_it_shows() {
    let html = page(&model("a station with a name of some length", 1_000));
    assert!(html.len() < 600_000, "{} bytes", html.len());
    let usual = page(&model("air-quality", 12));
    let files: usize = ASSETS.iter().map(|asset| asset.text.len()).sum();
    assert!(usual.len() + files < 160_000, "{} bytes of page and {files} of files", usual.len());
}

#[test]
fn bytes_of_dead_letters_are_shown_and_never_raw() {
    let mut model = model("air-quality", 1);
    model.view.dead_letters[0].bytes = Some(b"<b>\xff\x00".to_vec());
    assert!(page(&model).contains(r"<pre>&lt;b&gt;\xff\x00</pre>"));
    model.view.dead_letters[0].bytes = Some("ä".repeat(500).into_bytes());
    assert!(page(&model).contains(&format!("<pre>{} …</pre>", "ä".repeat(100))));
    model.view.dead_letters[0].bytes = None;
    assert!(page(&model).contains("Its bytes are not known."));
}

#[test]
fn a_choice_that_is_not_there_is_the_first() {
    let model = model("air-quality", 1);
    let of = |name: &str| Choice { pipeline: Some(name.into()), ..Choice::default() };
    let name = |choice: Choice| choice.pipeline_of(&model.status).map(|pipeline| pipeline.name.clone());
    assert_eq!(name(of("air-quality too")).as_deref(), Some("air-quality too"));
    assert_eq!(name(of("another")).as_deref(), Some("air-quality"));
    assert_eq!(Choice::pipeline_href("a b&c=<d>"), "/?pipeline=a+b%26c%3D%3Cd%3E");
}

#[test]
fn a_process_without_a_pipeline_says_so() {
    assert!(page(&Model::default()).contains("No pipeline runs in this process"));
}

#[test]
fn the_state_is_a_word_as_well_as_a_colour() {
    let mut model = model("air-quality", 0);
    model.status.pipelines.truncate(1);
    let badge = |model: &Model| {
        let html = page(model);
        html.split("class=\"badge ")
            .nth(1)
            .map(|rest| rest[..rest.find("</p>").unwrap_or(0)].to_owned())
            .unwrap_or_default()
    };
    assert!(badge(&model).starts_with("warn") && badge(&model).ends_with("running, not ready"), "{}", badge(&model));
    model.status.pipelines[0].health.ready = true;
    assert!(badge(&model).starts_with("good") && badge(&model).ends_with("running"));
    model.status.pipelines[0].alerts = vec![AlertStatus::default()];
    assert!(badge(&model).starts_with("warn") && badge(&model).ends_with("running, 1 alert"));
    model.status.pipelines[0].health.alive = false;
    assert!(badge(&model).starts_with("bad"));
    model.status.pipelines[0].phase = Phase::Failed;
    assert!(badge(&model).starts_with("bad") && badge(&model).ends_with("failed"));
}

#[test]
fn the_script_is_short() {
    let script = ASSETS.iter().find(|asset| asset.path == "/page.js").map_or("", |asset| asset.text);
    assert!(script.lines().count() <= 100);
}

#[test]
fn a_test_that_looks_at_a_field_and_never_objected_is_a_nought_and_one_that_does_not_look_a_dot() {
    let mut model = model("air-quality", 3);
    for (at, field) in model.status.pipelines[0].fields.iter_mut().enumerate() {
        let test = |test: &str, fail: u64| TestStatus { test: test.into(), suspect: 0, fail };
        field.tests = match at {
            0 => vec![test("gross_range", 7)],
            1 => vec![test("gross_range", 0)],
            _ => Vec::new(),
        };
    }
    let html = page(&model);
    let picture = html.split("Values to which tests objected, by field and test").nth(1).expect("the heat map");
    let picture = &picture[..picture.find("</svg>").expect("its end")];
    for text in [">7</text>", ">0</text>", ">·</text>"] {
        assert_eq!(picture.matches(text).count(), 1, "{text} in {picture}");
    }
}

#[test]
fn reasons_whose_classes_read_alike_are_told_apart_by_an_example() {
    let mut model = model("air-quality", 2);
    for (at, group) in model.status.pipelines[0].dead_letters.iter_mut().enumerate() {
        group.reason = ["`…` is no time", "… is no time"][at].into();
        group.first_reason = ["`2004-13` is no time", "the 13th is no time"][at].into();
    }
    let html = page(&model);
    assert!(html.contains("<code>2004-13</code> is no time") && html.contains("the 13th is no time"));
}

#[test]
fn names_of_any_length_are_whole_or_cut_in_their_middle_by_one_rule() {
    let long = format!("{}-at-the-end", "station-with-a-long-name-".repeat(5));
    let html = page(&model(&long, 1));
    assert!(html.contains(&format!("class=\"long\" scope=\"row\">{long}</th>")), "whole, and over several lines");
    let endless = format!("{}-at-the-end", "x".repeat(3_000));
    let html = page(&model(&endless, 1));
    let shown = crate::names::name(&endless).into_owned();
    assert!(shown.ends_with("-at-the-end") && html.contains(&format!("scope=\"row\">{shown}</th>")));
}
