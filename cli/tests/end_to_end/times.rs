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
