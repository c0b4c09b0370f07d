//! Input files that are respelled, renamed, gone or rewritten between two starts, or while they are read.

use crate::common::{TestDir, UCI_SOURCE, uci};

const FILES: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 20\n";
const SLOW: [&str; 2] = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 10 }"];
const RUN: [&str; 2] = ["run", "job.toml"];

fn setup(records: usize) -> TestDir {
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{FILES}"))]);
    dir.write("in.csv", uci(records));
    dir
}

/// Runs the job until it has written some files, and stops it.
fn interrupt(dir: &TestDir, more: &[&str]) {
    let mut running = dir.start(&[&RUN[..], &SLOW, more].concat());
    running.wait_until("two files", |_| dir.files("out").len() >= 2);
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    assert!(dir.rows("out").len() < 500, "it was too fast to be interrupted");
}

#[test]
fn a_path_that_is_spelt_otherwise_is_the_same_file() {
    let dir = setup(600);
    std::os::unix::fs::symlink(dir.path("."), dir.path("link")).expect("links");
    let absolute = dir.path("in.csv").to_string_lossy().into_owned();
    for path in ["./in.csv", &absolute, "link/in.csv", "i*.csv"] {
        interrupt(&dir, &[]);
        let committed = dir.rows("out").len();
        let set = format!("source.path={path}");
        dir.run(&[&RUN[..], &["--set", &set]].concat()).expect(
            0,
            &[&format!("going on after {committed} records of an earlier run"), &format!("read {},", 600 - committed)],
        );
        assert_eq!(dir.rows("out").len(), 600, "{path}");
        std::fs::remove_dir_all(dir.path("out")).expect("removed");
        std::fs::remove_dir_all(dir.path(".aqpipe")).expect("removed");
    }
}

#[test]
fn a_file_that_was_renamed_is_read_on_and_that_is_said() {
    let dir = setup(600);
    interrupt(&dir, &["--set", "source.path=*.csv"]);
    std::fs::rename(dir.path("in.csv"), dir.path("moved.csv")).expect("renamed");
    dir.run(&[&RUN[..], &["--set", "source.path=*.csv"]].concat())
        .expect(0, &["moved.csv is in.csv of the interrupted run, renamed: it is read on from where that stood\n"]);
    assert_eq!(dir.rows("out").len(), 600);
}

#[test]
fn a_file_that_is_gone_with_its_held_rows_stops_the_run_until_it_is_back() {
    let dir = setup(600);
    dir.write("other.csv", uci(600));
    let hold = "transform=[{type=\"impute\",steps=[{method=\"interpolate\"}]}]";
    let all = ["--set", "source.path=*.csv", "--set", "source.parallel=true", "--set", hold];
    interrupt(&dir, &all);
    let files = dir.files("out");
    std::fs::rename(dir.path("in.csv"), dir.path("in.away")).expect("renamed");
    let gone = dir.run(&[&RUN[..], &all].concat()).expect(
        78,
        &["csv: in.csv is gone: the interrupted run had read it up to line ", "help: put it back (", "`--fresh`"],
    );
    assert_eq!(dir.files("out"), files, "nothing was committed: {}", gone.err);
    std::fs::rename(dir.path("in.away"), dir.path("in.csv")).expect("renamed");
    dir.run(&[&RUN[..], &all].concat()).expect(0, &["job: done\n"]);
    assert_eq!(dir.rows("out").len(), 1_200);
}

#[test]
fn a_file_that_is_rewritten_while_it_is_read_does_not_end_with_done() {
    let dir = setup(600);
    let mut running = dir.start(&[&RUN[..], &SLOW].concat());
    running.wait_until("two files", |_| dir.files("out").len() >= 2);
    // In place, and as long as it was.
    dir.write("in.csv", uci(600).replacen("10/03/2004", "10/03/2003", 1));
    let done = running.wait().expect(1, &["csv: in.csv was changed while it was read"]);
    assert!(!done.err.contains("job: done"), "{}", done.err);
}

#[test]
fn a_letter_is_replayed_with_the_columns_that_it_had() {
    let job = "name = \"job\"\n\n[source]\ntype = \"csv\"\npath = \"in.csv\"\nfields = [\"T\", \"RH\"]\n\n\
               [[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges = { \"T\" = { max = 50.0 } }\n\n\
               [sink]\ntype = \"csv\"\ndir = \"out\"\n\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n";
    let dir = TestDir::with(&[("job.toml", job), ("in.csv", "timestamp,T,RH\n2004-03-10,60,40\n2004-03-11,10,45\n")]);
    dir.run(&RUN).expect(0, &["read 2, written 1, dead letters 1,"]);
    let dead_letters = dir.dead_letters("dead");
    assert_eq!(dead_letters[0]["place"], "in.csv:2", "a line, for a person");
    assert_eq!(dead_letters[0]["form"]["columns"], serde_json::json!(["timestamp", "T", "RH"]));
    assert!(dir.files("dead")[0].starts_with("job_"), "the files are called after the pipeline");
    // Since then the columns have changed places.
    dir.write("in.csv", "timestamp,RH,T\n");
    let wider = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.ranges.T.max=100.0"];
    dir.run(&wider).expect(0, &["had other columns than the files have now", "read 1, written 1, dead letters 0,"]);
    let rows = dir.rows("out");
    assert_eq!((rows.numbers("T"), rows.numbers("RH")), (vec![60.0, 10.0], vec![40.0, 45.0]));
}
