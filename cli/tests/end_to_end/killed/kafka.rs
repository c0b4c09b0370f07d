//! With an Apache Kafka at one end or both: every record of a run left alone is there, with the same values.

use std::collections::BTreeSet;

use super::killed_and_restarted;
use crate::common::{Kafka, Rows, TestDir, uci};

const RECORDS: usize = 3_000;

pub(super) const SOURCE: &str = r#"[source]
type = "csv"
path = "in.csv"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = { columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }
key = { column = "station" }
fields = ["CO(GT)", "NOx(GT)", "T", "RH"]
"#;

pub(super) const IMPUTE: &str = r#"
[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 2 }, { method = "backward_fill", limit = 2 }, { method = "constant", value = 7.5 }]
"#;

pub(super) const CHECKS: &str = r#"
[[transform]]
type = "range_check"
ranges = { "NOx(GT)" = { min = 0.0, max = 1000.0 } }

[[transform]]
type = "score"
"#;

/// The options of a Kafka source.
pub(super) const OPTIONS: &str = "key = \"station\"\nfields = [\"CO(GT)\", \"NOx(GT)\", \"T\", \"RH\"]\n";

fn from_kafka(kafka: &Kafka, topic: &str, group: &str) -> String {
    let group = format!("group = \"{group}\"\nsession_timeout_secs = 6\n");
    kafka.source(topic, &(group + OPTIONS))
}

fn to_files(dir: &str) -> String {
    format!("\n[sink]\ntype = \"csv\"\ndir = \"{dir}\"\nbatch_size = 50\nbatch_timeout_secs = 2\n")
}

fn pipeline(name: &str, parts: &[&str]) -> String {
    format!("name = \"{name}\"\ncommit_interval_ms = 100\n\n{}", parts.concat())
}

/// A directory with a file of seven stations.
fn setup() -> TestDir {
    let dir = TestDir::new();
    let text = uci(RECORDS);
    let mut lines = text.split("\r\n");
    let mut with = format!("station;{}\n", lines.next().expect("a header"));
    for (index, line) in lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).enumerate() {
        with.push_str(&format!("s{};{line}\n", index % 7));
    }
    dir.write("in.csv", with);
    dir
}

/// Fills a topic with the records of the file, unprocessed.
fn fill(dir: &TestDir, kafka: &Kafka, topic: &str) {
    dir.write("fill.toml", pipeline("fill", &[SOURCE, &kafka.sink(topic, 3)]));
    dir.run(&["run", "fill.toml"]).expect(0, &["fill: read 3000, written 3000,"]);
}

pub(super) fn texts(kafka: &Kafka, topic: &str) -> Vec<String> {
    kafka.read(topic).iter().map(|message| message.text()).collect()
}

/// Every record of `alone` once, and no other.
#[track_caller]
fn same_records(found: &[String], alone: &[String]) {
    assert_eq!(alone.len(), RECORDS);
    let (set, expected): (BTreeSet<&String>, BTreeSet<&String>) = (found.iter().collect(), alone.iter().collect());
    assert_eq!(expected.len(), RECORDS);
    let lost: Vec<_> = expected.difference(&set).take(3).collect();
    let other: Vec<_> = set.difference(&expected).take(3).collect();
    assert!(lost.is_empty() && other.is_empty(), "lost {lost:#?}\nothers {other:#?}");
    assert_eq!(found.len(), RECORDS, "some are there more than once");
}

/// Rows as lines.
pub(super) fn lines(rows: &Rows) -> Vec<String> {
    rows.rows.iter().map(|row| row.join(",")).collect()
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_killed_run_from_a_file_to_kafka_sends_every_record_with_the_same_values() {
    let (kafka, dir) = (Kafka::from_env(), setup());
    let (alone, topic) = (kafka.name("alone"), kafka.name("killed"));
    dir.write("alone.toml", pipeline("alone", &[SOURCE, IMPUTE, CHECKS, &kafka.sink(&alone, 3)]));
    dir.run(&["run", "alone.toml"]).expect(0, &[]);
    dir.write("job.toml", pipeline("job", &[SOURCE, IMPUTE, CHECKS, &kafka.sink(&topic, 3)]));
    let slow = ["run", "job.toml", "--set", "source.replay={ interval_secs = 0.02, records_per_step = 20 }"];
    let (killed, last) = killed_and_restarted(&dir, &slow, (300, 1_500), 8);
    // A run that was killed on its way out has nothing left to do.
    let ends = ["going on after ", "nothing to do"];
    assert!(killed >= 2 && ends.iter().any(|end| last.err.contains(end)), "killed {killed} times\n{}", last.err);
    same_records(&texts(&kafka, &topic), &texts(&kafka, &alone));
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_killed_run_from_kafka_to_files_writes_every_record_with_the_same_values() {
    let (kafka, dir) = (Kafka::from_env(), setup());
    let topic = kafka.name("in");
    fill(&dir, &kafka, &topic);
    let group = kafka.name("alone");
    dir.write(
        "alone.toml",
        pipeline("alone", &[&from_kafka(&kafka, &topic, &group), IMPUTE, CHECKS, &to_files("alone")]),
    );
    dir.run(&["run", "alone.toml", "--until-end"]).expect(0, &[]);
    let group = kafka.name("killed");
    dir.write("job.toml", pipeline("job", &[&from_kafka(&kafka, &topic, &group), IMPUTE, CHECKS, &to_files("out")]));
    // The first files come after the group has assigned; a killed member is missed for six seconds.
    let mut killed = 0;
    for _ in 0..3 {
        let before = dir.files("out").len();
        let mut running = dir.start(&["run", "job.toml", "--set", "sink.batch_size=20"]);
        running.wait_until("more files", |_| {
            dir.files("out").len() > before + 2 || lines(&dir.rows("out")).len() == RECORDS
        });
        running.kill();
        assert_eq!(running.wait().code, None);
        killed += 1;
    }
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: done\n"]);
    assert_eq!(killed, 3);
    let (found, alone) = (lines(&dir.rows("out")), lines(&dir.rows("alone")));
    same_records(&found, &alone);
    assert!(dir.temporary_files("out").is_empty());
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_killed_run_from_kafka_to_kafka_sends_every_record_with_the_same_values() {
    let (kafka, dir) = (Kafka::from_env(), setup());
    let (topic, alone, killed) = (kafka.name("in"), kafka.name("alone"), kafka.name("killed"));
    fill(&dir, &kafka, &topic);
    let job = |name: &str, to: &str| {
        let group = kafka.name(name);
        pipeline(name, &[&from_kafka(&kafka, &topic, &group), IMPUTE, CHECKS, &kafka.sink(to, 3)])
    };
    dir.write("alone.toml", job("alone", &alone));
    dir.run(&["run", "alone.toml", "--until-end"]).expect(0, &[]);
    dir.write("job.toml", job("job", &killed));
    let (times, _) = killed_and_restarted(&dir, &["run", "job.toml", "--until-end"], (3_000, 7_000), 3);
    eprintln!("killed {times} times");
    same_records(&texts(&kafka, &killed), &texts(&kafka, &alone));
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_stop_between_kafka_and_files_drains_and_the_next_start_writes_the_rest_once() {
    let (kafka, dir) = (Kafka::from_env(), setup());
    let topic = kafka.name("in");
    fill(&dir, &kafka, &topic);
    let group = kafka.name("group");
    dir.write("job.toml", pipeline("job", &[&from_kafka(&kafka, &topic, &group), IMPUTE, CHECKS, &to_files("out")]));
    let mut running = dir.start(&["run", "job.toml", "--set", "sink.batch_size=20"]);
    running.wait_until("files", |_| dir.files("out").len() > 3);
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    assert!(dir.temporary_files("out").is_empty());
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["job: done\n"]);
    let rows = lines(&dir.rows("out"));
    let distinct: BTreeSet<&String> = rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS));
}

#[test]
#[ignore = "needs Apache Kafka"]
fn records_wait_while_the_broker_is_down_and_all_arrive_once_it_is_back() {
    let dir = setup();
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port().to_string();
    let up = ["kafka", "up", "--dir", "kafka", "--port", &port];
    dir.run(&up).expect(0, &[]);
    let kafka = Kafka::at(format!("127.0.0.1:{port}"));
    let (sent, group) = (kafka.name("sent"), kafka.name("group"));
    dir.write("producer.toml", pipeline("producer", &[SOURCE, IMPUTE, CHECKS, &kafka.sink(&sent, 3)]));
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &sent, &group), CHECKS, &to_files("out")]));
    let slow = format!("{}:source.replay={{ interval_secs = 0.02, records_per_step = 10 }}", dir.name("producer"));
    let mut running = dir.start(&["run", "producer.toml", "consumer.toml", "--until-end", "--set", &slow]);
    running.wait_until("its first files", |_| dir.files("out").len() > 2);
    let down = dir.run(&["kafka", "down", "--dir", "kafka"]);
    running.wait_for_log("WARN producer: no broker answers at 127.0.0.1:");
    dir.run(&up).expect(0, &[]);
    let done = running.wait();
    dir.run(&["kafka", "down", "--dir", "kafka"]).expect(0, &[]);
    down.expect(0, &[]);
    let done = done.expect(0, &["producer: done\n", "consumer: done\n", "producer: read 3000, written 3000,"]);
    let rows = lines(&dir.rows("out"));
    let distinct: BTreeSet<&String> = rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS), "{}", done.err);
}
