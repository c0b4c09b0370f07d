//! Alerts of a pipeline as a whole.

use std::time::Duration;

use super::common::{Run, carry, monitored, names, texts};
use crate::metrics::{Phase, Snapshot};
use crate::monitor::AlertState::{Firing, Resolved};
use crate::monitor::{AlertSettings, Monitored};

/// A window of ten seconds, and no limits but those that are given a default.
fn settings() -> AlertSettings {
    AlertSettings { window_secs: 10, ..AlertSettings::default() }
}

#[test]
fn an_alert_fires_once_and_resolves_once_the_value_was_back_for_a_window() {
    let mut run = Run::with(settings());
    let began = run.pass(30, |now| carry(now, 10, 2, 1.0));
    assert_eq!(names(&began), [(10, "error_rate", Firing)], "the first window has passed");
    assert_eq!(
        texts(&began),
        [
            "20 of 100 records and requests failed in the last 10 s (20.0 %); `error_rate` in [monitor.alerts] allows 10.0 %: \
          `aqpipe dead-letters list` names records, warnings above name trouble with brokers"
        ]
    );
    assert_eq!((run.status.alerts.len(), run.status.alert_history.len()), (1, 1));
    let ended = run.pass(60, |now| carry(now, 10, 0, 1.0));
    assert_eq!(names(&ended), [(46, "error_rate", Resolved)], "6 s to come down to 8 %, and 10 s there");
    assert_eq!(
        texts(&ended),
        [
            "0 of 100 records and requests failed in the last 10 s (0.0 %), as it should be; `error_rate` in [monitor.alerts] \
          allows 10.0 %"
        ]
    );
    let history = &run.status.alert_history;
    assert_eq!((run.status.alerts.len(), history.len(), history[0].firing, history[1].firing), (0, 2, false, true));
}

#[test]
fn input_that_flaps_gives_one_alert() {
    let mut run = Run::with(settings());
    let mut second = 0;
    let changes = run.pass(600, |now| {
        second += 1;
        // Bad for a second in every eight: now above the limit, now below it.
        carry(now, 10, if second % 8 == 0 { 10 } else { 0 }, if second % 2 == 0 { 0.4 } else { 0.89 });
    });
    let mut kinds: Vec<_> = names(&changes).into_iter().map(|(_, name, state)| (name, state)).collect();
    kinds.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(kinds, [("error_rate", Firing), ("quality", Firing)]);
}

#[test]
fn low_quality_is_an_alert_until_scores_are_better_by_a_margin() {
    let mut run = Run::with(settings());
    let changes = run.pass(20, |now| carry(now, 5, 0, 0.6));
    assert_eq!(
        texts(&changes),
        [
            "the mean score of 50 records in the last 10 s is 0.600; `quality` in [monitor.alerts] asks for 0.700: `flags` and \
          `fills` of the output say which values are bad or missing"
        ]
    );
    assert_eq!(names(&run.pass(60, |now| carry(now, 5, 0, 0.72))), [], "within the margin");
    assert_eq!(names(&run.pass(60, |now| carry(now, 5, 0, 0.9))).len(), 1);
    let value = &run.status.alert_history[0];
    assert!((value.value - 0.9).abs() < 1e-9 && value.limit == 0.7, "{value:?}");
}

#[test]
fn an_alert_without_anything_to_judge_it_by_stays_and_says_so() {
    let mut run = Run::with(settings());
    assert_eq!(run.pass(20, |now| carry(now, 5, 0, 0.6)).len(), 1);
    assert_eq!(names(&run.pass(1_000, |_| {})), []);
    let text = &run.status.alerts[0].text;
    assert!(text.ends_with("are bad or missing (since then, there was nothing to judge it by)"), "{text}");
    run.pass(1, |now| carry(now, 5, 0, 0.6));
    assert!(run.status.alerts[0].text.ends_with("are bad or missing"));
}

#[test]
fn what_came_before_the_first_look_is_judged_too() {
    let mut run = Run::with(settings());
    carry(&mut run.now, 1_000, 500, 1.0);
    let changes = run.pass(30, |now| carry(now, 0, 0, 1.0));
    assert_eq!(names(&changes)[0], (10, "error_rate", Firing));
    assert!(texts(&changes)[0].starts_with("500 of 1000 records and requests failed"), "{changes:?}");
}

#[test]
fn a_run_that_is_over_reads_nothing_any_more() {
    let mut run = Run::with(settings());
    run.pass(20, |now| carry(now, 10, 0, 1.0));
    assert!(run.status.read_per_second > 9.0);
    run.end(Phase::Done);
    assert_eq!((run.status.read_per_second, run.status.written_per_second), (0.0, 0.0));
}

#[test]
fn an_outage_without_records_has_an_error_rate_too() {
    let mut run = Run::with(settings());
    let changes = run.pass(20, |now| now.errors += 1);
    assert_eq!(names(&changes), [(10, "error_rate", Firing)]);
    assert!(texts(&changes)[0].starts_with("10 of 10 records and requests failed"), "{changes:?}");
}

#[test]
fn throughput_is_compared_with_its_own_past() {
    let mut run = Run::with(settings());
    let changes = run.pass(60, |now| {
        now.lag = Some(1_000_000);
        carry(now, 100, 0, 1.0);
    });
    assert_eq!(names(&changes), []);
    let fell = run.pass(120, |now| carry(now, 20, 0, 1.0));
    assert_eq!(
        names(&fell).iter().map(|(_, name, state)| (*name, *state)).collect::<Vec<_>>(),
        [("throughput", Firing)]
    );
    assert!(
        texts(&fell)[0].contains(" records/s were read in the last 10 s, and 100 records/s before; `throughput`"),
        "{fell:?}"
    );
    let rose = run.pass(60, |now| carry(now, 90, 0, 1.0));
    assert_eq!(names(&rose).len(), 1, "a fall that lasts is no new standard: {rose:?}");
    assert!(texts(&rose)[0].contains("as it should be"), "{rose:?}");
}

#[test]
fn a_source_that_has_caught_up_is_not_slow() {
    let mut run = Run::with(settings());
    run.pass(60, |now| {
        now.lag = Some(5_000);
        carry(now, 1_000, 0, 1.0);
    });
    let idle = |now: &mut Snapshot| now.lag = Some(0);
    assert_eq!(names(&run.pass(30, idle)), []);
    assert_eq!(names(&run.pass(20, |now| carry(now, 1, 0, 1.0))), [], "as fast as records come");
    // It falls behind, and catches up.
    let fell = run.pass(30, |now| {
        now.lag = Some(500);
        carry(now, 1, 0, 1.0);
    });
    assert_eq!(names(&fell).len(), 1, "{fell:?}");
    let caught_up = run.pass(30, idle);
    assert!(texts(&caught_up)[0].starts_with("the source has caught up, with "), "{caught_up:?}");
    let mut paced = Run::of(Monitored { is_paced: true, ..monitored(settings()) });
    paced.pass(60, |now| {
        now.lag = Some(5_000);
        carry(now, 1_000, 0, 1.0);
    });
    assert_eq!(names(&paced.pass(60, |now| carry(now, 1, 0, 1.0))), [], "a source with a pace of its own");
}

#[test]
fn a_lag_that_grows_from_window_to_window_is_an_alert() {
    let mut run = Run::with(AlertSettings { lag_windows: Some(3), ..settings() });
    let mut lag = 100;
    let grows = run.pass(35, |now| {
        lag += 10;
        now.lag = Some(lag);
    });
    assert_eq!(names(&grows), [(31, "lag_windows", Firing)]);
    assert_eq!(
        texts(&grows),
        [
            "410 records wait in the source, and 30 s before 110 did; `lag_windows` in [monitor.alerts] warns where that grows \
          for 3 windows in a row: the input grows faster than it is carried, more instances may share the work"
        ]
    );
    assert_eq!(names(&run.pass(30, |now| now.lag = None)), [], "unknown is neither");
    let shrinks = run.pass(40, |now| {
        lag -= 5;
        now.lag = Some(lag);
    });
    assert_eq!(names(&shrinks).len(), 1, "{shrinks:?}");
    assert!(texts(&shrinks)[0].contains("no more than 10 s before, as it should be"), "{shrinks:?}");
}

#[test]
fn no_data_is_an_alert_where_somebody_asks_for_it_and_data_that_comes_seldom_gives_one() {
    let mut run = Run::with(AlertSettings { no_data_secs: Some(30), ..settings() });
    let silent = run.pass(60, |_| {});
    assert_eq!(names(&silent), [(32, "no_data_secs", Firing)]);
    assert!(texts(&silent)[0].starts_with("no record came for 31 s; `no_data_secs` in [monitor.alerts] allows 30 s: "));
    let mut second = 0;
    let seldom = run.pass(400, |now| {
        second += 1;
        carry(now, u64::from(second % 40 == 0), 0, 1.0);
    });
    assert_eq!(names(&seldom), []);
    let steady = run.pass(60, |now| carry(now, 1, 0, 1.0));
    assert_eq!(texts(&steady), ["records come, as it should be; `no_data_secs` in [monitor.alerts] allows 30 s"]);
    let mut off = Run::with(settings());
    assert_eq!(names(&off.pass(1_000, |_| {})), []);
}

#[test]
fn where_the_sink_takes_nothing_the_source_is_not_blamed() {
    let limits = AlertSettings { no_data_secs: Some(30), ..settings() };
    let mut run = Run::with(limits.clone());
    run.pass(5, |now| carry(now, 10, 0, 1.0));
    let stuck = run.pass(60, |now| {
        now.read = 70;
        now.uncommitted = 20;
        (now.splits[0].is_busy, now.splits[0].uncommitted) = (true, 20);
    });
    assert_eq!(names(&stuck), [(37, "no_data_secs", Firing)]);
    assert_eq!(
        texts(&stuck),
        [
            "20 records were read and are not written, and no more were read for 31 s; `no_data_secs` in [monitor.alerts] \
          allows 30 s: look at the sink, its brokers or its disk, before the source"
        ]
    );
    let silent = run.pass(1, |now| {
        now.uncommitted = 0;
        (now.splits[0].is_busy, now.splits[0].uncommitted) = (false, 0);
    });
    assert_eq!(names(&silent), [], "it goes on: now nothing is sent");
    assert!(run.status.alerts[0].text.starts_with("no record came for 60 s; "), "{:?}", run.status.alerts);
    let mut waits = Run::with(limits);
    let read = waits.pass(60, |now| {
        (now.read, now.uncommitted) = (7, 7);
        now.splits[0].uncommitted = 7;
    });
    assert!(
        texts(&read)[0].starts_with("no record came for 31 s; "),
        "a commit that is not due blames nobody: {read:?}"
    );
}

#[test]
fn an_error_that_ends_the_run_is_no_share_of_requests() {
    let mut run = Run::of(Monitored { is_bounded: true, ..monitored(settings()) });
    run.pass(20, |now| carry(now, 1, 0, 1.0));
    (run.now.errors, run.now.fatal_errors) = (1, 1);
    assert_eq!(run.end(Phase::Failed).len(), 0);
    assert_eq!((run.status.errors, run.status.health.alive), (1, false), "its health says so");
}

#[test]
fn what_is_measured_never_looks_like_the_limit_that_it_is_beyond() {
    let limits = AlertSettings { no_data_secs: Some(30), dead_letters: Some(0.1), ..settings() };
    let mut run = Run::with(limits);
    let changes = run.pass(20, |now| carry(now, 100_000, 10_004, 0.699_96));
    let texts = texts(&changes);
    assert!(
        texts[0].contains(" failed in the last 10 s (10.004 %); `error_rate` in [monitor.alerts] allows 10.0 %"),
        "{texts:?}"
    );
    assert!(texts[1].contains("is 0.69996; `quality` in [monitor.alerts] asks for 0.700"), "{texts:?}");
    assert!(texts[2].contains("(10.004 %); `dead_letters` in [monitor.alerts] allows 10.0 %"), "{texts:?}");
    let mut one = Run::with(AlertSettings { dead_letters: Some(0.1), ..settings() });
    one.pass(9, |_| {});
    let one = one.pass(1, |now| carry(now, 1, 1, 0.0));
    let texts = super::common::texts(&one);
    assert!(texts[0].starts_with("1 of 1 record or request failed "), "{texts:?}");
    assert!(texts[1].starts_with("1 of 1 record became a dead letter "), "{texts:?}");
}

#[test]
fn a_share_of_dead_letters_is_an_alert_of_its_own() {
    let mut run = Run::with(AlertSettings { dead_letters: Some(0.01), ..settings() });
    let changes = run.pass(20, |now| carry(now, 100, 2, 1.0));
    assert_eq!(
        texts(&changes),
        [
            "20 of 1000 records became dead letters in the last 10 s (2.0 %); `dead_letters` in [monitor.alerts] allows 1.0 %: \
          `aqpipe dead-letters list` shows them with their reasons"
        ]
    );
    assert_eq!(names(&run.pass(40, |now| carry(now, 100, 0, 1.0))).len(), 1);
}

#[test]
fn a_run_that_ends_by_itself_is_judged_at_its_end_once_and_as_a_whole() {
    let mut run = Run::of(Monitored { is_bounded: true, ..monitored(settings()) });
    assert_eq!(names(&run.pass(5, |now| carry(now, 10, 3, 0.5))), [], "less than a window");
    let ended = run.end(Phase::Done);
    let texts: Vec<_> = ended.iter().map(|change| change.alert.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("15 of 50 records and requests failed over the whole run (30.0 %);"), "{texts:?}");
    assert!(texts[1].starts_with("the mean score of 35 records over the whole run is 0.500;"), "{texts:?}");
    run.now.uptime += Duration::from_secs(100);
    assert!(run.look().is_empty(), "once");
    assert_eq!(run.status.alerts.len(), 2, "and they stay");
}

#[test]
fn at_its_end_an_alert_that_does_not_hold_for_the_whole_run_is_resolved() {
    let mut run = Run::of(Monitored { is_bounded: true, ..monitored(settings()) });
    run.pass(100, |now| carry(now, 100, 0, 1.0));
    assert_eq!(names(&run.pass(11, |now| carry(now, 10, 5, 1.0))).len(), 1);
    let ended = run.end(Phase::Done);
    assert_eq!(ended.iter().map(|change| change.state).collect::<Vec<_>>(), [Resolved]);
    assert!(ended[0].alert.text.contains("over the whole run (0.5 %), as it should be"), "{ended:?}");
    let mut endless = Run::with(settings());
    endless.pass(30, |now| carry(now, 10, 5, 1.0));
    assert!(endless.end(Phase::Stopped).is_empty(), "a stop resolves nothing");
    assert_eq!(endless.status.alerts.len(), 1);
}

#[test]
fn a_restart_says_nothing_of_alerts_before_it() {
    let mut run = Run::with(settings());
    run.pass(30, |now| carry(now, 10, 5, 1.0));
    assert_eq!(run.status.alerts.len(), 1);
    let mut again = Run::with(settings());
    let good = again.pass(100, |now| carry(now, 10, 0, 1.0));
    assert_eq!(names(&good), [], "no end of what this process did not begin");
    let mut bad = Run::with(settings());
    assert_eq!(names(&bad.pass(30, |now| carry(now, 10, 5, 1.0))).len(), 1, "what still holds is said anew");
}

#[test]
fn without_monitoring_nothing_is_judged() {
    let mut off = monitored(settings());
    off.settings.enabled = false;
    let mut run = Run::of(Monitored { is_bounded: true, ..off });
    assert_eq!(names(&run.pass(100, |now| carry(now, 10, 9, 0.1))), []);
    assert!(run.end(Phase::Done).is_empty());
    assert_eq!((run.status.read, run.status.alerts.len()), (1_000, 0), "a status is there for who asks");
}
