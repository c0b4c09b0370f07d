//! Alerts of single stations and fields.

use super::common::{Run, START, carry, cells, monitored, names, stations, texts};
use crate::metrics::Phase;
use crate::monitor::AlertState::{Firing, Resolved};
use crate::monitor::{AlertSettings, Monitored};

fn silent_after(text: &str) -> AlertSettings {
    let silent_after = Some(serde_json::from_str(&format!("\"{text}\"")).expect("a span"));
    AlertSettings { window_secs: 10, silent_after, ..AlertSettings::default() }
}

#[test]
fn a_station_is_silent_where_others_send_and_resolves_when_it_sends_again() {
    let mut run = Run::with(silent_after("3h"));
    let hour = |hours: u64| START - 100 * 3_600 + hours * 3_600;
    assert_eq!(names(&run.pass(30, |now| stations(now, &[("a", hour(5)), ("b", hour(6))]))), []);
    let silent = run.pass(5, |now| stations(now, &[("a", hour(5)), ("b", hour(9))]));
    assert_eq!(names(&silent), [(31, "silent_after", Firing)]);
    assert_eq!(silent[0].1.alert.subject.as_deref(), Some("a"));
    assert_eq!(
        texts(&silent),
        [
            "the newest reading of station `a` is of 2023-11-10T23:13:20.000Z, 4 h behind the newest of all; `silent_after` in \
          [monitor.alerts] allows 3 h: look at the station and at its connection, the others send"
        ]
    );
    let back = run.pass(30, |now| stations(now, &[("a", hour(9)), ("b", hour(9))]));
    assert_eq!(names(&back), [(46, "silent_after", Resolved)]);
}

#[test]
fn a_network_that_pauses_and_a_clock_that_runs_ahead_accuse_nobody() {
    let mut run = Run::with(silent_after("1h"));
    assert_eq!(names(&run.pass(30, |now| stations(now, &[("a", 1_000), ("b", 2_000)]))), [], "old data");
    let ahead = run.pass(30, |now| stations(now, &[("a", START), ("b", START + 1_000_000)]));
    assert_eq!(names(&ahead), [], "not later than now");
}

#[test]
fn stations_are_judged_once_the_source_has_caught_up() {
    let mut run = Run::with(silent_after("1h"));
    let behind = run.pass(30, |now| {
        now.lag = Some(1_000);
        stations(now, &[("a", START - 50_000), ("b", START)]);
    });
    assert_eq!(names(&behind), [], "the partition of one may be read before that of the other");
    assert_eq!(names(&run.pass(30, |now| now.lag = Some(0))).len(), 1);
    let mut files = Run::of(Monitored { is_bounded: true, ..monitored(silent_after("1h")) });
    assert_eq!(names(&files.pass(30, |now| stations(now, &[("a", 0), ("b", START)]))), []);
    assert_eq!(files.end(Phase::Done).len(), 1, "at the end");
}

#[test]
fn twenty_stations_are_named_and_the_others_counted() {
    let mut run = Run::with(silent_after("1h"));
    let owned: Vec<String> = (0..30).map(|i| format!("s{i:02}")).collect();
    let all = |silent: usize| -> Vec<(&str, u64)> {
        let time = |i: usize| if i < silent { START - 10_000 - i as u64 } else { START };
        owned.iter().enumerate().map(|(i, name)| (name.as_str(), time(i))).collect()
    };
    let began = run.pass(12, |now| stations(now, &all(25)));
    assert_eq!(began.len(), 21);
    assert_eq!(run.status.alerts.iter().map(|alert| alert.subjects).sum::<u64>(), 25, "each is counted");
    let rest = began.iter().find(|(_, change)| change.alert.subject.is_none()).expect("one for the rest");
    assert!(rest.1.alert.text.starts_with("5 more stations are beyond the limit; `silent_after`"), "{rest:?}");
    assert!(began.iter().any(|(_, change)| change.alert.subject.as_deref() == Some("s24")), "those that are worst");
    assert_eq!(run.status.alerts.len(), 21);
    assert_eq!(run.pass(5, |now| stations(now, &all(29))).len(), 0, "a number that grows is no new alert");
    assert!(run.status.alerts[0].text.starts_with("9 more"), "{:?}", run.status.alerts[0]);
    let ended = run.pass(30, |now| stations(now, &all(0)));
    assert_eq!(ended.len(), 21);
    assert!(run.status.alerts.is_empty());
}

#[test]
fn stations_beyond_those_that_a_snapshot_names_are_counted_too() {
    let mut run = Run::with(silent_after("1h"));
    let silent: Vec<String> = (0..100).map(|i| format!("s{i:02}")).collect();
    let mut all: Vec<(&str, u64)> = silent.iter().map(|name| (name.as_str(), START - 10_000)).collect();
    all.push(("sends", START));
    run.pass(12, |now| {
        stations(now, &all);
        now.stations.silent = 2_500;
    });
    let firing = |run: &Run| run.status.alerts.iter().map(|alert| alert.subjects).sum::<u64>();
    assert_eq!(firing(&run), 2_500);
    assert!(
        run.status.alerts[0].text.starts_with("2480 more stations are beyond the limit; "),
        "{:?}",
        run.status.alerts[0]
    );
    run.pass(1, |now| now.stations.silent = 101);
    assert_eq!(firing(&run), 101);
}

#[test]
fn a_silent_station_that_leaves_the_list_of_the_oldest_is_found_again() {
    let mut run = Run::with(silent_after("1h"));
    assert_eq!(run.pass(12, |now| stations(now, &[("a", START - 9_000), ("b", START)])).len(), 1);
    // A thousand others are older now, and none of them is silent.
    let ended = run.pass(12, |now| stations(now, &[("c", START - 10), ("d", START - 5)]));
    assert_eq!(names(&ended).len(), 1, "{ended:?}");
    assert!(texts(&ended)[0].starts_with("station `a` sends again, as it should be"), "{ended:?}");
}

#[test]
fn shares_of_a_field_need_some_cells() {
    let limits = AlertSettings {
        window_secs: 10,
        missing_share: Some(0.5),
        unreadable_share: Some(0.2),
        fail_share: Some(0.3),
        ..AlertSettings::default()
    };
    let mut run = Run::with(limits);
    let few = run.pass(30, |now| cells(now, "CO(GT)", [0, 0, 0, 1, 0]));
    assert_eq!(names(&few), [], "10 cells in a window are fewer than `min_cells`");
    let changes = run.pass(5, |now| {
        cells(now, "CO(GT)", [10, 40, 0, 30, 0]);
        cells(now, "T", [10, 0, 10, 0, 14]);
        cells(now, "RH", [100, 10, 0, 0, 0]);
        carry(now, 100, 0, 1.0);
    });
    let found: Vec<_> =
        changes.iter().map(|(_, change)| (change.alert.alert.as_str(), change.alert.subject.as_deref())).collect();
    assert_eq!(
        found,
        [("missing_share", Some("CO(GT)")), ("unreadable_share", Some("T")), ("fail_share", Some("T"))],
        "a fill is no measured value"
    );
    let texts = texts(&changes);
    assert!(
        texts[0].contains(" cells of `CO(GT)` in the last 10 s (")
            && texts[0].contains("have no measured value: ")
            && texts[0].contains("; `missing_share` in [monitor.alerts] allows 50.0 %: look at the sensor"),
        "{texts:?}"
    );
    assert!(texts[1].contains("(50.0 %) cannot be read; `unreadable_share`"), "{texts:?}");
    assert!(texts[2].contains("(70.0 %) are flagged `fail`; `fail_share`"), "{texts:?}");
    let ended = run.pass(40, |now| ["CO(GT)", "T"].iter().for_each(|field| cells(now, field, [100, 0, 0, 0, 0])));
    assert_eq!(ended.len(), 3, "{ended:?}");
}
