//! Brokers and disks in trouble, with transactions: a clear reason, and nothing lost or repeated afterwards.

mod away;
mod brokers;
mod delivery;
mod disk;
mod fencing;
mod topics;

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::common::{Done, Kafka, Running, TestDir, UCI_SOURCE, uci};

const RECORDS: usize = 2_000;

const FILL: &str = r#"
[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 2 }, { method = "backward_fill", limit = 2 }]
"#;
/// About two seconds for the whole file.
const SLOW: [&str; 2] = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 20 }"];

fn from_kafka(kafka: &Kafka, topic: &str) -> String {
    kafka.source(topic, "key = \"station\"\nsession_timeout_secs = 1\nfields = [\"CO(GT)\", \"NOx(GT)\", \"T\"]\n")
}

const FILES: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 100\nbatch_timeout_secs = 1\n";

fn pipeline(name: &str, parts: &[&str]) -> String {
    format!("name = \"{name}\"\ncommit_interval_ms = 100\nshutdown_timeout_secs = 3\n\n{}", parts.concat())
}

/// A directory with a file and a pipeline from it to a topic, and the topic's name.
fn producer(kafka: &Kafka) -> (TestDir, String) {
    let (dir, topic) = (TestDir::new(), kafka.name("out"));
    dir.write("in.csv", uci(RECORDS));
    dir.write("job.toml", pipeline("job", &[UCI_SOURCE, FILL, &kafka.sink(&topic, 1)]));
    (dir, topic)
}

/// The pipeline, once it has committed some records and has not sent all of them.
fn started(kafka: &Kafka, dir: &TestDir, topic: &str, more: &[&str]) -> Running {
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..], more].concat());
    running.wait_until("some commits", |_| kafka.count(topic) > 100);
    running
}

/// Every record is in the topic once.
#[track_caller]
fn all_once(kafka: &Kafka, topic: &str) {
    let found: Vec<String> = kafka.read(topic).iter().map(|message| message.text()).collect();
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (RECORDS, RECORDS));
}

/// Every record is in the files once.
#[track_caller]
fn all_in_files(dir: &TestDir, subdir: &str) {
    let rows = dir.rows(subdir);
    let distinct: BTreeSet<&Vec<String>> = rows.rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS), "{subdir}");
    assert!(dir.temporary_files(subdir).is_empty(), "{subdir}");
}

/// A broker of the test's own, stopped at its end.
struct OwnBroker {
    dir: TestDir,
    port: String,
}

impl OwnBroker {
    fn new() -> OwnBroker {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
        OwnBroker { dir: TestDir::new(), port: port.to_string() }
    }

    fn up(&self, more: &[&str]) -> Done {
        let args = ["kafka", "up", "--dir", "kafka", "--port", &self.port];
        self.dir.run(&[&args[..], more].concat()).expect(0, &[])
    }

    fn down(&self) -> Done {
        self.dir.run(&["kafka", "down", "--dir", "kafka"])
    }

    fn kafka(&self) -> Kafka {
        Kafka::at(format!("127.0.0.1:{}", self.port))
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let _ = self.down();
    }
}
