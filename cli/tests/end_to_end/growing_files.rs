//! Files to which a logger writes: a run an hour, or one that follows them.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::common::TestDir;

const RUN: [&str; 2] = ["run", "job.toml"];
/// Five records a step, so that a run can be cut short.
const SLOW: [&str; 2] = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 5 }"];

fn setup(option: &str, transform: &str) -> TestDir {
    let job = format!(
        "name = \"job\"\n\n[source]\ntype = \"csv\"\npath = \"log*.csv\"\nfields = [\"a\"]\n{option}\n{transform}\n\
         [sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 10\nbatch_timeout_secs = 1\n"
    );
    TestDir::with(&[("job.toml", &job)])
}

/// Adds the records of some hours to a file, which begins with a header.
fn log(dir: &TestDir, name: &str, hours: std::ops::Range<usize>, value: impl Fn(usize) -> String) {
    let is_new = !dir.path(name).exists();
    let mut file = OpenOptions::new().append(true).create(true).open(dir.path(name)).expect("opens");
    let mut text = if is_new { "timestamp,a\n".to_owned() } else { String::new() };
    for hour in hours {
        text.push_str(&format!(
            "2024-{:02}-{:02}T{:02}:00:00Z,{}\n",
            hour / 480 + 1,
            hour / 24 % 20 + 1,
            hour % 24,
            value(hour)
        ));
    }
    file.write_all(text.as_bytes()).expect("writes");
}

fn count(hour: usize) -> String {
    hour.to_string()
}

/// That each hour came once, in order.
#[track_caller]
fn holds(dir: &TestDir, hours: usize) {
    assert_eq!(dir.rows("out").numbers("a"), (0..hours).map(|hour| hour as f64).collect::<Vec<f64>>());
}

#[test]
fn each_run_carries_what_is_new_though_runs_are_killed_and_files_rotated() {
    let dir = setup("rerun = \"new\"", "");
    log(&dir, "log.csv", 0..200, count);
    for round in 0..4 {
        let mut running = dir.start(&[&RUN[..], &SLOW].concat());
        let before = dir.files("out").len();
        running.wait_until("a file", |_| dir.files("out").len() > before);
        running.kill();
        let _ = running.wait();
        log(&dir, "log.csv", 200 + round * 50..250 + round * 50, count);
        if round == 1 {
            std::fs::rename(dir.path("log.csv"), dir.path("log-1.csv")).expect("renames");
        }
    }
    dir.run(&RUN).expect(0, &["job: done\n"]);
    dir.run(&RUN).expect(0, &["the input holds nothing new since the last run (400 records so far)"]);
    log(&dir, "log.csv", 400..410, count);
    dir.run(&RUN).expect(0, &["carrying what is new: log.csv has ", "read 10, written 10,"]);
    holds(&dir, 410);
    dir.run(&[&RUN[..], &["--rerun"]].concat()).expect(78, &["this sink does not overwrite"]);
}

#[test]
fn rows_that_are_held_leave_at_the_end_of_each_run_and_fills_go_on_in_the_next_one() {
    let gaps = |hour: usize| if hour.is_multiple_of(4) { hour.to_string() } else { String::new() };
    let dir = setup(
        "rerun = \"new\"",
        "[[transform]]\ntype = \"impute\"\nsteps = [{ method = \"interpolate\" }, { method = \"forward_fill\" }]\n",
    );
    log(&dir, "log.csv", 0..7, gaps);
    dir.run(&RUN).expect(0, &["read 7, written 7,", "held 0"]);
    assert_eq!(dir.rows("out").numbers("a"), [0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0]);
    log(&dir, "log.csv", 7..13, gaps);
    dir.run(&RUN).expect(0, &["read 6, written 6,", "held 0"]);
    let values = dir.rows("out").numbers("a");
    assert_eq!(values[8..], [8.0, 9.0, 10.0, 11.0, 12.0]);
}

#[test]
fn a_run_that_follows_reads_on_until_it_is_stopped_and_goes_on_after_a_kill() {
    let dir = setup("follow = true", "");
    log(&dir, "log.csv", 0..15, count);
    let mut running = dir.start(&RUN);
    running.wait_until("the rows that were there", |_| dir.rows("out").len() >= 10);
    log(&dir, "log.csv", 15..40, count);
    running.wait_until("rows that were added", |_| dir.rows("out").len() >= 40);
    running.kill();
    let _ = running.wait();
    log(&dir, "log.csv", 40..45, count);
    let mut running = dir.start(&RUN);
    running.wait_until("rows that came meanwhile", |_| dir.rows("out").len() >= 45);
    std::fs::rename(dir.path("log.csv"), dir.path("rotated")).expect("renames");
    log(&dir, "log.csv", 45..60, count);
    running.wait_until("rows of the new file", |_| dir.rows("out").len() >= 60);
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    log(&dir, "log.csv", 60..70, count);
    dir.run(&[&RUN[..], &["--until-end"]].concat()).expect(0, &["read 10, written 10,"]);
    holds(&dir, 70);
}

#[test]
fn what_became_of_a_file_since_the_last_run_is_told_in_the_run_that_carries_what_is_new() {
    let dir = setup("rerun = \"new\"", "");
    let says = |read: usize, said: &[&str]| {
        let done = dir.run(&RUN).expect(0, &[&format!("read {read}, written {read},")]);
        said.iter().for_each(|words| assert!(done.err.contains(words), "{words}\n{}", done.err));
    };
    log(&dir, "log.csv", 0..10, count);
    says(10, &[]);
    // Its last line has no end yet.
    let whole = dir.read("log.csv");
    dir.write("log.csv.part", format!("{whole}2024-01-01T10:00:00Z,10\n2024-01-01T11:0"));
    std::fs::copy(dir.path("log.csv.part"), dir.path("log.csv")).expect("the same file, longer");
    says(
        1,
        &[
            "carrying what is new: log.csv has 39 bytes more",
            "log.csv: its last line, 13, has no end yet and waits for it",
        ],
    );
    // A file that is new to the glob.
    log(&dir, "log-b.csv", 12..14, count);
    says(2, &["carrying what is new: ", "log-b.csv"]);
    // Another file has taken its place.
    dir.write("other", "timestamp,a\n2024-01-01T14:00:00Z,14\n");
    std::fs::rename(dir.path("other"), dir.path("log-b.csv")).expect("renamed");
    says(1, &["log-b.csv is another file than the one that was read: it is read from its beginning"]);
    // It was emptied and begun again.
    dir.write("log.csv", "timestamp,a\n2024-01-01T15:00:00Z,15\n");
    says(1, &["log.csv was emptied and begun again: it is read from its beginning"]);
    // What was read of it is there no more, and it is no shorter.
    dir.write("log.csv", "timestamp,a\n2024-01-01T16:00:00Z,16\n2024-01-01T17:00:00Z,17\n");
    let changed = dir.run(&RUN);
    assert_ne!(changed.code, Some(0));
    let help = "put back the file as it was; or, if it was emptied and begun again, put a copy in its place";
    assert!(changed.err.contains(help), "{}", changed.err);
    assert_eq!(dir.rows("out").len(), 15, "nothing is read twice or left out");
}

#[test]
fn a_stage_that_must_see_the_whole_input_first_is_refused() {
    let median = "[[transform]]\ntype = \"impute\"\nsteps = [{ method = \"median\" }]\n";
    for option in ["rerun = \"new\"", "follow = true"] {
        let dir = setup(option, median);
        dir.run(&["validate", "job.toml"]).expect(78, &["a median over all values"]);
    }
}
