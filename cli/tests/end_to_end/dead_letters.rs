//! `aqpipe dead-dead_letters` and `aqpipe state`: what could not be carried, and where pipelines stand.

use rdkafka::message::OwnedHeaders;
use serde_json::Value;

use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir, UCI_SOURCE, uci};

const CHECK: &str = r#"
[[transform]]
type = "impute"
steps = [{ method = "median" }]

[[transform]]
type = "range_check"
on_fail = "reject"
ranges = { "NOx(GT)" = { min = 0.0, max = 1000.0 } }
"#;
const FILES: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 50\n";
/// A hundredth of the readings is above 1000.
const WIDER: [&str; 2] = ["--set", "transform.range_check.ranges.\"NOx(GT)\".max=2000.0"];

fn setup() -> TestDir {
    let dir =
        TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{CHECK}{FILES}{NDJSON_DEAD_LETTERS}"))]);
    let text = uci(300).replace("11/03/2004;05.00.00;", "11/03/2004;no time;");
    dir.write("in.csv", text);
    dir.run(&["run", "job.toml"]).expect(0, &["job: read 300, written 296, dead letters 4,"]);
    dir
}

fn list(dir: &TestDir, args: &[&str]) -> Vec<Value> {
    let done = dir.run(&[&["dead-letters", "list", "job.toml", "--json"], args].concat()).expect(0, &[]);
    done.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn letters_are_listed_and_shown_with_what_where_and_why() {
    let dir = setup();
    let all = list(&dir, &[]);
    assert_eq!(all.len(), 4);
    let of_source = list(&dir, &["--stage", "csv"]);
    assert_eq!(of_source.len(), 1);
    assert!(of_source[0]["raw"].as_str().is_some_and(|raw| raw.starts_with("11/03/2004;no time;")), "{of_source:?}");
    assert_eq!(list(&dir, &["--stage", "range_check", "--reason", "above its maximum"]).len(), 3);
    assert!(list(&dir, &["--reason", "no such reason"]).is_empty());
    let id = of_source[0]["id"].as_str().expect("an id");
    let shown = dir.run(&["dead-letters", "show", "job.toml", id]).expect(0, &[]);
    for part in ["stage     csv\n", "place     in.csv:13\n", "replayed  no\n", "\n11/03/2004;no time;"] {
        assert!(shown.out.contains(part), "{part} is not in\n{}", shown.out);
    }
    dir.run(&["dead-letters", "show", "job.toml", "none:1"]).expect(1, &["there is no dead letter `none:1`"]);
    let without = dir.path("none.toml");
    std::fs::write(&without, format!("name = \"none\"\n\n{UCI_SOURCE}{FILES}")).expect("written");
    dir.run(&["dead-letters", "list", "none.toml"]).expect(1, &["the pipeline `none` has no [dead_letter]"]);
}

#[test]
fn letters_in_files_are_listed_with_their_whole_reasons_though_no_broker_answers() {
    let dir = setup();
    let name = format!("dead/{}", dir.files("dead").pop().expect("a file"));
    let line = dir.read(&name).lines().next().expect("a letter").to_owned();
    let mut dead_letter: Value = serde_json::from_str(&line).expect("JSON");
    dead_letter["reason"] = "why ".repeat(100).into();
    dir.write(&name, format!("{dead_letter}\n"));
    let sink = "sink={ type = \"kafka\", brokers = \"127.0.0.1:1\", topic = \"t\" }";
    let list = dir.run(&["dead-letters", "list", "job.toml", "--set", sink]);
    let list = list.expect(0, &["warning: it is unknown which of them were replayed: "]);
    assert!(list.out.contains("why ".repeat(100).trim_end()), "{}", list.out);
    let id = list.out.split_whitespace().next().expect("an id").to_owned();
    dir.run(&["dead-letters", "show", "job.toml", &id, "--set", sink]).expect(0, &[]);
}

#[test]
fn a_replay_sends_the_chosen_letters_through_the_pipeline_as_it_is_now_and_marks_them_done() {
    let dir = setup();
    let replay = [&["dead-letters", "replay", "job.toml", "--stage", "range_check"], &WIDER[..]].concat();
    dir.run(&replay).expect(0, &["job: read 3, written 3, dead letters 0,", "replayed\n"]);
    let rows = dir.rows("out");
    assert_eq!(rows.len(), 299);
    let high = rows.numbers("NOx(GT)").into_iter().filter(|value| *value == 1200.0).count();
    assert_eq!(high, 3);
    assert!(!rows.column("T").iter().any(|cell| cell.is_empty()), "the median of the first run fills gaps");
    assert_eq!(list(&dir, &[]).len(), 1, "the other one is not done");
    assert_eq!(list(&dir, &["--all"]).iter().filter(|dead_letter| dead_letter["replayed"] == true).count(), 3);
    dir.run(&replay).expect(0, &["nothing to replay\n"]);
    assert_eq!(dir.rows("out").len(), 299);
    // What still cannot be carried is a new letter, and the old one is done.
    dir.run(&["dead-letters", "replay", "job.toml"]).expect(0, &["job: read 1, written 0, dead letters 1,"]);
    let left = list(&dir, &[]);
    assert_eq!((left.len(), &left[0]["split"]), (1, &Value::from("dead-letters")));
    // A fresh run forgets what was replayed, with the letters.
    dir.run(&["run", "job.toml", "--fresh"]).expect(0, &["written 296, dead letters 4,"]);
    assert_eq!(list(&dir, &[]).len(), 4);
    assert_eq!(dir.rows("out").len(), 296);
}

#[cfg(debug_assertions)]
#[test]
fn a_replay_that_dies_at_any_step_repeats_nothing() {
    for point in ["prepare.done", "ledger.sync", "decide.before", "decide.after", "finish.rename", "done.before"] {
        let dir = setup();
        let replay = [&["dead-letters", "replay", "job.toml", "--stage", "range_check"], &WIDER[..]].concat();
        let died = dir.run_with_fault(&replay, &format!("{point}=crash"));
        assert_eq!(died.code, None, "{point}\n{}", died.err);
        dir.run(&replay).expect(0, &[]);
        assert_eq!(dir.rows("out").len(), 299, "{point}");
        assert!(dir.temporary_files("out").is_empty());
        assert_eq!(list(&dir, &[]).len(), 1);
    }
}

/// Rows that a transform holds back are of letters that are done.
#[cfg(debug_assertions)]
#[test]
fn a_replay_that_dies_while_rows_are_held_back_goes_on_with_them() {
    let hold = CHECK.replace("method = \"median\"", "method = \"backward_fill\", limit = 3");
    let dir =
        TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{hold}{FILES}{NDJSON_DEAD_LETTERS}"))]);
    dir.write("in.csv", uci(1_000).replace(";-200;", ";;"));
    let first = dir.run(&["run", "job.toml"]).expect(0, &["job: read 1000, "]);
    let before = dir.rows("out").len();
    let dead_letters = 1_000 - before;
    assert!(dead_letters >= 5, "{}", first.err);
    let replay = [&["dead-letters", "replay", "job.toml", "--set", "sink.batch_size=1"], &WIDER[..]].concat();
    // With its fourth checkpoint, each of one letter: whatever is committed by then, it is not all.
    let died = dir.run_with_fault(&replay, "prepare.done=crash@4");
    assert_eq!(died.code, None, "{}", died.err);
    let changed = ["dead-letters", "replay", "job.toml", "--set", "transform=[]"];
    dir.run(&changed).expect(78, &["a replay with other stages was interrupted"]);
    dir.run(&replay).expect(0, &["replayed\n"]);
    assert_eq!(dir.rows("out").len(), 1_000);
    assert!(list(&dir, &[]).is_empty());
    dir.run(&replay).expect(0, &["nothing to replay\n"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn letters_in_a_topic_are_replayed_into_a_topic_in_one_transaction() {
    let kafka = Kafka::from_env();
    let (topic, out, dead) = (kafka.topic("in", 2), kafka.topic("out", 1), kafka.topic("dead", 1));
    let message = |n: u32| format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","station":"s","NOx(GT)":{n}}}"#);
    let mut messages: Vec<_> =
        (0..20).map(|n| (None, Some(message(n * 100).into_bytes()), OwnedHeaders::new())).collect();
    messages.push((None, Some(b"nonsense".to_vec()), OwnedHeaders::new()));
    kafka.write(&topic, &messages);
    let check = "[[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\n\
                 ranges = { \"NOx(GT)\" = { min = 0.0, max = 1000.0 } }\n";
    let source = kafka.source(&topic, "key = \"station\"\nfields = [\"NOx(GT)\"]\n");
    let job = format!("name = \"job\"\n\n{source}{check}{}{}", kafka.sink(&out, 1), kafka.dead_letters(&dead));
    let dir = TestDir::with(&[("job.toml", &job)]);
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: read 21, written 11, dead letters 10,"]);
    assert_eq!(list(&dir, &[]).len(), 10);
    let replay = [&["dead-letters", "replay", "job.toml", "--stage", "range_check"], &WIDER[..]].concat();
    if cfg!(debug_assertions) {
        // Undecided, it leaves nothing; decided, it is done.
        let died = dir.run_with_fault(&replay, "decide.commit=crash");
        assert_eq!(died.code, None, "{}", died.err);
        assert_eq!(kafka.read(&out).len(), 11);
    }
    dir.run(&replay).expect(0, &["a Kafka transaction of `aqpipe.job/dead-letters` decides\n", "read 9, written 9,"]);
    assert_eq!(kafka.read(&out).len(), 20);
    dir.run(&replay).expect(0, &["nothing to replay\n"]);
    assert_eq!(list(&dir, &[]).len(), 1);
    assert_eq!(kafka.read(&out).len(), 20);
    // The pipeline itself goes on as if nothing had happened.
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: read 0, written 0,"]);
}

fn state(dir: &TestDir) -> Value {
    let done = dir.run(&["state", "job.toml", "--json"]).expect(0, &[]);
    serde_json::from_str(done.out.trim()).expect("JSON")
}

#[test]
fn state_says_where_a_pipeline_stands_in_ledgers() {
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{FILES}{NDJSON_DEAD_LETTERS}"))]);
    let never = dir.run(&["state", "job.toml"]).expect(0, &[]);
    assert!(never.out.contains("has not run yet"), "{}", never.out);
    let hold = "transform=[{type=\"impute\",steps=[{method=\"backward_fill\",limit=3}]}]";
    dir.write("in.csv", uci(300));
    let slow = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 10 }", "--set", hold];
    let mut running = dir.start(&[&["run", "job.toml"], &slow[..]].concat());
    running.wait_until("a file", |_| !dir.files("out").is_empty());
    assert_eq!(state(&dir)["instances"][0]["running"], true);
    running.terminate();
    running.wait().expect(0, &[]);
    let stopped = state(&dir);
    let (instance, split) = (&stopped["instances"][0], &stopped["splits"][0]);
    assert_eq!((&instance["running"], &instance["done"]), (&Value::from(false), &Value::from(false)));
    assert_eq!(split["records"], instance["read"]);
    assert_eq!(
        instance["read"],
        instance["written"].as_u64().expect("a number") + split["held"].as_u64().expect("held")
    );
    let line = split["records"].as_u64().expect("a number") + 2;
    assert_eq!(split["place"], format!("in.csv:{line}"), "a line, for a person");
    let text = dir.run(&["state", "job.toml"]).expect(0, &[]).out;
    assert!(text.contains(&format!("at in.csv:{line}, ")), "{text}");
    assert!(split["position"].as_u64() > Some(0) && instance["last_commit_ms"].as_u64() > Some(1_700_000_000_000));
    dir.run(&[&["run", "job.toml"], &slow[2..]].concat()).expect(0, &[]);
    let done = state(&dir);
    assert_eq!((&done["instances"][0]["done"], &done["splits"][0]["records"]), (&Value::from(true), &Value::from(300)));
    let text = dir.run(&["state", "job.toml"]).expect(0, &[]).out;
    assert!(text.contains("instance   0: run 1, completed; read 300, written 300,"), "{text}");
}

#[test]
fn state_counts_the_rows_that_transforms_made_and_merged_in_all_runs() {
    let job = "name = \"job\"\n\n[source]\ntype = \"csv\"\npath = \"in.csv\"\nrerun = \"new\"\nkey = \"station\"\n\
               timestamp = { column = \"day\", format = \"%Y-%m-%d\" }\ntimezone = \"UTC\"\n\n\
               [[transform]]\ntype = \"unpivot\"\ncolumns = \"H{hour}\"\n\n\
               [[transform]]\ntype = \"pivot\"\nnames = \"parameter\"\nvalues = \"value\"\nexpect = [\"a\", \"b\"]\n\
               allowed_lateness = \"1d\"\nkeep = []\n\n[sink]\ntype = \"csv\"\ndir = \"out\"\n";
    let dir = TestDir::with(&[("job.toml", job)]);
    let mut text = "day,station,parameter,H01,H02,H03\n".to_owned();
    for day in 1..3 {
        for parameter in ["a", "b"] {
            text.push_str(&format!("2024-01-0{day},4,{parameter},1,2,3\n"));
        }
        dir.write("in.csv", &text);
        dir.run(&["run", "job.toml"]).expect(0, &["job: read 2, made 4, merged 3, written 3,"]);
    }
    let state = state(&dir);
    let count = |name: &str| state["instances"][0][name].as_u64().unwrap_or_else(|| panic!("no `{name}`: {state}"));
    assert_eq!(["read", "made", "merged", "written"].map(count), [4, 8, 6, 6]);
    assert_eq!(
        count("read") + count("made"),
        count("written") + count("dead_letters") + count("filtered") + count("merged")
    );
    let text = dir.run(&["state", "job.toml"]).expect(0, &[]).out;
    assert!(text.contains("completed; read 4, made 8, merged 6, written 6,"), "{text}");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn state_says_where_a_pipeline_stands_in_kafka_though_its_directory_is_gone() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("out", 1);
    let sink = kafka.sink(&topic, 1);
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{sink}"))]);
    dir.write("in.csv", uci(100));
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    std::fs::remove_dir_all(dir.path(".aqpipe")).expect("removed");
    let state = state(&dir);
    assert!(state["transaction_cluster"].is_string(), "{state}");
    assert_eq!((&state["instances"][0]["done"], &state["instances"][0]["written"]), (&true.into(), &100.into()));
    assert_eq!(state["splits"][0]["records"], 100);
    // And so does the next run: nothing is lost with the directory.
    dir.run(&["run", "job.toml", "--set", "source.rerun=false"]).expect(0, &["nothing to do\n"]);
    assert_eq!(kafka.read(&topic).len(), 100);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn state_knows_how_many_messages_wait_and_says_nothing_of_them_where_no_broker_answers() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("in", 2);
    let message = |hour: usize| {
        let value = format!("{{\"timestamp\":\"2024-01-01T{hour:02}:00:00Z\",\"station\":\"s\",\"a\":{hour}.5}}");
        (Some(&b"s"[..]), Some(value.into_bytes()), OwnedHeaders::new())
    };
    let options = format!("group = \"{topic}\"\nkey = \"station\"\nfields = [\"a\"]");
    let source = kafka.source(&topic, &options);
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{source}{FILES}"))]);
    kafka.write(&topic, &(0..5).map(message).collect::<Vec<_>>());
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: read 5, written 5,"]);
    let caught_up = state(&dir);
    assert_eq!((&caught_up["lag"], &caught_up["splits"][0]["lag"]), (&0.into(), &0.into()), "{caught_up}");
    kafka.write(&topic, &(5..12).map(message).collect::<Vec<_>>());
    let behind = state(&dir);
    assert_eq!((&behind["lag"], &behind["splits"][0]["lag"]), (&7.into(), &7.into()), "{behind}");
    assert_eq!((&behind["lag_committed"], &behind["splits"][0]["lag_committed"]), (&7.into(), &7.into()), "{behind}");
    assert!(dir.run(&["state", "job.toml"]).expect(0, &[]).out.contains("lag 7, "));
    let away = ["state", "job.toml", "--json", "--timeout", "1", "--set", "source.brokers=127.0.0.1:9"];
    let done = dir.run(&away);
    let away: Value = serde_json::from_str(done.out.trim()).expect("JSON");
    assert_eq!((&away["lag"], &away["splits"][0]["lag"]), (&Value::Null, &Value::Null), "{away}");
    assert_eq!(away["lag_committed"], Value::Null, "{away}");
}
