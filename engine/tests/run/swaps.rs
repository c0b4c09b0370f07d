//! Transforms of a running pipeline are swapped: for all splits at a checkpoint, or for none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aqpipe_engine::Error;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::metrics::Metrics;
use aqpipe_engine::run::{Outcome, RunControl, Summary};

use super::{HOLD, SINK, SUMS, TestRun, records};

/// Records a split, and a pace that lets a run take some seconds.
const RECORDS: u64 = 600;
const SLOW: &str = "interval_secs = 0.003";

/// Swaps the transforms for `new` once the run has read some records; returns the run's summary, and what the swap said.
fn swap(test: &TestRun, source: &str, rest: &str, new: &str, stop_afterwards: bool) -> (Summary, Result<(), Error>) {
    let (control, stop) = (RunControl::default(), CancellationToken::default());
    let metrics = Arc::new(Metrics::default());
    std::thread::scope(|scope| {
        let (given, token, counted) = (control.clone(), stop.clone(), Arc::clone(&metrics));
        let running = scope.spawn(move || {
            test.run_with(source, rest, |options| {
                (options.control, options.cancellation, options.metrics) = (given, token, counted);
            })
        });
        while metrics.progress.load(Ordering::Relaxed) < RECORDS / 4 && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let swapped = control.reconfigure(&test.pipeline(source, new));
        if stop_afterwards {
            stop.stop();
        }
        (running.join().expect("a thread").expect("runs"), swapped)
    })
}

fn sums() -> Vec<f64> {
    (0..RECORDS).map(|i| (0..=i).sum::<u64>() as f64).collect()
}

#[test]
fn a_stage_with_the_same_options_keeps_its_state_and_one_with_others_takes_it_over() {
    for backend in ["", "backend = \"transactional\"\n", "backend = \"staged\"\n"] {
        let test = TestRun::with(records(RECORDS));
        let new = format!("[[transform]]\ntype = \"hold\"\nrows = 9\n{SUMS}{SINK}{backend}");
        let (summary, swapped) = swap(&test, SLOW, &format!("{HOLD}{SUMS}{SINK}{backend}"), &new, false);
        swapped.expect("both go on with their state");
        assert_eq!((summary.outcome, summary.metrics.held), (Outcome::Done, 0));
        assert_eq!(test.memory.values(), sums(), "no row is lost, given up early or summed twice");
    }
}

#[test]
fn a_run_that_was_swapped_goes_on_with_the_new_stages_after_a_stop() {
    let refuse = "[[transform]]\ntype = \"refuse\"\nbelow = -1.0\n";
    for backend in ["", "backend = \"transactional\"\n", "backend = \"staged\"\n"] {
        // A stage is added; one is removed though it has a state; one has another type under its name.
        for (old, new) in [
            (HOLD.to_owned(), format!("{HOLD}{SUMS}")),
            (format!("{HOLD}{SUMS}"), HOLD.to_owned()),
            (format!("{HOLD}{SUMS}id = \"b\"\n"), format!("{HOLD}{refuse}id = \"b\"\n")),
        ] {
            let test = TestRun::with(records(RECORDS));
            let (old, new) = (format!("{old}{SINK}{backend}"), format!("{new}{SINK}{backend}"));
            let (summary, swapped) = swap(&test, SLOW, &old, &new, true);
            swapped.expect("the stages are swapped");
            assert_eq!(summary.outcome, Outcome::Stopped);
            test.run("", &old).expect_err("the run has other stages by now");
            let rest = test.run("", &new).expect("goes on");
            assert_eq!((rest.outcome, test.memory.values().len() as u64), (Outcome::Done, RECORDS));
        }
    }
}

#[test]
fn a_swap_during_a_stop_is_refused_or_done_by_all_and_the_next_start_goes_on() {
    let (old, new) = (format!("{HOLD}{SUMS}{SINK}"), format!("{HOLD}{SINK}"));
    for delay in [0, 1, 5, 20, 50, 120] {
        let test = TestRun::with(records(RECORDS));
        let (control, stop) = (RunControl::default(), CancellationToken::default());
        let metrics = Arc::new(Metrics::default());
        let swapped = std::thread::scope(|scope| {
            let (given, token, counted) = (control.clone(), stop.clone(), Arc::clone(&metrics));
            let (test, old) = (&test, &old);
            let running = scope.spawn(move || {
                test.run_with(&format!("{SLOW}\nsplits = 2"), old, |options| {
                    (options.control, options.cancellation, options.metrics) = (given, token, counted);
                })
            });
            while metrics.progress.load(Ordering::Relaxed) < RECORDS / 4 && !running.is_finished() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let stopping = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(delay));
                stop.stop();
            });
            let swapped = control.reconfigure(&test.pipeline(&format!("{SLOW}\nsplits = 2"), &new));
            stopping.join().expect("a thread");
            running.join().expect("a thread").expect("stops");
            swapped
        });
        let rest = if swapped.is_ok() { &new } else { &old };
        test.run("splits = 2", rest).unwrap_or_else(|error| panic!("{delay} ms, {swapped:?}: {error}"));
        assert_eq!(test.memory.values().len() as u64, RECORDS, "{delay} ms");
    }
}

#[test]
fn a_stage_that_holds_rows_is_not_removed_and_nothing_is_changed() {
    let test = TestRun::with(records(RECORDS));
    let (summary, swapped) =
        swap(&test, &format!("{SLOW}\nsplits = 2"), &format!("{HOLD}{SUMS}{SINK}"), &format!("{SUMS}{SINK}"), false);
    let error = swapped.expect_err("refused");
    assert!(error.to_string().starts_with("hold: it holds ") && error.to_string().contains("is removed"), "{error}");
    assert_eq!((summary.outcome, test.memory.values().len() as u64), (Outcome::Done, RECORDS));
}

#[test]
fn more_than_transforms_is_not_changed_while_a_pipeline_runs() {
    let test = TestRun::with(records(RECORDS));
    let other_sink = format!("{SUMS}[sink]\ntype = \"memory\"\nbatch_size = 11\n");
    let (_, swapped) = swap(&test, SLOW, &format!("{SUMS}{SINK}"), &other_sink, false);
    let error = swapped.expect_err("refused");
    assert!(error.to_string().contains("`[sink]` differs"), "{error}");
    let error = RunControl::default().reconfigure(&test.pipeline("", &other_sink)).expect_err("nothing runs");
    assert!(error.to_string().contains("does not run"), "{error}");
}

#[test]
fn each_stage_counts_its_rows() {
    let test = TestRun::with(records(20));
    let summary = test.run("", &format!("{HOLD}{SUMS}{SINK}")).expect("runs");
    let stages: Vec<(&str, u64, u64)> =
        summary.metrics.stages.iter().map(|(id, counts)| (&**id, counts.rows_in, counts.rows_out)).collect();
    assert_eq!(stages, [("memory", 20, 20), ("hold", 20, 20), ("sums", 20, 20), ("memory (sink)", 20, 20)]);
}
