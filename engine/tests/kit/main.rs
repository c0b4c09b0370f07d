//! The testing kit: what it shows of a pipeline, and that each of its checks fails for the fault that it is for.

mod faulty;
mod files;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::run::{Observer, Passed};
use aqpipe_engine::testing::{BatchBuilder, PipelineHarness, check_sink, check_source, check_transform, rows};
use parking_lot::Mutex;

use self::files::{Fault, Files, Line};

const HOLD: &str = "[[transform]]\ntype = \"hold\"\nrows = 2\n";

fn batch(values: std::ops::Range<u64>) -> aqpipe_engine::record::Batch {
    let from = values.start;
    BatchBuilder::new().numbers("x", values.map(|value| Some(value as f64))).from_offset(from).build()
}

/// The message of a panic.
fn panic_of(act: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(act)).expect_err("the check fails");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a message")
}

#[test]
fn rows_go_in_and_come_out_and_the_clock_is_moved_by_hand() {
    let mut pipeline = PipelineHarness::from_toml(HOLD);
    let out = pipeline.push(batch(0..5));
    assert_eq!(rows(&out.batches).iter().map(|row| row.source_offset).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(pipeline.held(), 2);
    pipeline.restart();
    assert_eq!(pipeline.held(), 2, "a kill and a restart keep held rows");
    let late = pipeline.advance(Duration::from_secs(60));
    assert_eq!((late.batches.len(), pipeline.held()), (1, 0), "rows leave after a minute");
    assert!(pipeline.finish().batches.is_empty());
}

#[test]
fn mistakes_of_a_pipeline_are_shown_with_their_places() {
    let text = panic_of(|| drop(PipelineHarness::from_toml("[[transform]]\ntype = \"hold\"\nrow = 2\n")));
    assert!(text.contains("did you mean") && text.contains("harness.toml:"), "{text}");
}

#[test]
fn an_observer_sees_what_each_stage_takes_and_gives() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<(String, usize, usize)>>);
    impl Observer for Seen {
        fn passed(&self, passed: &Passed<'_>) {
            let out = passed.output.batches.iter().map(aqpipe_engine::record::Batch::rows).sum();
            self.0.lock().push((passed.stage.to_owned(), passed.input.map_or(0, |batch| batch.rows()), out));
        }
    }
    let seen = Arc::new(Seen::default());
    let mut pipeline =
        PipelineHarness::from_toml(&format!("{HOLD}{HOLD}")).observed_by(Arc::clone(&seen) as Arc<dyn Observer>);
    pipeline.push(batch(0..5));
    pipeline.finish();
    let seen = seen.0.lock().clone();
    let of = |stage: &str, taken, given| (stage.to_owned(), taken, given);
    let expected = [of("hold", 5, 3), of("hold 2", 3, 1), of("hold", 0, 2), of("hold 2", 2, 2), of("hold 2", 0, 2)];
    assert_eq!(seen, expected);
}

#[test]
fn a_transform_that_keeps_the_rules_passes_the_check() {
    check_transform(HOLD, &[batch(0..7), batch(7..10)]);
    check_transform(&format!("{HOLD}{HOLD}"), &[batch(0..20)]);
}

#[test]
fn each_fault_of_a_transform_is_found_and_named() {
    for (fault, expected) in [
        ("held", "rows do not add up"),
        ("save", "holds 0 after that state was restored"),
        ("restore", "holds 0 after that state was restored"),
        ("state", "give the same rows"),
        ("finish", "still holds 2 rows after the end of the input"),
        ("lose", "rows do not add up"),
        ("twice", "rows do not add up"),
        ("order", "in the order in which they came"),
        ("offset", "keeps its source offset"),
        ("batch", "batches of one row give the same rows"),
        ("version", "a state of another version is an error"),
        ("panic", "the stage panicked: as it was told"),
    ] {
        let toml = format!("{HOLD}fault = \"{fault}\"\n");
        let text = panic_of(|| check_transform(&toml, &[batch(0..7), batch(7..10)]));
        assert!(text.contains(expected), "{fault}: {text}");
        let is_refused_by_the_engine = !["state", "order", "offset", "batch"].contains(&fault);
        assert!(!is_refused_by_the_engine || text.contains("hold: "), "the stage is named: {text}");
    }
}

#[test]
fn a_source_that_keeps_the_rules_passes_the_check_and_each_fault_is_found() {
    check_source(&|_| Ok(Box::new(Line { rows: 20, fault: None })));
    for (fault, expected) in [
        ("order", "source offsets ascend"),
        ("position", "the position lies behind all that was read"),
        ("resume", "goes on with the next row"),
        ("end", "gives all rows"),
    ] {
        let text = panic_of(|| check_source(&|_| Ok(Box::new(Line { rows: 20, fault: Some(fault) }))));
        assert!(text.contains(expected), "{fault}: {text}");
    }
}

#[test]
fn a_sink_that_keeps_the_rules_passes_the_check_and_each_fault_is_found() {
    let check = |fault: Option<Fault>| {
        let disk = Files::default();
        check_sink(&|_| Ok(Arc::new(disk.sink(fault))), &batch(0..3), &|| disk.visible());
    };
    check(None);
    for (fault, expected) in [
        (Fault::VisibleTooEarly, "prepared output is not visible"),
        (Fault::CommitsTwice, "a second commit changes nothing"),
        (Fault::ForgetsAtAKill, "prepared output is committed"),
        (Fault::AbortsNothing, "another process aborts"),
        (Fault::KeepsOrphans, "orphans are removed"),
        (Fault::RemovesCommitted, "orphans are removed, and committed output is not"),
    ] {
        let text = panic_of(|| check(Some(fault)));
        assert!(text.contains(expected), "{fault:?}: {text}");
    }
}
