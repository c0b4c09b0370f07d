//! What a log of JSON says in numbers, and that no log and no summary grows with the number of fields.

use aqpipe_console::server::status_schema;
use aqpipe_engine::monitor::PipelineStatus;
use serde_json::Value;

use crate::common::TestDir;

const JOB: &str = r#"name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = "time"
key = "station"

[[transform]]
type = "range_check"
ranges = { T = { min = 0.0, max = 50.0 } }
on_fail = "flag"

[[transform]]
type = "score"

[sink]
type = "csv"
dir = "out"

[dead_letter]
type = "ndjson"
dir = "dead"
"#;

const ROWS: &str = "time,station,T,RH\n2026-01-01T00:00:00Z,a,20,30\n2026-01-01T01:00:00Z,a,99,\n2026-01-01T02:00:00Z,b,bad,40\nno \
                    time,a,1,2\n";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The keys of the objects that a schema describes, as `committed.read` or `fields[].missing`.
fn keys(schema: &Value, of: &Value, prefix: &str, found: &mut Vec<String>) {
    let of = match of["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        Some(name) => &schema["$defs"][name],
        None => of,
    };
    for (name, value) in of["properties"].as_object().into_iter().flatten() {
        found.push(format!("{prefix}{name}"));
        keys(schema, value, &format!("{prefix}{name}."), found);
        keys(schema, &value["items"], &format!("{prefix}{name}[]."), found);
    }
}

/// Whether a line has a key; a list without rows has none of theirs.
fn has(line: &Value, key: &str) -> bool {
    match key.split_once("[].") {
        Some((list, rest)) => {
            at(line, list).and_then(Value::as_array).is_some_and(|rows| rows.iter().all(|row| has(row, rest)))
        }
        None => at(line, key).is_some(),
    }
}

fn at<'v>(line: &'v Value, key: &str) -> Option<&'v Value> {
    key.split('.').try_fold(line, |value, name| value.get(name))
}

#[test]
fn the_last_line_of_a_run_has_all_numbers_of_its_status_as_they_are_called_there() {
    let dir = TestDir::with(&[("job.toml", JOB), ("in.csv", ROWS)]);
    let done = dir.run(&["run", "job.toml", "--log-json"]).expect(0, &[]);
    let lines = lines(&done.err);
    let last = lines.last().expect("a line");
    assert!(lines.iter().all(|line| line["pid"] == lines[0]["pid"] && line["pid"].is_u64()), "{}", done.err);
    assert_eq!(lines.iter().filter(|line| line.get("committed").is_some()).count(), 1, "a short run has that one only");
    let message = last["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("read 4, written 3, dead letters 1, filtered 0, held 0; "), "{message}");

    let schema: Value = serde_json::from_str(&status_schema()).expect("JSON");
    let mut expected = Vec::new();
    keys(&schema, &schema["$defs"]["PipelineStatus"], "", &mut expected);
    assert!(expected.len() > 80 && expected.contains(&"splits[].lag".to_owned()), "{expected:?}");
    expected.retain(|key| key != "name");
    let missing: Vec<&String> = expected.iter().filter(|key| !has(last, key)).collect();
    assert!(missing.is_empty(), "{missing:?} of {last:#}");

    let mut named = last.clone();
    named["name"] = last["pipeline"].clone();
    let status: PipelineStatus = serde_json::from_value(named).expect("a status");
    let sums = &status.committed;
    assert_eq!((status.read, sums.read, sums.written, sums.dead_letters, sums.filtered), (4, 4, 3, 1, 0));
    assert_eq!((sums.made, sums.merged, status.held, status.rebalances), (0, 0, 0, 0));
    assert!(status.bytes.read == ROWS.len() as u64 && status.bytes.written > 0, "{:?}", status.bytes);
    assert_eq!((status.files_written, status.dead_letter_files_written, status.files_in.len()), (1, 1, 2));
    assert!(sums.mean_score.is_some_and(|score| score > 0.0 && score < 1.0), "{sums:?}");
    let fields: Vec<(&str, u64, u64, u64, u64)> = status
        .fields
        .iter()
        .map(|field| (&*field.field, field.observed, field.unreadable, field.missing, field.fail))
        .collect();
    assert_eq!(fields, [("T", 2, 1, 0, 2), ("RH", 2, 0, 1, 0)]);
    assert_eq!((&*status.cell_problems[0].field, &*status.cell_problems[0].first), ("T", "bad"));
    assert_eq!((status.splits.len(), status.splits[0].read), (1, 4));
}

#[test]
fn a_line_every_few_seconds_has_the_same_names() {
    let paced = "name = \"job\"\n\n[source]\ntype = \"sample\"\nrecords = 100000\nreplay = { speed = 100.0, interval_secs = 1.0 }\n\n\
                 [sink]\ntype = \"null\"\n\n[monitor]\nevery_secs = 1\n";
    let dir = TestDir::with(&[("job.toml", paced)]);
    let mut run = dir.start(&["run", "job.toml", "--log-json"]);
    run.wait_for_log("mean_batch_seconds");
    run.terminate();
    let done = run.wait().expect(0, &[]);
    let lines = lines(&done.err);
    let line = lines.iter().find(|line| line.get("mean_batch_seconds").is_some()).expect("a line");
    for key in
        ["read", "lag", "committed.written", "bytes.read", "held", "errors", "retries", "rebalances", "uptime_seconds"]
    {
        assert!(at(line, key).is_some(), "{key} of {line:#}");
    }
    assert!(line["splits"][0].get("lag").is_some() && line["read_per_second"].is_f64(), "{line:#}");
    let last = lines.last().expect("a line");
    assert!(last["phase"] == "stopped" && last["fields"].is_array(), "{last:#}");
}

#[test]
fn a_run_that_failed_has_its_numbers_too_and_no_monitoring_leaves_them() {
    let dir = TestDir::with(&[
        ("job.toml", &JOB.replace("[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n", "")),
        ("in.csv", ROWS),
    ]);
    let done = dir.run(&["run", "job.toml", "--log-json", "--no-monitoring", "--log-file", "all.log"]).expect(1, &[]);
    let last = lines(&dir.read("all.log")).pop().expect("a line");
    assert!(last["phase"] == "failed" && last["failure"].is_string() && last["committed"]["read"].is_u64(), "{last:#}");
    assert!(!done.err.contains("\njob: read "), "{}", done.err);
}

#[test]
fn many_fields_with_cells_that_cannot_be_read_make_no_long_log_and_no_long_summary() {
    let names: Vec<String> = (0..620).map(|n| format!("f{n}")).collect();
    let row = |cell: &str| format!(",{}\n", vec![cell; names.len()].join(","));
    let mut rows = format!("time,station,{}\n", names.join(","));
    for hour in 0..20 {
        rows += &format!("2026-01-01T{hour:02}:00:00Z,a{}", row(if hour % 4 == 3 { "bad" } else { "1" }));
    }
    // One that is worse than the others.
    let rows = rows.replacen(",1,1,1,1\n", ",1,1,bad,1\n", 2);
    let dir = TestDir::with(&[
        ("job.toml", JOB.split("[[transform]]\ntype = \"range").next().expect("a source")),
        ("in.csv", &rows),
    ]);
    let sink =
        dir.read("job.toml") + "on_unreadable = \"warn\"\n\n[sink]\ntype = \"null\"\n\n[log]\nfile = \"job.log\"\n";
    dir.write("job.toml", sink);
    let done = dir.run(&["run", "job.toml"]).expect(0, &["job: read 20, written 20"]);
    let log = dir.read("job.log");
    let warned = log.lines().filter(|line| line.contains(" WARN ")).count();
    assert!((1..=50).contains(&warned), "{warned} warnings:\n{log}");
    assert!(log.contains(" more messages such as this one within "), "{log}");
    let summary = done.report();
    assert!(summary.len() < 100, "{} lines", summary.len());
    let text = summary.join("\n");
    assert!(text.contains("  f618: 7 cells that could not be read"), "the worst is told:\n{text}");
    assert!(text.contains("  and 600 more fields with 3000 cells that could not be read"), "{text}");
    assert!(text.contains(" more fields, in which "), "{text}");
}

#[test]
fn processes_of_one_pipeline_that_share_a_log_file_are_told_apart() {
    let follow = JOB.replace("path = \"in.csv\"", "path = \"in.csv\"\nfollow = true") + "\n[log]\nfile = \"job.log\"\n";
    let dir = TestDir::with(&[("job.toml", &follow), ("in.csv", ROWS)]);
    let mut first = dir.start(&["run", "job.toml"]);
    first.wait_for_log("a ledger file decides");
    let refused = dir.run(&["run", "job.toml"]).expect(1, &["is running already"]);
    first.terminate();
    let done = first.wait().expect(0, &[]);
    assert!(!done.err.contains("Z [") && !refused.err.contains("Z ["), "a console is that of one process");
    let log = dir.read("job.log");
    let pid = |line: &str| line.split_once("Z [")?.1.split_once("] ")?.0.parse::<u32>().ok();
    let told = |part: &str| log.lines().find(|line| line.contains(part)).and_then(pid);
    let (ran, was_refused) = (told("job: stopped"), told("is running already"));
    assert!(ran.is_some() && was_refused.is_some() && ran != was_refused, "{log}");
    assert!(log.lines().all(|line| [ran, was_refused].contains(&pid(line))), "{log}");
    assert_eq!(log.matches(" INFO job: csv -> ").count(), 2, "{log}");
}
