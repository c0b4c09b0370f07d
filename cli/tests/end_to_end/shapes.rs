//! Long files made wide, and wide files made long: `pivot` and `unpivot` in whole pipelines.

use serde_json::Value;

use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir};

/// A file as OpenAQ has them: a parameter a record.
const LONG: &str = "\
location_id,sensors_id,location,datetime,lat,lon,parameter,units,value
42,101,Hillside,2024-01-01T01:00:00+01:00,50.1,8.6,pm25,µg/m³,12.5
42,102,Hillside,2024-01-01T01:00:00+01:00,50.1,8.6,o3,µg/m³,61
42,101,Hillside,2024-01-01T02:00:00+01:00,50.1,8.6,pm25,µg/m³,13
42,102,Hillside,2024-01-01T02:00:00+01:00,50.1,8.6,o3,µg/m³,-999
42,101,Hillside,2024-01-01T03:00:00+01:00,50.1,8.6,pm25,µg/m³,900
42,102,Hillside,2024-01-01T03:00:00+01:00,50.1,8.6,o3,µg/m³,58
";
const LONG_SOURCE: &str = "\
[source]
type = \"csv\"
path = \"in.csv\"
missing = [-999]
timestamp = { column = \"datetime\" }
key = { name = \"station\", column = \"location_id\" }
fields = [\"value\"]
text_fields = [\"parameter\"]

[[transform]]
type = \"pivot\"
names = \"parameter\"
values = \"value\"
expect = [\"pm25\", \"o3\"]

[[transform]]
type = \"impute\"
steps = [{ method = \"forward_fill\", limit = 3 }]
";
/// A file as Madrid has them: a day a record, with a pair of columns for each hour.
const WIDE: &str = "\
ESTACION;MAGNITUD;ANO;MES;DIA;H01;V01;H02;V02;H03;V03;H24;V24
4;1;2020;1;1;7.0;V;8.0;V;9.0;N;1.0;V
4;1;2020;1;2;6.0;V;5.0;V;;N;2.0;V
";
const WIDE_SOURCE: &str = "\
[source]
type = \"csv\"
path = \"in.csv\"
delimiter = \";\"
timestamp = { columns = [\"ANO\", \"MES\", \"DIA\"], format = \"%Y %m %d\" }
timezone = \"+01:00\"
key = { name = \"station\", column = \"ESTACION\" }

[[transform]]
type = \"unpivot\"
columns = \"H{hour}\"
validity = \"V{hour}\"
";
const SINK: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\n";

fn with(input: &str, pipeline: &str) -> TestDir {
    let pipeline = format!("name = \"job\"\n\n{pipeline}{SINK}{NDJSON_DEAD_LETTERS}");
    TestDir::with(&[("in.csv", input), ("job.toml", &pipeline)])
}

fn check(field: &str, max: f64) -> String {
    format!("\n[[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges.{field} = {{ max = {max:?} }}\n")
}

#[test]
fn a_file_with_a_parameter_a_record_becomes_one_with_a_column_for_each() {
    let dir = with(LONG, LONG_SOURCE);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 6, merged 3, written 3, dead letters 0,"]);
    let rows = dir.rows("out");
    assert_eq!(
        rows.column("timestamp"),
        ["2024-01-01T01:00:00+01:00", "2024-01-01T02:00:00+01:00", "2024-01-01T03:00:00+01:00"]
    );
    assert_eq!(rows.numbers("pm25"), [12.5, 13.0, 900.0]);
    assert_eq!(rows.numbers("o3"), [61.0, 61.0, 58.0], "filled from the value of the same parameter");
}

#[test]
fn a_file_that_is_sorted_by_parameter_says_so_and_is_read_as_a_whole_without_expected_names() {
    let mut lines: Vec<&str> = LONG.lines().collect();
    lines[1..].sort_by_key(|line| line.contains(",o3,"));
    let text = lines.join("\n") + "\n";
    let dir = with(&text, LONG_SOURCE);
    dir.run(&["run", "job.toml"]).expect(0, &["most rows come late", "sorted by `parameter`", "dead letters 2,"]);
    let dir = with(&text, &LONG_SOURCE.replace("expect = [\"pm25\", \"o3\"]\n", ""));
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 6, merged 3, written 3, dead letters 0,"]);
    assert_eq!(dir.rows("out").numbers("o3"), [61.0, 61.0, 58.0]);
    let few = dir.run(&["run", "job.toml", "--fresh", "--set", "transform.pivot.max_rows=4"]);
    few.expect(78, &["`max_rows`", "set `expect = [\"pm25\", \"o3\"]`"]);
}

#[test]
fn a_dead_letter_of_a_merged_row_keeps_its_records_and_a_replay_merges_them_again() {
    let dir = with(LONG, &(LONG_SOURCE.to_owned() + &check("pm25", 100.0)));
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 6, merged 3, written 2, dead letters 1,"]);
    let [letter] = &dir.dead_letters("dead")[..] else { panic!("one letter") };
    let raw = |n: usize| letter["records"][n]["raw"].as_str().unwrap_or_default().to_owned();
    assert!(raw(0).contains(",pm25,µg/m³,900") && raw(1).contains(",o3,µg/m³,58"), "{letter}");
    assert_eq!((&letter["place"], &letter["raw"]), (&Value::from("in.csv:6, in.csv:7"), &Value::Null));
    let shown = dir.run(&["dead-letters", "list", "job.toml", "--json"]).expect(0, &[]);
    assert!(shown.out.contains("\"records\":[{"), "{}", shown.out);
    let replay = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.ranges.pm25.max=1000.0"];
    dir.run(&replay).expect(0, &["job: read 2, merged 1, written 1, dead letters 0,"]);
    let rows = dir.rows("out");
    assert_eq!((rows.len(), rows.numbers("pm25").contains(&900.0)), (3, true));
    dir.run(&replay).expect(0, &["nothing to replay"]);
}

#[test]
fn a_file_with_a_column_for_each_hour_becomes_one_with_a_record_for_each() {
    let dir = with(WIDE, WIDE_SOURCE);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 2, made 6, written 8, dead letters 0,"]);
    let rows = dir.rows("out");
    let times = [
        "01-01T01:00",
        "01-01T02:00",
        "01-01T03:00",
        "01-02T00:00",
        "01-02T01:00",
        "01-02T02:00",
        "01-02T03:00",
        "01-03T00:00",
    ];
    assert_eq!(rows.column("timestamp"), times.map(|time| format!("2020-{time}:00+01:00")));
    assert_eq!(rows.column("station"), ["4"; 8]);
    assert_eq!(rows.column("value"), ["7.0", "8.0", "", "1.0", "6.0", "5.0", "", "2.0"]);
}

#[test]
fn a_dead_letter_of_a_part_names_it_and_a_replay_sends_that_part_alone() {
    let dir = with(WIDE, &(WIDE_SOURCE.to_owned() + &check("value", 7.5)));
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 2, made 6, written 7, dead letters 1,"]);
    let [letter] = &dir.dead_letters("dead")[..] else { panic!("one letter") };
    assert_eq!((&letter["part"], &letter["place"]), (&Value::from("H02"), &Value::from("in.csv:2, part H02")));
    assert!(letter["raw"].as_str().is_some_and(|raw| raw.starts_with("4;1;2020;1;1;7.0;V;")), "{letter}");
    // Whether the check is mended by another bound, or by none that rejects.
    let wider = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.on_fail=\"flag\""];
    dir.run(&wider).expect(0, &["job: read 1, made 3, written 1, dead letters 0, filtered 3,"]);
    let rows = dir.rows("out");
    assert_eq!(rows.len(), 8);
    assert_eq!(rows.column("value").iter().filter(|value| **value == "8.0").count(), 1);
}

/// Hourly records of two parameters, for so many hours, without some of them.
#[cfg(debug_assertions)]
fn many(hours: u32) -> String {
    let mut text = "datetime,location_id,parameter,value\n".to_owned();
    for hour in 0..hours {
        let time = format!("2024-01-{:02}T{:02}:00:00Z", hour / 24 + 1, hour % 24);
        let line = |name: &str, value: u32| format!("{time},42,{name},{value}\n");
        text += &line("pm25", hour);
        if hour % 7 != 0 {
            text += &line("o3", hour + 1_000);
        }
    }
    text
}

/// Days of Madrid's files, each hour with its own value, every third not valid.
#[cfg(debug_assertions)]
fn many_days(days: u32) -> String {
    let mut text = WIDE.lines().next().unwrap_or_default().to_owned() + "\n";
    for day in 0..days {
        let cells = (0..4).map(|hour| format!(";{};{}", day * 4 + hour, if (day + hour) % 3 == 0 { "N" } else { "V" }));
        text += &format!("4;1;2020;{};{}{}\n", day / 28 + 1, day % 28 + 1, cells.collect::<String>());
    }
    text
}

#[cfg(debug_assertions)]
#[test]
fn rows_that_are_merged_and_made_come_once_whatever_step_of_a_commit_a_run_dies_at() {
    let long = LONG_SOURCE.replace("forward_fill", "backward_fill");
    let wide = WIDE_SOURCE.to_owned() + "\n[[transform]]\ntype = \"impute\"\nsteps = [{ method = \"interpolate\" }]\n";
    let run = ["run", "job.toml", "--set", "sink.batch_size=7", "--set", "commit_interval_ms=1"];
    for (text, pipeline, rows) in [(many(200), long, 200), (many_days(60), wide, 240)] {
        let whole = with(&text, &pipeline);
        whole.run(&run).expect(0, &[&format!("written {rows}, dead letters 0,")]);
        let whole = whole.rows("out").sorted();
        for point in ["prepare.done", "decide.before", "decide.after", "finish.rename"] {
            let dir = with(&text, &pipeline);
            let died = dir.run_with_fault(&run, &format!("{point}=crash"));
            assert_eq!(died.code, None, "{point}\n{}", died.err);
            dir.run(&run).expect(0, &[]);
            assert_eq!(dir.rows("out").sorted(), whole, "{point}");
        }
    }
}

#[test]
#[ignore = "needs an Apache Kafka"]
fn records_of_merged_rows_come_back_from_a_topic_of_dead_letters() {
    let kafka = Kafka::from_env();
    let dead = kafka.topic("dead", 1);
    let pipeline = LONG_SOURCE.to_owned() + &check("pm25", 100.0);
    let pipeline = format!("name = \"job\"\n\n{pipeline}{SINK}{}", kafka.dead_letters(&dead));
    let dir = TestDir::with(&[("in.csv", LONG), ("job.toml", &pipeline)]);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 6, merged 3, written 2, dead letters 1,"]);
    let messages = kafka.read(&dead);
    let value = messages[0].text();
    assert_eq!(value.lines().count(), 2, "{value}");
    assert!(messages[0].headers.contains_key("aqpipe.records"), "{:?}", messages[0].headers);
    let replay = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.ranges.pm25.max=1000.0"];
    dir.run(&replay).expect(0, &["job: read 2, merged 1, written 1, dead letters 0,"]);
    assert_eq!(dir.rows("out").len(), 3);
}
