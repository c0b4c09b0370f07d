//! How what a run uses grows with each of its dimensions, as counts and never as time: allocations, the bytes of all of them,
//! the most that is allocated at once, and the bytes that commits note. `benches/growth.py` shows CPU and memory.

mod counts;
mod input;

use std::path::Path;

use aqpipe_engine::stage::{Acquire as _, BuildContext, CommittedOffsets as _};
use aqpipe_stages::file_commit::OutputDir;
use counts::{Peak, Work, alone, assert_in_proportion, counted};
use input::{csv_sink, csv_source, write_rows};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const FIELDS: usize = 3;
const SCORE: &str = "[[transform]]\ntype = \"score\"\n";
const RANGES: &str = "[[transform]]\ntype = \"range_check\"\nranges.f0 = { min = 0.0, max = 50.0 }\n";

fn impute(step: &str) -> String {
    format!("[[transform]]\ntype = \"impute\"\nsteps = [{step}]\nmax_held = 1000000\n")
}

/// From a file of `rows` records of `stations` in turn into files of `batch_size` records.
fn pipeline(dir: &Path, rows: usize, stations: usize, transforms: &str, batch_size: usize) -> String {
    let source = csv_source(&write_rows(dir, rows, stations, FIELDS), FIELDS);
    format!("{source}\n{transforms}\n{}", csv_sink(dir, batch_size))
}

#[test]
fn records_take_no_more_memory_the_more_there_are() {
    let transforms = format!("{}{RANGES}{SCORE}", impute("{ method = \"forward_fill\", limit = 3 }"));
    let make = |dir: &Path, n: usize| pipeline(dir, n, 3, &transforms, 1_000);
    assert_in_proportion("records", (5_000, 2), Peak::Flat, Work::Run, make);
}

#[test]
fn stations_with_fills_are_noted_when_they_change() {
    let transforms = impute("{ method = \"forward_fill\" }");
    let make = |dir: &Path, n: usize| pipeline(dir, n * 20, n.max(1), &transforms, 20);
    assert_in_proportion("stations", (50, 8_000), Peak::InProportion, Work::Run, make);
}

#[test]
fn of_a_window_commits_note_what_is_new() {
    let make = |dir: &Path, n: usize| {
        let transforms = impute(&format!("{{ method = \"median\", window = {} }}", n.max(1)));
        pipeline(dir, n * 4, 3, &transforms, 100)
    };
    assert_in_proportion("the size of a window", (200, 100), Peak::InProportion, Work::Run, make);
}

#[test]
fn stations_with_windows_are_noted_when_they_change() {
    let transforms = impute("{ method = \"median\", window = 24 }");
    let make = |dir: &Path, n: usize| pipeline(dir, n * 40, n.max(1), &transforms, 20);
    assert_in_proportion("stations with windows", (20, 7_000), Peak::InProportion, Work::Run, make);
}

#[test]
fn rows_that_are_held_back_are_noted_once() {
    let make = |dir: &Path, n: usize| {
        let path = dir.join("held.csv");
        // The first row alone has a value, so that all others wait for one.
        let row = |i: usize| format!("s,{},{},{i},{i}\n", input::time(i), if i == 0 { "1" } else { "" });
        let rows: String = (0..n).map(row).collect();
        std::fs::write(&path, format!("station,timestamp,f0,f1,f2\n{rows}")).expect("a file");
        let fill = impute("{ method = \"backward_fill\" }");
        format!("{}\n{fill}\n{}", csv_source(&path, FIELDS), csv_sink(dir, 100))
    };
    assert_in_proportion("held rows", (400, 250), Peak::InProportion, Work::Run, make);
}

#[test]
fn a_field_costs_what_another_one_costs() {
    let make = |dir: &Path, n: usize| {
        let fields = n.max(1);
        let source = csv_source(&write_rows(dir, 100, 1, fields), fields);
        let fill = impute("{ method = \"forward_fill\", limit = 3 }");
        format!("{source}\n{fill}{SCORE}\n{}", csv_sink(dir, 50))
    };
    assert_in_proportion("fields", (200, 500), Peak::InProportion, Work::Run, make);
}

#[test]
fn a_stage_costs_what_another_one_costs() {
    let make = |dir: &Path, n: usize| pipeline(dir, 2_000, 3, &RANGES.repeat(n), 1_000);
    assert_in_proportion("stages", (4, 5_000), Peak::Any, Work::Run, make);
}

#[test]
fn a_stage_is_checked_as_fast_as_another_one() {
    let make = |dir: &Path, n: usize| pipeline(dir, 0, 1, &RANGES.repeat(n), 1_000);
    assert_in_proportion("stages that are checked", (50, 0), Peak::Any, Work::Check, make);
}

#[test]
fn files_in_the_directory_are_listed_as_often_with_many_of_them() {
    let make = |dir: &Path, n: usize| {
        let text = pipeline(dir, 100, 1, SCORE, 1_000);
        let out = dir.join("out");
        std::fs::create_dir(&out).expect("a directory");
        for i in 0..n {
            let name = format!("old_split-0_{i:020}-{:020}.csv", i + 1);
            std::fs::write(out.join(name), "").expect("a file");
        }
        text
    };
    assert_in_proportion("files", (1_000, 20), Peak::InProportion, Work::Run, make);
}

#[test]
fn the_splits_of_an_assignment_share_one_listing_of_the_directory() {
    let _alone = alone();
    let files = 2_000_u64;
    let listed = |splits: usize| {
        let dir = tempfile::tempdir().expect("a directory");
        for i in 0..files {
            let name = format!("batch_topic-0_{i:020}-{:020}.csv", i + 1);
            std::fs::write(dir.path().join(name), "").expect("a file");
        }
        let path = dir.path().to_str().expect("UTF-8");
        let output = OutputDir::new(path, "other", "csv", &BuildContext::for_tests());
        output.acquire().expect("free");
        let splits: Vec<_> = (0..splits).map(|i| format!("topic/{i}").into()).collect();
        counted(|| output.committed_offsets(&splits).map(|found| found.len())).allocations
    };
    let (one, twelve) = (listed(1), listed(12));
    assert!(one > files, "each name is an allocation: {one}");
    assert!(twelve < one + files / 2, "{one} allocations for one split, {twelve} for twelve");
}
