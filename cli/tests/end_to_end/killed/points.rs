//! Runs that die at each step of a commit, on each path: what the next start leaves is what a run left alone leaves.
//!
//! The points are in debug builds alone (`aqpipe_engine::fault`).

use std::collections::BTreeSet;

use aqpipe_engine::fault::POINTS;
use rdkafka::message::OwnedHeaders;

use super::kafka::{CHECKS, IMPUTE, OPTIONS, SOURCE, lines, texts};
use crate::common::{Kafka, TestDir, uci};

const RECORDS: usize = 400;
/// Each so many-th row is no record.
const BAD: usize = 40;
/// Cases that run at the same time.
const WORKERS: usize = 4;

/// Where records and dead letters are, and how to read them.
struct Path<'a> {
    dir: &'a TestDir,
    kafka: Option<&'a Kafka>,
    /// The topic that is read, where one is.
    input: Option<String>,
    to_kafka: bool,
    /// Dead letters go to a topic, and not to files.
    dead_letters_to_kafka: bool,
}

impl Path<'_> {
    fn name(&self, name: &str) -> String {
        self.kafka.map_or_else(|| name.to_owned(), |kafka| kafka.name(name))
    }

    fn broker(&self) -> &Kafka {
        self.kafka.expect("a broker")
    }

    /// Writes a pipeline with output of its own.
    fn pipeline(&self, name: &str) {
        let source = match &self.input {
            None => SOURCE.to_owned() + "replay = { interval_secs = 0.01, records_per_step = 20 }\n",
            Some(topic) => self.broker().source(topic, &(String::from("session_timeout_secs = 1\n") + OPTIONS)),
        };
        let sink = if self.to_kafka {
            self.broker().sink(&self.name(name), 3)
        } else {
            format!("\n[sink]\ntype = \"csv\"\ndir = \"{name}\"\nbatch_size = 30\nbatch_timeout_secs = 1\n")
        };
        let dead = if self.dead_letters_to_kafka {
            let create = "create_topic = { partitions = 1, replication = 1 }\n";
            self.broker().dead_letters(&self.name(&format!("{name}-dead"))) + create
        } else {
            format!("\n[dead_letter]\ntype = \"ndjson\"\ndir = \"{name}-dead\"\n")
        };
        let text = format!("name = \"{name}\"\ncommit_interval_ms = 30\n\n{source}{IMPUTE}{CHECKS}{sink}{dead}");
        self.dir.write(&format!("{name}.toml"), text);
    }

    /// All records and dead letters, sorted.
    fn output(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mut records =
            if self.to_kafka { texts(self.broker(), &self.name(name)) } else { lines(&self.dir.rows(name)) };
        let dead = format!("{name}-dead");
        let mut dead_letters: Vec<String> = if self.dead_letters_to_kafka {
            texts(self.broker(), &self.name(&dead))
        } else {
            self.dir.dead_letters(&dead).iter().map(|dead_letter| dead_letter["raw"].to_string()).collect()
        };
        records.sort();
        dead_letters.sort();
        (records, dead_letters)
    }

    /// Dies at each point, goes on, and compares. `passed` are the points that this path does not come to.
    fn die_at_each_point(&self, passed: &[&str]) {
        self.pipeline("alone");
        self.dir.run(&["run", "alone.toml", "--until-end"]).expect(0, &[]);
        let alone = self.output("alone");
        assert_eq!((alone.0.len(), alone.1.len()), (RECORDS - RECORDS / BAD, RECORDS / BAD));
        // Most of the time is spent waiting, for groups above all.
        let mut cases: Vec<(&'static str, u32, bool)> =
            POINTS.iter().flat_map(|point| [1, 2, 3].map(|time| (*point, time, false))).collect();
        if self.kafka.is_some() {
            // Transactions know what they decided, without the state directory.
            cases.extend(POINTS.iter().map(|point| (*point, 2, true)));
        }
        let reached: BTreeSet<&'static str> = std::thread::scope(|scope| {
            let worker = |worker: usize| {
                let (cases, alone) = (&cases, &alone);
                scope.spawn(move || {
                    let mine = cases.iter().skip(worker).step_by(WORKERS);
                    mine.filter(|(point, time, lost)| self.dies_and_goes_on(point, *time, *lost, alone))
                        .map(|(point, ..)| *point)
                        .collect::<Vec<&'static str>>()
                })
            };
            let workers: Vec<_> = (0..WORKERS).map(worker).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("its cases hold")).collect()
        });
        let missed: Vec<&&str> = POINTS.iter().filter(|point| !reached.contains(**point)).collect();
        assert_eq!(missed.into_iter().copied().collect::<Vec<_>>(), passed, "points that it did not come to");
    }
}

impl Path<'_> {
    /// Whether a run came to the point so often; it died there, its state directory with it where that is `lost`, and the
    /// next one left the right output.
    fn dies_and_goes_on(&self, point: &str, time: u32, lost: bool, alone: &(Vec<String>, Vec<String>)) -> bool {
        let name = format!("{}-{time}{}", point.replace('.', "-"), if lost { "-lost" } else { "" });
        self.pipeline(&name);
        let file = format!("{name}.toml");
        let run = ["run", &file, "--until-end"];
        let died = self.dir.run_with_fault(&run, &format!("{point}=crash@{time}"));
        match died.code {
            // A point to which it comes less often, or never.
            Some(code) => assert_eq!(code, 0, "{point} {time}:\n{}", died.err),
            None => {
                if lost {
                    std::fs::remove_dir_all(self.dir.path(&format!(".aqpipe/{}", self.dir.name(&name)))).expect("lost");
                }
                drop(self.dir.run(&run).expect(0, &[]));
            }
        }
        assert!(self.output(&name) == *alone, "{point}, time {time}: the output differs");
        assert!(self.dir.temporary_files(&name).is_empty(), "{point}, time {time}: unfinished files are left");
        died.code.is_none()
    }
}

/// Rows of seven stations, each fortieth cut off.
fn rows() -> String {
    let text = uci(RECORDS);
    let mut lines = text.split("\r\n");
    let mut rows = format!("station;{}\n", lines.next().expect("a header"));
    for (index, line) in lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).enumerate() {
        let line = if index % BAD == BAD - 1 { &line[..line.len() / 3] } else { line };
        rows.push_str(&format!("s{};{line}\n", index % 7));
    }
    rows
}

/// A topic with the rows as messages, the bad ones too.
fn fill(dir: &TestDir, kafka: &Kafka) -> String {
    let topic = kafka.name("in");
    let good = SOURCE.to_owned();
    dir.write("fill.toml", format!("name = \"fill\"\n\n{good}{}{DEAD}", kafka.sink(&topic, 3)));
    dir.run(&["run", "fill.toml"]).expect(0, &[]);
    let bad = (0..RECORDS / BAD).map(|n| (None, Some(format!("bad {n}").into_bytes()), OwnedHeaders::new()));
    kafka.write(&topic, &bad.collect::<Vec<_>>());
    topic
}

const DEAD: &str = "\n[dead_letter]\ntype = \"ndjson\"\ndir = \"fill-dead\"\n";

#[test]
fn from_files_to_files() {
    let dir = TestDir::new();
    dir.write("in.csv", rows());
    let path = Path { dir: &dir, kafka: None, input: None, to_kafka: false, dead_letters_to_kafka: false };
    path.die_at_each_point(&["decide.begun", "decide.sent", "decide.offsets", "decide.commit", "begin.after"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn from_a_file_to_kafka() {
    let (dir, kafka) = (TestDir::new(), Kafka::from_env());
    dir.write("in.csv", rows());
    let path = Path { dir: &dir, kafka: Some(&kafka), input: None, to_kafka: true, dead_letters_to_kafka: false };
    path.die_at_each_point(&["finish.described"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn from_kafka_to_files() {
    let (dir, kafka) = (TestDir::new(), Kafka::from_env());
    dir.write("in.csv", rows());
    let input = Some(fill(&dir, &kafka));
    let path = Path { dir: &dir, kafka: Some(&kafka), input, to_kafka: false, dead_letters_to_kafka: true };
    path.die_at_each_point(&[]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn from_kafka_to_kafka() {
    let (dir, kafka) = (TestDir::new(), Kafka::from_env());
    dir.write("in.csv", rows());
    let input = Some(fill(&dir, &kafka));
    let path = Path { dir: &dir, kafka: Some(&kafka), input, to_kafka: true, dead_letters_to_kafka: true };
    path.die_at_each_point(&["prepare.sync", "finish.rename", "finish.renamed", "finish.sync", "finish.described"]);
}
