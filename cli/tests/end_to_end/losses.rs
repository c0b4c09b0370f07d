//! Runs that lose too many records to dead letters, and what is said of them.

use std::fmt::Write as _;

use crate::common::{NDJSON_DEAD_LETTERS, TestDir};

const JOB: &str = r#"
name = "job"

[source]
type = "csv"
path = "in.csv"
decimal = "."
timestamp = { columns = ["time"] }
fields = ["T"]

[[transform]]
type = "range_check"
on_fail = "reject"
ranges = { "T" = { min = -50.0, max = 60.0 } }

[sink]
type = "csv"
dir = "out"
"#;

fn setup(rows: &str) -> TestDir {
    let dir = TestDir::with(&[("job.toml", &format!("{JOB}{NDJSON_DEAD_LETTERS}"))]);
    dir.write("in.csv", format!("time,T\n{rows}"));
    dir
}

/// Rows of which those are bad that `is_bad` says.
fn rows(count: u64, is_bad: impl Fn(u64) -> bool) -> String {
    (0..count).fold(String::new(), |mut text, row| {
        let (hour, minute) = (row / 60 % 24, row % 60);
        let day = row / 1_440 + 1;
        let separator = if is_bad(row) { '.' } else { '-' };
        let _ = writeln!(text, "2024{separator}01{separator}{day:02}T{hour:02}:{minute:02}:00Z,{}.5", row % 30);
        text
    })
}

#[test]
fn dead_letters_are_counted_by_stage_and_class_of_reason_in_the_summary_and_in_the_list() {
    let mut text = rows(20, |row| row % 5 == 1);
    text.push_str("2024-01-02T00:00:00Z,99\n2024-01-02T01:00:00Z,98\n");
    let dir = setup(&text);
    let run = dir.run(&["run", "job.toml"]).expect(0, &["job: read 22, written 16, dead letters 6,"]);
    let report = run.report().join("\n");
    for part in [
        "  dead letters by stage and reason:\n    4  csv          ",
        "; first at in.csv:3\n    2  range_check  ",
        "; first at in.csv:22\n",
        "  `aqpipe dead-letters list job.toml` lists the dead letters",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    let list = dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &["6 dead letters, by stage and reason:\n"]);
    assert_eq!(list.out.lines().count(), 6);
    let groups = |text: &str| {
        text.lines().filter(|line| line.contains("first at")).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(groups(&list.err), groups(&report), "it groups the same way");
}

#[test]
fn the_first_hundred_records_that_all_die_stop_the_run_with_a_code_of_its_own_and_can_be_replayed() {
    let dir = setup(&rows(2_000, |_| true));
    for stops in 1..3 {
        let stopped = dir.run(&["run", "job.toml"]).expect(
            65,
            &[
                "job: read 100, written 0, dead letters 100,",
                "error: job: csv: the first 100 records became dead letters, all for one reason: `time` is `2024.01.",
                "help: nothing is lost: mend the pipeline",
                "`stop_first = 0` in [dead_letter] goes on regardless",
            ],
        );
        assert!(stopped.out.is_empty());
        assert_eq!(dir.dead_letters("dead").len(), stops * 100, "a restart stops after the next hundred");
    }
    let mended = dir.read("job.toml").replace("[\"time\"]", "[\"time\"], format = \"%Y.%m.%dT%H:%M:%SZ\"");
    dir.write("job.toml", mended);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 1800, written 1800,"]);
    dir.run(&["dead-letters", "replay", "job.toml"]).expect(0, &["job: read 200, written 200,", "replayed"]);
    assert_eq!(dir.rows("out").len(), 2_000);
}

#[test]
fn more_than_half_of_the_last_thousand_records_stop_the_run_and_nothing_is_lost() {
    let dir = setup(&rows(6_000, |row| row > 2_000 && row % 10 != 0));
    let stopped =
        dir.run(&["run", "job.toml"]).expect(1, &["of the last 1000 records became dead letters, most of all: "]);
    assert!(stopped.err.contains("`stop_above = 1` in [dead_letter] goes on regardless"), "{}", stopped.err);
    let (written, dead) = (dir.rows("out").len(), dir.dead_letters("dead").len());
    assert!(written >= 2_001 && dead >= 500, "{written} written and {dead} dead letters");
    let off = ["run", "job.toml", "--set", "dead_letter.stop_above=1.0"];
    dir.run(&[&off[..], &["--set", "dead_letter.stop_first=0"]].concat()).expect(0, &["job: done"]);
    assert_eq!(dir.rows("out").len() + dir.dead_letters("dead").len(), 6_000);
}

#[test]
fn a_bounded_run_whose_records_all_died_ends_with_its_own_code_and_one_that_carried_any_does_not() {
    let every = "error: job: every record became a dead letter";
    setup(&rows(30, |_| true)).run(&["run", "job.toml"]).expect(65, &[every]);
    setup(&rows(30, |row| row != 7)).run(&["run", "job.toml"]).expect(0, &[]);
    setup("").run(&["run", "job.toml"]).expect(0, &[]);
    let off = ["run", "job.toml", "--set", "dead_letter.stop_above=1.0", "--set", "dead_letter.stop_first=0"];
    setup(&rows(2_000, |_| true)).run(&off).expect(65, &["dead letters 2000,", every]);
}

#[test]
fn limits_that_cannot_be_are_refused_at_their_place() {
    let dir = setup("");
    dir.write("job.toml", format!("{JOB}{NDJSON_DEAD_LETTERS}stop_above = 2\nstop_frist = 1\n"));
    dir.run(&["validate", "job.toml"])
        .expect(78, &["stop_above", "unknown key `stop_frist`", "did you mean `stop_first`?"]);
}
