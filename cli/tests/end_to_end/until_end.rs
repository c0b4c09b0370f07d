//! Runs of a member of a group that end once the topic is read: what others have not read is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::common::{Kafka, TestDir};

const PARTITIONS: u16 = 3;
const RECORDS: usize = 300;
const UNTIL_END: [&str; 3] = ["run", "job.toml", "--until-end"];

/// A member of a group that takes partitions and commits nothing.
struct Member {
    assigned: Arc<AtomicUsize>,
    dies: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Member {
    /// Joins, and waits for its partitions.
    fn join(kafka: &Kafka, topic: &str) -> Member {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &kafka.brokers).set("group.id", group(topic));
        config.set("session.timeout.ms", "1000").set("heartbeat.interval.ms", "100");
        config.set("enable.auto.commit", "false").set("partition.assignment.strategy", "range");
        // A static member says nothing when it goes, as one that is killed.
        config.set("group.instance.id", "another");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(&[topic]).expect("subscribed");
        let (assigned, dies) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (has, stops) = (Arc::clone(&assigned), Arc::clone(&dies));
        let thread = std::thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let _ = consumer.poll(Duration::from_millis(10));
                has.store(consumer.assignment().map_or(0, |all| all.count()), Ordering::Relaxed);
            }
        });
        let member = Member { assigned, dies, thread };
        while member.assigned() == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        member
    }

    fn assigned(&self) -> usize {
        self.assigned.load(Ordering::Relaxed)
    }

    fn die(self) {
        self.dies.store(true, Ordering::Relaxed);
        self.thread.join().expect("a thread");
    }
}

fn group(topic: &str) -> String {
    format!("{topic}-group")
}

/// A topic of so many partitions with records and, behind the last ones, markers of transactions; and a pipeline that reads it.
fn setup(kafka: &Kafka, partitions: u16) -> (String, TestDir) {
    let topic = kafka.name(&format!("until-end-{partitions}"));
    let source = format!("[source]\ntype = \"sample\"\nrecords = {RECORDS}\nstations = 20\n");
    let fill = format!("name = \"fill\"\n\n{source}{}", kafka.sink(&topic, partitions));
    let options = format!("group = \"{}\"\nkey = \"station\"\nsession_timeout_secs = 1\n", group(&topic));
    let sink = "[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 20\n";
    let job = format!("name = \"job\"\n\n{}{sink}", kafka.source(&topic, &options));
    let dir = TestDir::with(&[("fill.toml", &fill), ("job.toml", &job)]);
    dir.run(&["run", "fill.toml"]).expect(0, &[&format!("fill: read {RECORDS}, written {RECORDS},")]);
    (topic, dir)
}

#[test]
#[ignore = "needs Apache Kafka"]
fn what_a_member_has_that_died_is_read_before_the_run_ends() {
    let kafka = Kafka::from_env();
    // With one partition there is none for this member at first.
    for partitions in [PARTITIONS, 1] {
        let (topic, dir) = setup(&kafka, partitions);
        let other = Member::join(&kafka, &topic);
        let mut running = dir.start(&UNTIL_END);
        let first = if partitions == 1 { "this instance reads nothing" } else { "assigned: " };
        running.wait_for_log(first);
        while partitions > 1 && other.assigned() == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        other.die();
        let done = running.wait().expect(0, &[&format!("job: read {RECORDS}, written {RECORDS},")]);
        assert!(!done.err.contains("this run ends before"), "{}", done.err);
        assert_eq!(dir.rows("out").len(), RECORDS);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn members_that_live_end_once_all_have_read_their_part() {
    let kafka = Kafka::from_env();
    let (_, dir) = setup(&kafka, PARTITIONS);
    let both = [dir.start(&UNTIL_END), dir.start(&UNTIL_END)];
    for running in both {
        let done = running.wait().expect(0, &["job: done\n"]);
        assert!(!done.err.contains("this run ends before"), "{}", done.err);
    }
    assert_eq!(dir.rows("out").len(), RECORDS);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_member_that_lives_and_commits_nothing_is_waited_for_two_session_timeouts_and_named() {
    let kafka = Kafka::from_env();
    let (topic, dir) = setup(&kafka, PARTITIONS);
    let other = Member::join(&kafka, &topic);
    let running = dir.start(&UNTIL_END);
    let group = group(&topic);
    let waits = format!("waiting for other members of group `{group}` to read {topic}/");
    let ends = format!("this run ends before group `{group}` has read to the end of {topic}/");
    let since = "the members that have them have committed nothing for 2 s";
    let done = running.wait().expect(0, &[&waits, &ends, since, "job: done\n"]);
    assert!(dir.rows("out").len() < RECORDS, "{}", done.err);
    other.die();
}
