//! Runs of pipelines whose stages are in memory: what they lose, repeat or leave behind when anything fails anywhere.

mod backend;
mod facts;
mod growth;
mod losses;
mod stages;
mod swaps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::config::{Loader, Pipeline};
use aqpipe_engine::run::{Outcome, RunOptions, Summary, run};
use aqpipe_engine::stage::{Extensions, Registry};
use aqpipe_engine::{Error, ErrorKind};
use proptest::prelude::*;
use stages::{Record, SharedMemory};

struct TestRun {
    state: tempfile::TempDir,
    memory: Arc<SharedMemory>,
}

impl TestRun {
    fn with(records: Vec<Record>) -> TestRun {
        TestRun { state: tempfile::tempdir().expect("a directory"), memory: Arc::new(SharedMemory::with(records)) }
    }

    fn lose_state(&self) {
        let _ = std::fs::remove_dir_all(self.state.path().join("test"));
    }

    fn pipeline(&self, source: &str, rest: &str) -> Pipeline {
        let registry = Registry::collect().expect("stages");
        let state = self.state.path().display();
        let text = format!("name = \"test\"\nstate_dir = \"{state}\"\n[source]\ntype = \"memory\"\n{source}\n{rest}");
        let none = |_: &str| None;
        Loader::new(&registry, &none).load_text("test.toml", &text).map_err(|e| e.render(false)).expect("a pipeline")
    }

    fn run(&self, source: &str, rest: &str) -> Result<Summary, Error> {
        self.run_with(source, rest, |_| {})
    }

    fn run_with(&self, source: &str, rest: &str, change: impl FnOnce(&mut RunOptions)) -> Result<Summary, Error> {
        let mut options = RunOptions { extensions: Arc::new(Extensions::default()), ..RunOptions::default() };
        options.extensions.put(Arc::clone(&self.memory));
        change(&mut options);
        run(&self.pipeline(source, rest), &options)
    }
}

fn records(count: u64) -> Vec<Record> {
    (0..count).map(|i| Record::good(i, i as f64)).collect()
}

/// Sums over the records so far: a state that shows at once when a restart begins with the wrong one.
const SUMS: &str = "[[transform]]\ntype = \"sums\"\n";
/// Holds three records back.
const HOLD: &str = "[[transform]]\ntype = \"hold\"\nrows = 3\n";
const SINK: &str = "[sink]\ntype = \"memory\"\nbatch_size = 10\n";
const DEAD: &str = "[dead_letter]\ntype = \"memory\"\n";

#[test]
fn every_record_arrives_once_and_in_order_and_is_accounted_for() {
    let test = TestRun::with(records(95));
    let summary = test.run("", &format!("{HOLD}{SUMS}{SINK}")).expect("runs");
    assert_eq!(summary.outcome, Outcome::Done);
    let counts = &summary.metrics.counts;
    assert_eq!((counts.read, counts.written, counts.dead, counts.filtered, summary.metrics.held), (95, 95, 0, 0, 0));
    let sums: Vec<f64> = (0..95u64).map(|i| (0..=i).sum::<u64>() as f64).collect();
    assert_eq!(test.memory.values(), sums);
    let spans: Vec<(u64, u64)> =
        test.memory.visible().iter().map(|(span, _)| (span.from.offset, span.to.offset)).collect();
    let expected: Vec<(u64, u64)> = (0..10).map(|i| (i * 10, (i * 10 + 10).min(95))).collect();
    assert_eq!(spans, expected, "a file is what lies between two barriers of ten records read");
}

#[test]
fn without_dead_letters_a_bad_record_stops_the_run_with_its_place_and_what_came_before_is_there() {
    let mut input = records(50);
    input[37] = Record::bad(37, "it is bad");
    let test = TestRun::with(input);
    let error = test.run("", &format!("{SUMS}{SINK}")).expect_err("stops");
    assert_eq!(error.to_string(), "memory: it is bad at memory:37");
    assert_eq!(test.memory.values().len(), 37);
    let again = test.run("", &format!("{SUMS}{SINK}")).expect_err("is still bad");
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(test.memory.values().len(), 37, "nothing is there twice");
}

#[test]
fn with_dead_letters_a_bad_record_is_set_aside_in_the_same_cut() {
    let mut input = records(50);
    input[37] = Record::bad(37, "it is bad");
    input[41] = Record::good(41, -1.0);
    let test = TestRun::with(input);
    let rest = format!("[[transform]]\ntype = \"refuse\"\nbelow = 0.0\n{SUMS}{SINK}{DEAD}");
    let summary = test.run("", &rest).expect("runs");
    let counts = &summary.metrics.counts;
    assert_eq!((counts.read, counts.written, counts.dead), (50, 48, 2));
    let letters = test.memory.letters();
    let told: Vec<(u64, &str, &str)> =
        letters.iter().map(|l| (l.source_offset, l.stage.as_str(), l.reason.as_str())).collect();
    assert_eq!(told, [(37, "memory", "it is bad"), (41, "refuse", "-1 is below 0")]);
    let place = letters[1].place.as_deref();
    assert_eq!(place, Some("memory/0@41"), "a reader that knows no better place still has a split and an offset");
    assert_eq!(letters[1].raw.as_deref(), Some(&b"41"[..]), "the bytes that were read go with a rejected row");
}

#[test]
fn without_dead_letters_a_row_that_a_transform_rejects_stops_the_run_after_what_came_before_it() {
    let mut input = records(50);
    input[25] = Record::good(25, -1.0);
    let test = TestRun::with(input);
    let rest = format!("{SUMS}[[transform]]\ntype = \"refuse\"\nodd_one = 25\n{SINK}");
    let error = test.run("", &rest).expect_err("stops");
    assert!(error.to_string().starts_with("refuse: "), "{error}");
    assert_eq!(test.memory.values().len(), 25);
}

#[test]
fn a_row_that_is_rejected_late_leaves_the_state_of_all_stages_as_it_was_before_it() {
    let mut input = records(50);
    input[25] = Record::good(25, 0.5);
    let test = TestRun::with(input);
    // The sums go on from what the stage had before the batch with that row, and so do the rows that are held.
    let rest = |odd_one: u64| format!("{SUMS}{HOLD}[[transform]]\ntype = \"refuse\"\nodd_one = {odd_one}\n{SINK}");
    let sums: Vec<f64> = (0..50_u64).map(|i| (0..=i).map(|n| if n == 25 { 0.5 } else { n as f64 }).sum()).collect();
    for _ in 0..2 {
        let error = test.run("", &rest(25)).expect_err("stops");
        assert!(error.to_string().starts_with("refuse: "), "{error}");
        let values = test.memory.values();
        assert!(values.len() <= 25 && sums.starts_with(&values), "{values:?}");
    }
    test.run("", &rest(1_000)).expect("goes on");
    assert_eq!(test.memory.values(), sums);
}

#[test]
fn a_stop_keeps_held_rows_and_the_next_start_goes_on_with_them() {
    let test = TestRun::with(records(40));
    let rest = format!("{HOLD}{SUMS}{SINK}");
    let stop = CancellationToken::default();
    test.memory.stop_at(23, stop.clone());
    let stopped = test.run_with("", &rest, |options| options.cancellation = stop).expect("stops");
    assert_eq!((stopped.outcome, stopped.metrics.held), (Outcome::Stopped, 3));
    assert_eq!(stopped.metrics.counts.written + 3, stopped.metrics.counts.read);
    let summary = test.run("", &rest).expect("goes on");
    assert_eq!(summary.outcome, Outcome::Done);
    assert_eq!(test.memory.values(), (0..40u64).map(|i| (0..=i).sum::<u64>() as f64).collect::<Vec<_>>());
}

#[test]
fn a_stop_during_the_run_leaves_no_split_undrained() {
    let test = TestRun::with(records(10_000));
    let stop = CancellationToken::default();
    test.memory.stop_at(5_000, stop.clone());
    let summary = test.run_with("", &format!("{SUMS}{SINK}"), |options| options.cancellation = stop).expect("stops");
    let read = summary.metrics.counts.read;
    assert!((5_000..10_000).contains(&read), "it stops before the end: {read}");
    assert_eq!(read as usize, test.memory.values().len());
}

#[test]
fn a_completed_run_is_run_again_only_where_nothing_would_be_overwritten() {
    let test = TestRun::with(records(20));
    test.run("", &format!("{SUMS}{SINK}")).expect("runs");
    let unchanged = test.run("pace = 3", &format!("{SUMS}{SINK}")).expect("is not repeated");
    assert_eq!(unchanged.outcome, Outcome::NothingToDo);
    let rerun = |options: &mut RunOptions| options.rerun = true;
    let error = test.run_with("", &format!("{SUMS}{SINK}"), rerun).expect_err("refuses");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}");
    assert_eq!(test.run("rerun = \"never\"", &format!("{SUMS}{SINK}")).expect("fine").outcome, Outcome::NothingToDo);
    let fresh = test.run_with("", &format!("{SUMS}{SINK}"), |options| options.fresh = true).expect("runs");
    assert_eq!((fresh.outcome, test.memory.values().len()), (Outcome::Done, 20));

    let appends = format!("{SUMS}{SINK}again = true\n");
    let summary = test.run("", &appends).expect("an option was changed: writes once more");
    assert_eq!(summary.metrics.counts.written, 20);
    assert_eq!(test.run("", &appends).expect("unchanged since").outcome, Outcome::NothingToDo);
    assert_eq!(test.memory.values()[20..], test.memory.values()[..20], "from the beginning, with no state");
}

#[test]
fn other_stages_cannot_go_on_from_an_interrupted_run() {
    let test = TestRun::with(records(40));
    test.memory.fail_at(4);
    test.run("", &format!("{SUMS}{SINK}")).expect_err("fails");
    test.memory.fail_at(u64::MAX);
    let error = test.run("", &format!("{HOLD}{SUMS}{SINK}")).expect_err("refuses");
    assert!(error.to_string().contains("memory -> sums -> memory, now there are memory -> hold -> sums"), "{error}");
    test.run_with("", &format!("{HOLD}{SUMS}{SINK}"), |options| options.fresh = true).expect("starts afresh");
    assert_eq!(test.memory.values().len(), 40);
}

#[test]
fn a_second_run_of_the_same_pipeline_is_refused_while_the_first_one_runs() {
    let test = TestRun::with(records(10));
    let twin = test.pipeline("", &format!("{SUMS}{SINK}"));
    test.memory.when_read(
        5,
        Box::new(move || {
            let error = run(&twin, &RunOptions::default()).expect_err("is running");
            assert!(error.to_string().contains("`test` is running already"), "{error}");
        }),
    );
    test.run("", &format!("{SUMS}{SINK}")).expect("runs");
    assert_eq!(test.memory.values().len(), 10);
}

#[test]
fn a_change_of_fields_starts_a_new_output() {
    let mut input = records(30);
    input[14].extra = Some(7.0);
    let test = TestRun::with(input);
    test.run("", SINK).expect("runs");
    let spans: Vec<(u64, u64)> =
        test.memory.visible().iter().map(|(span, _)| (span.from.offset, span.to.offset)).collect();
    assert_eq!(spans, [(0, 10), (10, 14), (14, 15), (15, 25), (25, 30)]);
}

#[test]
fn a_replay_takes_as_long_as_its_steps_say_and_loses_nothing() {
    let test = TestRun::with(records(30));
    let started = Instant::now();
    test.run("interval_secs = 0.01", &format!("{SUMS}{SINK}")).expect("runs");
    assert!(started.elapsed() >= Duration::from_millis(290), "29 steps of 10 ms lie between 30 timestamps");
    assert_eq!(test.memory.values().len(), 30);
}

#[test]
fn a_survey_is_taken_once_and_is_still_there_after_a_crash() {
    let test = TestRun::with(records(40));
    let rest = format!("[[transform]]\ntype = \"minus_mean\"\n{SINK}");
    test.memory.fail_at(6);
    test.run("", &rest).expect_err("fails");
    test.memory.fail_at(u64::MAX);
    assert_eq!(test.memory.surveys(), 1);
    test.run("", &rest).expect("goes on");
    assert_eq!(test.memory.surveys(), 1, "what was learned belongs to the saved state");
    assert_eq!(test.memory.values(), (0..40).map(|i| f64::from(i) - 19.5).collect::<Vec<_>>());
}

#[test]
fn a_stage_that_panics_fails_the_run_and_not_the_process() {
    let test = TestRun::with(records(40));
    test.memory.panic_at(20);
    let error = test.run("", &format!("{SUMS}{SINK}")).expect_err("fails");
    let text = error.to_string();
    assert!(text.starts_with("memory: the stage panicked: ") && text.contains("memory/0"), "{text}");
    test.memory.panic_at(u64::MAX);
    test.run("", &format!("{SUMS}{SINK}")).expect("goes on");
    assert_eq!(test.memory.values().len(), 40);
}

/// Runs until nothing more comes and the split stands at `at`; returns where it had begun.
fn quiet_run(test: &TestRun, source: &str, rest: &str, at: u64) -> Option<u64> {
    let stop = CancellationToken::default();
    *test.memory.quiet_at.lock() = Some((at, stop.clone()));
    test.run_with(source, rest, |options| options.cancellation = stop).expect("stops");
    test.memory.starts.lock().pop().expect("a split")
}

#[test]
fn a_position_that_moved_over_what_is_no_record_is_committed_at_a_stop() {
    for backend in ["", "backend = \"transactional\"\n"] {
        let test = TestRun::with(records(5));
        let rest = format!("{SUMS}{SINK}{backend}");
        assert_eq!(quiet_run(&test, "", &rest, 5), None);
        assert_eq!(quiet_run(&test, "", &rest, 8), Some(5));
        assert_eq!(quiet_run(&test, "", &rest, 8), Some(8), "though nothing was read");
        assert_eq!(test.memory.values().len(), 5);
    }
}

#[test]
fn the_beginning_of_a_split_that_says_so_is_committed_though_nothing_was_read() {
    for backend in ["", "backend = \"transactional\"\n"] {
        let test = TestRun::with(Vec::new());
        let rest = format!("{SUMS}{SINK}{backend}");
        assert_eq!(quiet_run(&test, "", &rest, 0), None);
        assert_eq!(quiet_run(&test, "", &rest, 0), None, "nothing says where it began");
        assert_eq!(quiet_run(&test, "first_word = true", &rest, 0), None);
        assert_eq!(quiet_run(&test, "first_word = true", &rest, 0), Some(0));
    }
}

const TRANSACTIONAL: &str = "[sink]\ntype = \"memory\"\nbatch_size = 10\nbackend = \"transactional\"\n";

#[test]
fn a_commit_that_is_refused_is_read_again_from_the_last_one_and_the_run_goes_on() {
    let test = TestRun::with(records(95));
    *test.memory.transactions.refuse.lock() = Some(1);
    let summary = test.run("", &format!("{HOLD}{SUMS}{TRANSACTIONAL}")).expect("runs");
    assert_eq!(summary.outcome, Outcome::Done);
    assert!(test.memory.transactions.refuse.lock().is_none(), "a commit was refused");
    let counts = &summary.metrics.counts;
    assert_eq!((counts.read, counts.written), (95, 95), "what was refused does not count");
    let sums: Vec<f64> = (0..95u64).map(|i| (0..=i).sum::<u64>() as f64).collect();
    assert_eq!(test.memory.values(), sums, "the state of transforms went back too");
}

#[test]
fn a_commit_that_is_refused_for_a_split_that_was_lost_is_repeated_without_it_and_the_others_go_on() {
    let test = TestRun::with(records(400));
    let lost: aqpipe_engine::record::SplitId = "memory/1".into();
    *test.memory.transactions.lose.lock() = Some(lost);
    let summary = test.run("splits = 2", &format!("{SUMS}{TRANSACTIONAL}")).expect("runs");
    assert_eq!(summary.outcome, Outcome::Done);
    assert!(test.memory.transactions.lose.lock().is_none(), "a split was lost during a commit of both");
    assert_eq!(test.memory.starts.lock().len(), 3, "only the lost split was opened again");
    let sums = |split: u64| (0..200).map(|i| (0..=i).map(|i| 2 * i + split).sum::<u64>() as f64).collect::<Vec<_>>();
    let expected = [("memory/0".to_owned(), sums(0)), ("memory/1".to_owned(), sums(1))];
    assert_eq!(test.memory.by_split(), expected.into());
    assert_eq!(summary.metrics.counts.written, 400);
}

#[test]
fn who_cannot_decide_leaves_it_to_the_ledger_unless_more_was_asked_for() {
    let test = TestRun::with(records(30));
    *test.memory.transactions.unable.lock() = Some("no right to it".to_owned());
    let asked = format!("{TRANSACTIONAL}[monitor]\nenabled = false\n");
    let pipeline = test.pipeline("", &asked);
    assert_eq!(pipeline.delivery, aqpipe_engine::stage::Delivery::ExactlyOnce);
    let mut insists = pipeline.clone();
    insists.settings.delivery = Some(aqpipe_engine::stage::Delivery::ExactlyOnce);
    let mut options = RunOptions { extensions: Arc::new(Extensions::default()), ..RunOptions::default() };
    options.extensions.put(Arc::clone(&test.memory));
    let error = run(&insists, &options).expect_err("refuses");
    assert_eq!((error.kind(), error.to_string().contains("no right to it")), (ErrorKind::Config, true), "{error}");
    options.metrics = Arc::default();
    let summary = run(&pipeline, &options).expect("runs");
    assert_eq!(summary.delivery, aqpipe_engine::stage::Delivery::AtLeastOnce);
    assert_eq!(test.memory.values().len(), 30);
}

#[test]
fn positions_of_another_place_are_not_believed() {
    let test = TestRun::with(records(40));
    test.memory.fail_at(30);
    test.run("", &format!("{SUMS}{TRANSACTIONAL}")).expect_err("fails");
    test.memory.fail_at(u64::MAX);
    *test.memory.transactions.place.lock() = "elsewhere".to_owned();
    let error = test.run("", &format!("{SUMS}{TRANSACTIONAL}")).expect_err("refuses");
    assert!(error.to_string().contains("these brokers are cluster elsewhere"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
    test.run_with("", &format!("{SUMS}{TRANSACTIONAL}"), |options| options.fresh = true).expect("starts afresh");
    assert_eq!(test.memory.values().len(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    /// Whatever fails, however often: once a run is let to its end, the output is that of a run left alone.
    #[test]
    fn crashes_anywhere_change_nothing_in_the_output(
        count in 1u64..120,
        bad in proptest::collection::btree_set(0u64..120, 0..6),
        crashes in proptest::collection::vec(1u64..60, 0..6),
        splits in 1u64..4,
        batch_size in 1u64..25,
        backend in proptest::sample::select(vec!["", "backend = \"transactional\"\n", "backend = \"staged\"\n"]),
        refuse in proptest::option::of(0u64..10),
        lose_state in proptest::bool::ANY,
    ) {
        let mut input = records(count);
        for at in bad.range(..count) {
            input[*at as usize] = Record::bad(*at, "bad");
        }
        let source = format!("splits = {splits}");
        let with = |backend: &str| format!("{HOLD}{SUMS}[sink]\ntype = \"memory\"\nbatch_size = {batch_size}\n{backend}{DEAD}");
        let (rest, alone) = (with(backend), TestRun::with(input.clone()));
        alone.run(&source, &with("")).expect("runs");
        let shaken = TestRun::with(input);
        *shaken.memory.transactions.refuse.lock() = refuse;
        for crash in crashes {
            shaken.memory.fail_at(crash);
            if shaken.run(&source, &rest).is_ok() {
                break;
            }
            // What a coordinator decided is known without the state directory.
            if lose_state && !backend.is_empty() {
                shaken.lose_state();
            }
        }
        shaken.memory.fail_at(u64::MAX);
        match shaken.run(&source, &rest) {
            Ok(_) => {}
            Err(error) => prop_assert!(error.help_text().is_some_and(|help| help.contains("--fresh")), "{error}"),
        }
        prop_assert_eq!(shaken.memory.by_split(), alone.memory.by_split());
        let sorted = |memory: &SharedMemory| {
            let mut letters: Vec<u64> = memory.letters().iter().map(|letter| letter.source_offset).collect();
            letters.sort_unstable();
            letters
        };
        prop_assert_eq!(sorted(&shaken.memory), sorted(&alone.memory));
        prop_assert!(shaken.memory.nothing_prepared_is_left(), "undecided output is removed");
    }
}

#[test]
fn a_split_that_the_interrupted_run_had_not_ended_is_missed_before_anything_is_committed() {
    let test = TestRun::with(records(400));
    let rest = format!("{HOLD}{SUMS}{SINK}");
    let stop = CancellationToken::default();
    test.memory.stop_at(100, stop.clone());
    // Paced, so that neither comes to its end before the other one has begun.
    test.run_with("splits = 2\nfirst_word = true\ninterval_secs = 0.001", &rest, |options| options.cancellation = stop)
        .expect("stops");
    let before = test.memory.values().len();
    let error = test.run("splits = 1", &rest).expect_err("one of two is gone");
    let text = error.to_string();
    // How far that one had come is a matter of chance.
    assert!(text.contains(" records of `memory/1`") && text.contains("the source does not have it any more"), "{text}");
    assert_eq!(test.memory.values().len(), before);
    assert_eq!(test.run("splits = 2", &rest).expect("it is back").outcome, Outcome::Done);
    assert_eq!(test.memory.values().len(), 400);
}

#[test]
fn a_split_that_had_ended_is_not_missed() {
    // The second split has no records.
    let test = TestRun::with((0..200).map(|i| Record::good(2 * i, i as f64)).collect());
    let rest = format!("{HOLD}{SINK}");
    let stop = CancellationToken::default();
    test.memory.stop_at(100, stop.clone());
    test.run_with("splits = 2", &rest, |options| options.cancellation = stop).expect("stops");
    assert_eq!(
        test.run("splits = 1", &rest).map(|summary| summary.outcome).expect("nothing of it was left"),
        Outcome::Done
    );
}
