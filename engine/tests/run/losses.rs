//! Runs whose records become dead letters.

use aqpipe_engine::ErrorKind;
use aqpipe_engine::run::Outcome;
use proptest::prelude::*;

use crate::stages::Record;
use crate::{DEAD, SINK, TestRun};

/// Records of which those are bad that `is_bad` says.
fn input(count: u64, is_bad: impl Fn(u64) -> bool) -> Vec<Record> {
    (0..count).map(|i| if is_bad(i) { Record::bad(i, "it is bad") } else { Record::good(i, i as f64) }).collect()
}

#[test]
fn the_first_hundred_records_that_all_die_stop_the_run_and_a_restart_after_the_next_hundred() {
    let test = TestRun::with(input(1_000, |_| true));
    let rest = format!("{SINK}{DEAD}");
    for stops in 1..4 {
        let error = test.run("", &rest).expect_err("stops");
        assert_eq!(error.kind(), ErrorKind::DeadLetters);
        let place = (stops - 1) * 100;
        let says = format!(
            "memory: the first 100 records became dead letters, all for one reason: it is bad at memory:{place}"
        );
        assert_eq!(error.to_string(), says);
        assert_eq!(test.memory.letters().len() as u64, stops * 100, "nothing is lost, and no more was read");
    }
    let summary = test.run("", &format!("{rest}stop_first = 0\nstop_above = 1\n")).expect("goes on");
    assert_eq!((summary.outcome, summary.metrics.counts.dead), (Outcome::Done, 700));
    assert_eq!(test.memory.letters().len(), 1_000);
    assert_eq!(summary.metrics.dead_letters.lines(), ["700  memory  it is bad; first at memory:300"]);
}

#[test]
fn a_good_record_among_the_first_ones_leaves_the_decision_to_the_last_thousand() {
    let rest = format!("{SINK}{DEAD}");
    let test = TestRun::with(input(999, |i| i != 50));
    assert_eq!(test.run("", &rest).expect("fewer than a thousand").outcome, Outcome::Done);
    let test = TestRun::with(input(5_000, |i| i % 3 != 0));
    let error = test.run("", &rest).expect_err("stops");
    assert!(
        error.to_string().contains("of the last 1000 records became dead letters, most of all: it is bad"),
        "{error}"
    );
    let carried = test.memory.letters().len() + test.memory.values().len();
    assert!((1_000..1_200).contains(&carried), "it stops soon: {carried}");
    let test = TestRun::with(input(5_000, |i| i % 2 != 0));
    assert_eq!(test.run("", &rest).expect("half is not more than half").outcome, Outcome::Done);
    let test = TestRun::with(input(5_000, |i| i % 3 != 0));
    assert!(test.run("", &format!("{rest}stop_above = 0.7\n")).is_ok());
}

#[test]
fn a_restart_stops_after_the_next_hundred_and_with_other_options_after_the_next_thousand() {
    // Two of three records die, from the beginning on. Whatever the option changes, it does not change that.
    let test = TestRun::with(input(9_000, |i| i % 3 != 0));
    let rest = format!("{SINK}{DEAD}");
    let other = rest.replace("batch_size = 10", "batch_size = 11");
    let mut before = 0;
    for (options, carries) in
        [(&rest, 1_000), (&rest, 100), (&rest, 100), (&other, 1_000), (&other, 100), (&rest, 1_000)]
    {
        let error = test.run("", options).expect_err("stops");
        assert_eq!(error.kind(), ErrorKind::DeadLetters);
        let carried = test.memory.letters().len() + test.memory.values().len();
        assert!(
            (carries..carries + 200).contains(&(carried - before)),
            "{carried} and not {carries} more than {before}"
        );
        before = carried;
    }
    // Where the next hundred are good, it goes on, and a later start knows nothing of it.
    let test = TestRun::with(input(9_000, |i| (2_000..2_900).contains(&i)));
    let error = test.run("", &rest).expect_err("stops");
    assert!(error.to_string().contains("of the last 1000 records"), "{error}");
    let rest_of_them = test.run("", &rest).expect_err("the next ones die too");
    assert!(rest_of_them.to_string().contains("the first 100 records"), "{rest_of_them}");
    for _ in 0..4 {
        if test.run("", &rest).is_ok() {
            break;
        }
    }
    assert_eq!(test.memory.letters().len() + test.memory.values().len(), 9_000);
}

#[test]
fn letters_of_a_transform_stop_the_run_as_those_of_the_source() {
    let test = TestRun::with((0..500).map(|i| Record::good(i, -1.0)).collect());
    let rest = format!("[[transform]]\ntype = \"refuse\"\nbelow = 0.0\n{SINK}{DEAD}");
    let error = test.run("", &rest).expect_err("stops");
    assert!(error.to_string().starts_with("refuse: the first 100 records became dead letters"), "{error}");
    assert_eq!(test.memory.letters().len(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However often it stops: what was read is there once, as a record or as a dead letter.
    #[test]
    fn restarts_after_stops_carry_every_record_once(bad in proptest::collection::vec(any::<bool>(), 1..600), stop_first in 1..50_u64) {
        let test = TestRun::with(input(bad.len() as u64, |i| bad[i as usize] || i % 7 != 0));
        let rest = format!("{SINK}{DEAD}stop_first = {stop_first}\n");
        let ended = (0..=bad.len()).find_map(|_| test.run("", &rest).ok());
        prop_assert!(ended.is_some());
        let mut all: Vec<u64> = test.memory.letters().iter().map(|letter| letter.source_offset).collect();
        all.extend(test.memory.values().iter().map(|value| *value as u64));
        all.sort_unstable();
        prop_assert_eq!(all, (0..bad.len() as u64).collect::<Vec<_>>());
    }
}
