//! What is printed of records, files and names that hold what a terminal would obey.

use aqpipe_engine::printable;

use rdkafka::message::OwnedHeaders;

use crate::common::{Kafka, TestDir};

/// Clears the screen, forges a line of a log, turns the direction of writing.
const NASTY: &str = "\u{1b}[2J\u{9b}31m\r2026-01-31T12:00:00.000000Z ERROR job: forged\u{202e}\u{200b}";

const JOB: &str = r#"name = "job"

[source]
type = "csv"
path = "in.csv"
timestamp = { columns = ["time"] }
key = { name = "station", value = "a" }

[[transform]]
type = "range_check"
ranges = { T = { min = 0.0, max = 10.0 } }
on_fail = "flag"

[sink]
type = "csv"
dir = "out"

[dead_letter]
type = "ndjson"
dir = "dead"

[log]
file = "job.log"
"#;

/// Whether each line is what it seems to be, and begins as one of ours does.
#[track_caller]
fn is_safe(what: &str, text: &str) {
    for line in text.lines() {
        assert_eq!(printable::line(line), line, "{what}:\n{text:?}");
        assert!(!line.starts_with("2026-01-31T12:00:00.000000Z ERROR"), "{what}: a forged line:\n{text}");
    }
}

fn rows() -> String {
    let cell = NASTY.replace('\r', "");
    format!("time,T,\"F\n{NASTY}\"\n2004-01-01T00:00:00Z,1,2\nno time {cell},1,2\n")
}

#[test]
fn records_reach_neither_the_terminal_nor_the_log_with_what_they_would_do_there() {
    let dir = TestDir::with(&[("job.toml", JOB), ("in.csv", &rows())]);
    let done =
        dir.run(&["run", "job.toml", "--log-level", "debug"]).expect(0, &["job: read 2, written 1, dead letters 1,"]);
    is_safe("the run", &done.err);
    is_safe("its log", &dir.read("job.log"));
    let list = dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &["1 dead letter"]);
    is_safe("the list", &(list.out.clone() + &list.err));
    assert_eq!(list.out.lines().count(), 1, "{}", list.out);
    let id = list.out.split_whitespace().next().expect("an id");
    let show = dir.run(&["dead-letters", "show", "job.toml", id]).expect(0, &[]);
    is_safe("what is shown", &show.out);
    assert!(show.out.contains("\\u{1b}[2J") && show.out.contains("\\u{202e}"), "{}", show.out);
    let json = dir.run(&["dead-letters", "list", "job.toml", "--json"]).expect(0, &[]).out;
    is_safe("JSON", &json);
    let dead_letter: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(dead_letter["raw"].as_str().is_some_and(|raw| raw.contains(&NASTY.replace('\r', ""))), "{json}");
    is_safe("the state", &dir.run(&["state", "job.toml"]).expect(0, &[]).out);
}

#[test]
fn a_dead_letter_that_others_wrote_forges_no_line() {
    let dir = TestDir::with(&[("job.toml", JOB), ("in.csv", &rows())]);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let name = format!("dead/{}", dir.files("dead").pop().expect("a file"));
    let mut dead_letter: serde_json::Value = serde_json::from_str(&dir.read(&name)).expect("JSON");
    for key in ["reason", "place", "stage"] {
        dead_letter[key] = format!("x\n{NASTY}").into();
    }
    dir.write(&name, format!("{dead_letter}\n"));
    let list = dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &[]);
    is_safe("the list", &list.out);
    assert_eq!(list.out.lines().count(), 1, "{}", list.out);
    let id = list.out.split_whitespace().next().expect("an id");
    is_safe("what is shown", &dir.run(&["dead-letters", "show", "job.toml", id]).expect(0, &[]).out);
}

#[test]
fn names_of_files_and_arguments_are_printed_as_what_they_are() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let nasty = format!("{NASTY}\nerror: forged");
    for args in [
        &["validate", &nasty][..],
        &["run", &nasty],
        &["run", "job.toml", "--set", &nasty],
        &["run", "job.toml", "--set", &format!("source.path='{NASTY}'")],
        &["run", "job.toml", "--log-file", &format!("none/{nasty}")],
        &["run", "job.toml", &format!("--{nasty}")],
        &["stages", &nasty],
        &[&nasty],
    ] {
        let done = dir.run(args);
        assert_ne!(done.code, Some(0), "{args:?}");
        is_safe("errors", &done.err);
        assert!(!done.err.lines().any(|line| line == "error: forged"), "{args:?}\n{}", done.err);
        assert!(!done.err.is_empty());
    }
}

#[test]
fn a_log_as_json_and_one_as_text_hold_the_same_words_on_one_line_each() {
    let dir = TestDir::with(&[("job.toml", &JOB.replace("[log]", "[log]\nformat = \"json\"")), ("in.csv", &rows())]);
    let wrong = ["run", "job.toml", "--set", "transform.range_check.ranges.F\u{202e}={ min = 0.0, max = 1.0 }"];
    is_safe("an override", &dir.run(&wrong).err);
    dir.run(&["run", "job.toml", "--log-level", "debug"]).expect(0, &[]);
    let log = dir.read("job.log");
    is_safe("its log", &log);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn messages_reach_neither_the_terminal_nor_the_log_with_what_they_would_do_there() {
    let kafka = Kafka::from_env();
    let (topic, dead) = (kafka.topic("nasty", 1), kafka.topic("nasty-dead", 1));
    let message = |text: String| (Some(&b"s"[..]), Some(text.into_bytes()), OwnedHeaders::new());
    let quoted = serde_json::to_string(NASTY).expect("JSON");
    kafka.write(
        &topic,
        &[
            message(format!("{{\"timestamp\":{quoted},\"T\":1}}")),
            message(format!("{{\"timestamp\":\"2024-01-01T00:00:00Z\",\"station\":{quoted},\"T\":1,{quoted}:2}}")),
            message(format!("{{{NASTY}")),
        ],
    );
    let source = kafka.source(&topic, &format!("group = \"{topic}\"\nkey = \"station\"\n"));
    let stages = "[[transform]]\ntype = \"score\"\n\n[sink]\ntype = \"csv\"\ndir = \"out\"\n";
    let dead_letters = kafka.dead_letters(&dead);
    let text = format!("name = \"job\"\n\n{source}{stages}{dead_letters}\n[log]\nfile = \"job.log\"\n");
    let dir = TestDir::with(&[("job.toml", &text)]);
    let done = dir.run(&["run", "job.toml", "--until-end", "--log-level", "debug"]);
    let done = done.expect(0, &["job: read 3, written 1, dead letters 2,"]);
    is_safe("the run", &done.err);
    is_safe("its log", &dir.read("job.log"));
    let list = dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &["2 dead letters"]);
    is_safe("the list", &list.out);
    assert_eq!(list.out.lines().count(), 2, "{}", list.out);
    for line in list.out.lines() {
        let id = line.split_whitespace().next().expect("an id");
        is_safe("what is shown", &dir.run(&["dead-letters", "show", "job.toml", id]).expect(0, &[]).out);
    }
}
