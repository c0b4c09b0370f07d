//! What probes are told.

use std::time::Duration;

use super::common::{Run, carry, monitored};
use crate::metrics::{BrokerAway, Histogram, Phase, Snapshot};
use crate::monitor::{AlertSettings, Monitored};

fn run(stuck_after_secs: u64) -> Run {
    let mut monitored = monitored(AlertSettings::default());
    monitored.settings.stuck_after_secs = stuck_after_secs;
    Run::of(Monitored { commit_interval: Duration::from_secs(5), ..monitored })
}

fn commit(now: &mut Snapshot) {
    let mut commits = std::mem::replace(&mut now.commit_seconds, Histogram::of_seconds());
    commits.observe(0.01);
    now.commit_seconds = commits;
    now.counts.read = now.read;
}

#[test]
fn bad_data_makes_nobody_dead() {
    let mut run = run(10);
    run.pass(100, |now| {
        carry(now, 10, 10, 0.0);
        commit(now);
    });
    let health = &run.status.health;
    assert!(health.alive && health.ready && !run.status.alerts.is_empty(), "{health:?}");
}

#[test]
fn a_run_that_reads_and_commits_nothing_is_stuck() {
    let mut run = run(10);
    run.pass(15, |now| now.read += 7);
    assert!(run.status.health.alive, "the next commit may come yet");
    run.pass(1, |now| now.read += 7);
    let health = &run.status.health;
    assert_eq!(
        health.reasons,
        [
            "it is stuck: records were read 15 s ago, and nothing has been committed since (`stuck_after_secs` in [monitor] is \
          10); 112 were read and 0 committed"
        ]
    );
    assert!(!health.alive);
    run.pass(1, commit);
    assert!(run.status.health.alive);
}

#[test]
fn who_waits_or_has_nothing_to_commit_is_not_stuck() {
    let mut idle = run(10);
    idle.pass(3, |now| now.read += 7);
    idle.pass(1, commit);
    idle.pass(1_000, |_| {});
    assert!(idle.status.health.alive, "all is committed");

    let mut waits = run(10);
    waits.pass(1_000, |now| {
        now.read += u64::from(now.read < 100);
        now.waits = vec!["kafka: a broker that answers".to_owned()];
    });
    let health = &waits.status.health;
    assert!(health.alive && !health.ready, "a restart would not end the wait");
    assert_eq!(health.ready_reasons, ["it waits for a broker that answers"]);

    let mut revoked = run(10);
    revoked.pass(3, |now| now.read += 7);
    revoked.pass(1_000, |now| now.splits[0].is_open = false);
    let health = &revoked.status.health;
    assert!(health.alive, "another process reads again what was not committed");
    assert_eq!(health.ready_reasons, ["it has no partition and no file to read: it stands by until it gets one"]);
}

#[test]
fn a_checkpoint_that_waits_for_its_commit_is_stuck_too() {
    let mut run = run(10);
    run.pass(3, |now| now.read += 7);
    run.pass(1, commit);
    run.pass(30, |now| now.checkpoints_waiting = 1);
    assert!(!run.status.health.alive);
}

#[test]
fn a_run_that_failed_is_dead_and_says_why() {
    let mut run = run(10);
    run.pass(3, |now| now.failure = Some("the disk is full".to_owned()));
    run.end(Phase::Failed);
    let health = &run.status.health;
    assert_eq!(health.reasons, ["the run failed: the disk is full"]);
    assert!(!health.alive && !health.ready);
}

#[test]
fn a_run_is_ready_once_it_has_caught_up_as_far_as_asked() {
    let mut monitored = monitored(AlertSettings::default());
    monitored.settings.ready_lag = Some(100);
    let mut run = Run::of(monitored);
    let reasons = |run: &mut Run, lag| {
        run.pass(1, |now| now.lag = lag);
        run.status.health.ready_reasons.clone()
    };
    assert_eq!(
        reasons(&mut run, None),
        ["it is not known how many records wait in the source, and `ready_lag` asks for it"]
    );
    assert_eq!(
        reasons(&mut run, Some(101)),
        ["101 records wait in the source, and `ready_lag` in [monitor] allows 100"]
    );
    assert!(reasons(&mut run, Some(100)).is_empty());
    for phase in [Phase::Starting, Phase::Stopping, Phase::Done, Phase::Stopped] {
        run.now.phase = phase;
        run.look();
        let health = &run.status.health;
        assert!(health.alive && !health.ready && health.ready_reasons.len() == 1, "{phase:?}: {health:?}");
    }
}

#[test]
fn a_broker_that_does_not_answer_is_named_with_the_time_and_makes_nobody_dead() {
    let mut run = run(10);
    run.pass(5, |now| now.read += 7);
    let broker = |seconds| BrokerAway {
        broker: "127.0.0.1:9092".to_owned(),
        seconds,
        reason: "timed out".to_owned(),
        is_asked: true,
    };
    run.pass(100, |now| now.brokers_away = vec![broker(12.7)]);
    let health = &run.status.health;
    assert!(health.alive && !health.ready, "{health:?}");
    assert_eq!(health.ready_reasons, ["broker 127.0.0.1:9092 has not answered for 12 s (timed out)"]);
    assert_eq!(run.status.brokers_away, [broker(12.7)]);
    run.pass(1, |now| now.brokers_away[0].is_asked = false);
    assert!(run.status.health.ready && run.status.brokers_away.len() == 1, "others do its work");
    run.pass(1, |now| now.brokers_away.clear());
    assert!(run.status.health.ready, "{:?}", run.status.health);
    let mut starts = Run::of(monitored(AlertSettings::default()));
    starts.pass(1, |now| (now.phase, now.brokers_away) = (Phase::Starting, vec![broker(3.0)]));
    let reasons = &starts.status.health.ready_reasons;
    assert!(reasons[0].starts_with("it starts") && reasons[1].contains("127.0.0.1:9092"), "{reasons:?}");
}
