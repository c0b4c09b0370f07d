//! What is measured of a run.

use std::sync::Arc;

use aqpipe_engine::ErrorClass;
use aqpipe_engine::metrics::{ENGINE, Metrics, Phase, Snapshot};
use aqpipe_engine::monitor::{About, PipelineStatus};

use super::stages::Record;
use super::{DEAD, HOLD, SINK, SUMS, TRANSACTIONAL, TestRun, records};

#[test]
fn a_run_is_measured_by_stage_by_split_and_by_field() {
    let mut input = records(95);
    input[37] = Record::bad(37, "it is bad");
    let test = TestRun::with(input);
    let metrics = Arc::new(Metrics::default());
    metrics.keep_recent_output();
    let rest = format!("{HOLD}{SUMS}{SINK}{DEAD}");
    let summary = test.run_with("", &rest, |options| options.metrics = Arc::clone(&metrics)).expect("runs");
    let now = summary.metrics;
    assert_eq!((now.phase, now.read, now.counts.read, now.counts.written), (Phase::Done, 95, 95, 94));
    assert_eq!(now.instance.as_deref(), Some("0"));
    let end = now.uptime;
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert_eq!(metrics.snapshot().uptime, end, "a run that is over grows no older");
    assert_eq!(now.checkpoints_waiting, 0, "all are committed");
    for (what, histogram) in [
        ("commits", &now.commit_seconds),
        ("checkpoints", &now.checkpoint_seconds),
        ("batches", &now.batch_seconds),
        ("processing latency", &now.processing_latency_seconds),
        ("event latency", &now.event_latency_seconds),
    ] {
        assert!(histogram.count() > 0, "{what}");
    }
    assert_eq!(now.batch_rows.sum(), 95.0);
    assert_eq!(now.checkpoint_seconds.count(), now.checkpoints);
    let split = &now.splits[0];
    assert_eq!((now.splits.len(), split.read, split.committed.read, split.committed.dead), (1, 95, 95, 1));
    assert_eq!((split.is_open, split.lag), (false, None));
    let field = &now.fields[0];
    assert_eq!((field.tally.observed(), field.tally.missing, field.flags.iter().sum::<u64>()), (94, 0, 94));
    let recent = metrics.recent_output().expect("kept");
    assert_eq!(recent.dead_letters()[0].reason, "it is bad");
    assert_eq!(recent.stations().len(), 1);
    let status = PipelineStatus::of(&About::default(), &Metrics::default().snapshot(), &now, 0);
    let stages: Vec<(&str, u64, u64, u64)> =
        status.stages.iter().map(|it| (&*it.stage, it.rows_in, it.rows_out, it.dead_letters)).collect();
    let carried = [("memory", 95, 94, 1), ("hold", 94, 94, 0), ("sums", 94, 94, 0), ("memory (sink)", 94, 94, 0)];
    assert_eq!(stages, carried);
    assert_eq!((status.dead_letters.len(), status.dead_letters[0].count), (1, 1));
}

#[test]
fn a_failure_is_told_and_what_was_read_is_no_commit() {
    let mut input = records(50);
    input[37] = Record::bad(37, "it is bad");
    let test = TestRun::with(input);
    let metrics = Arc::new(Metrics::default());
    test.run_with("", SINK, |options| options.metrics = Arc::clone(&metrics)).expect_err("fails");
    let now = metrics.snapshot();
    assert_eq!((now.phase, now.failure.as_deref()), (Phase::Failed, Some("memory: it is bad at memory:37")));
    assert!(now.read > now.counts.read && now.counts.read == 37, "{} read, {}", now.read, now.counts.read);
}

/// The errors of a run by stage and class, and whether it failed.
fn errors(test: &TestRun, source: &str, rest: &str) -> (Vec<(String, ErrorClass, u64)>, Snapshot) {
    let metrics = Arc::new(Metrics::default());
    let ran = test.run_with(source, rest, |options| options.metrics = Arc::clone(&metrics));
    let now = metrics.snapshot();
    assert_eq!(ran.is_err(), now.phase == Phase::Failed, "{ran:?}");
    assert_eq!(now.fatal_errors, now.errors, "nothing was tried again");
    (now.errors_by.iter().map(|error| (error.stage.clone(), error.class, error.count)).collect(), now)
}

#[test]
fn whatever_ends_a_run_is_counted_as_an_error() {
    for rest in [format!("{SUMS}{SINK}{DEAD}"), format!("{SUMS}{TRANSACTIONAL}")] {
        let mut failed = 0;
        for step in 0.. {
            let test = TestRun::with(records(40));
            test.memory.fail_at(step);
            let (errors, now) = errors(&test, "", &rest);
            if now.phase != Phase::Failed {
                assert!(errors.is_empty(), "{errors:?}");
                break;
            }
            failed += 1;
            assert!(!errors.is_empty(), "step {step}: {:?}", now.failure);
        }
        assert!(failed > 10, "each step of the protocol fails in turn: {failed}");
    }
}

#[test]
fn errors_are_told_apart_by_stage_and_class() {
    let of = |test: &TestRun, rest: &str| errors(test, "", rest).0;
    let one = |stage: &str, class| vec![(stage.to_owned(), class, 1)];
    let mut input = records(50);
    input[37] = Record::bad(37, "it is bad");
    let bad = TestRun::with(input);
    assert_eq!(
        of(&bad, &format!("{SUMS}{SINK}")),
        one("memory (source or sink)", ErrorClass::Other),
        "both are called so"
    );
    let panics = TestRun::with(records(40));
    panics.memory.panic_at(20);
    assert_eq!(of(&panics, &format!("{SUMS}{SINK}")), one("memory (source or sink)", ErrorClass::Panic));
    let stateless = TestRun::with(records(40));
    let in_the_way = stateless.state.path().join("test");
    std::fs::write(&in_the_way, "a file where the directory should be").expect("written");
    let errors = of(&stateless, SINK);
    assert_eq!((errors.len(), &*errors[0].0), (1, ENGINE), "{errors:?}");
    let none = TestRun::with(records(40));
    assert_eq!(of(&none, SINK), []);
}

#[test]
fn what_waits_counts_from_what_was_read_and_from_the_commit() {
    let test = TestRun::with(records(40));
    let (_, now) = errors(&test, "", SINK);
    assert_eq!(
        (now.uncommitted, now.lag, now.lag_committed),
        (0, None, None),
        "no split is open, and none knows its end"
    );
    assert_eq!(now.splits[0].uncommitted, 0);
}
