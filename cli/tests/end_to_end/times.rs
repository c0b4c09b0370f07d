//! Times by a clock that is put back, through a whole pipeline and a replay of dead letters.

use crate::common::{NDJSON_DEAD_LETTERS, TestDir};

const JOB: &str = r#"name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = { columns = ["Date", "Time"], format = "%d/%m/%Y %H:%M", marks = "end", interval = "1h" }
timezone = "Europe/Rome"
key = { column = "site" }
fields = ["pm10"]

[[transform]]
type = "range_check"
on_fail = "reject"
ranges = { pm10 = { min = 0.0, max = 50.0 } }

[[transform]]
type = "derive"
features = ["hour"]

[sink]
type = "csv"
dir = "out"
batch_size = 2
"#;

/// The hours of the night on which the clock is put back from 3 to 2; `bad` is the row whose value is out of range.
fn night(bad: usize) -> String {
    let hours = ["01:00", "02:00", "02:00", "03:00", "04:00"];
    let row = |(row, hour): (usize, &&str)| format!("31/10/2004,{hour},brs,{}\n", if row == bad { 99 } else { row });
    format!("Date,Time,site,pm10\n{}", hours.iter().enumerate().map(row).collect::<String>())
}

const BEGINNINGS: [&str; 5] = [
    "2004-10-31T00:00:00+02:00",
    "2004-10-31T01:00:00+02:00",
    "2004-10-31T02:00:00+02:00",
    "2004-10-31T02:00:00+01:00",
    "2004-10-31T03:00:00+01:00",
];

#[test]
fn each_hour_of_the_night_is_written_once_also_where_the_run_is_killed_and_a_dead_letter_is_replayed() {
    for bad in 0..BEGINNINGS.len() {
        let dir = TestDir::with(&[("job.toml", &format!("{JOB}{NDJSON_DEAD_LETTERS}")), ("in.csv", &night(bad))]);
        let died = dir.run_with_fault(&["run", "job.toml"], "prepare.sink=crash@2");
        assert!(died.code != Some(0), "{died:?}");
        dir.run(&["run", "job.toml"]).expect(0, &["job: done\n"]);
        let left: Vec<&str> = (0..BEGINNINGS.len()).filter(|row| *row != bad).map(|row| BEGINNINGS[row]).collect();
        assert_eq!(dir.rows("out").column("timestamp"), left, "{bad}");
        let wider = ["--set", "transform.range_check.ranges.pm10.max=100.0"];
        dir.run(&[&["dead-letters", "replay", "job.toml"], &wider[..]].concat()).expect(0, &["written 1"]);
        let rows = dir.rows("out");
        let mut times = rows.column("timestamp");
        times.sort_unstable_by_key(|time| (time.contains("02:00:00+01") || time.contains("03:00:00"), time.to_owned()));
        assert_eq!(times, BEGINNINGS, "{bad}");
        assert!(rows.numbers("hour").iter().all(|hour| *hour < 4.0));
    }
}

#[test]
fn refused_timestamps_are_told_with_the_format_that_reads_them() {
    let input = "Date,Time,site,pm10\n10-31-2004,10:00,brs,1\n10-30-2004,11:00,brs,1\n";
    let dir = TestDir::with(&[("job.toml", &format!("{JOB}{NDJSON_DEAD_LETTERS}")), ("in.csv", input)]);
    let done = dir.run(&["run", "job.toml"]);
    assert!(done.err.contains("2 timestamps are refused, first `10-31-2004 10:00`"), "{}", done.err);
    assert!(done.err.contains("%m-%d-%Y %H:%M"), "{}", done.err);
}

/// Two days of hours in columns, of which the second is the one on which the clock of Madrid is put forward.
const WIDE: &str = r#"name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = { column = "day", format = "%Y-%m-%d" }
timezone = "Europe/Madrid"
key = { column = "site" }

[[transform]]
type = "unpivot"
columns = "H{hour}"

[sink]
type = "csv"
dir = "out"
"#;

#[test]
fn hours_in_columns_may_be_rejected_by_a_clock_that_is_put_forward_alone() {
    let dir = TestDir::with(&[("job.toml", WIDE)]);
    let warning = "transform `unpivot` may reject records, and there is no `[dead_letter]`";
    dir.run(&["validate", "job.toml"]).expect(0, &[warning]);
    let standard = dir.run(&["validate", "job.toml", "--set", "source.timezone=\"+01:00\""]).expect(0, &[]);
    assert!(!standard.err.contains(warning), "{}", standard.err);
    dir.write("in.csv", "day,site,H01,H02,H03\n2024-03-31,a,4,5,6\n");
    dir.run(&["run", "job.toml"]).expect(1, &["unpivot: the hour of `H02` does not exist", "in.csv:2, part H02"]);
}

#[test]
fn the_part_of_a_day_that_a_clock_passed_over_is_replayed_alone_once_the_pipeline_reads_it() {
    let input = "day,site,H01,H02,H03\n2024-03-30,a,1,2,3\n2024-03-31,a,4,5,6\n2024-03-31,b,7,8,9\n2024-03-31,c,7,,9\n";
    let dir = TestDir::with(&[("job.toml", &format!("{WIDE}{NDJSON_DEAD_LETTERS}")), ("in.csv", input)]);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 4, made 7, written 9, dead letters 2,"]);
    let list = dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &["2 dead letters, by stage and reason:\n"]);
    let reason =
        "the hour of `H02` does not exist: the clock of Europe/Madrid was put forward by 60 minutes and passed it over";
    assert!(list.out.lines().all(|line| line.contains(reason) && line.contains(", part H02  ")), "{}", list.out);
    // As it is, it comes to the same end, and nothing else of its day is written again or given up.
    dir.run(&["dead-letters", "replay", "job.toml"])
        .expect(0, &["read 2, made 4, written 0, dead letters 2, filtered 4,"]);
    let standard = ["--set", "source.timezone=\"+01:00\""];
    dir.run(&[&["dead-letters", "replay", "job.toml"], &standard[..]].concat())
        .expect(0, &["written 2, dead letters 0,"]);
    let mut values = dir.rows("out").numbers("value");
    values.sort_by(f64::total_cmp);
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 8.0, 9.0, 9.0]);
}
