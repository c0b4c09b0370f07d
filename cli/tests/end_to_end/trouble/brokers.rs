//! Brokers that come late, forget or leave a transaction open.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{OwnBroker, RECORDS, SLOW, all_once, from_kafka, pipeline, producer};
use crate::common::{Kafka, TestDir};

#[test]
#[ignore = "needs Apache Kafka"]
fn a_broker_that_comes_late_goes_away_and_comes_back_costs_no_record_and_a_stop_meanwhile_ends_in_time() {
    let broker = OwnBroker::new();
    let kafka = broker.kafka();
    let (dir, topic) = producer(&kafka);
    let run = [&["run", "job.toml"], &SLOW[..]].concat();
    let mut running = dir.start(&run);
    running.wait_for_log("WARN job: no broker answers at 127.0.0.1:");
    broker.up(&[]);
    running.wait_for_log("delivery exactly_once");
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    broker.down().expect(0, &[]);
    running
        .wait_until("the outage is told", |err| err.matches("WARN job: no broker answers at 127.0.0.1:").count() > 1);
    running.terminate();
    // It cannot commit, and says so in its time; the next start finds out what became of the last commit.
    let done = running.wait().expect(1, &["gave up waiting for the brokers"]);
    let told: Vec<&str> =
        done.err.lines().filter_map(|line| line.split_once("Z  WARN job: ")).map(|(_, text)| text).collect();
    let is_outage =
        |text: &str| text.starts_with("no broker answers at 127.0.0.1:") && text.contains("; still trying, ");
    let others: Vec<&&str> = told.iter().filter(|text| !is_outage(text)).collect();
    assert!(others.iter().all(|text| text.contains("`shutdown_timeout_secs`")), "{others:?}");
    // Two outages, each told once at a time by all clients of the pipeline together.
    for text in &told {
        assert!(told.iter().filter(|other| *other == text).count() <= 2, "{}", done.err);
    }
    assert!(!done.err.lines().any(|line| line.contains("Z  WARN ") && line.contains("Local: ")), "{}", done.err);
    broker.up(&[]);
    dir.run(&["run", "job.toml"]).expect(0, &["going on after ", "job: done\n"]);
    all_once(&kafka, &topic);
}

/// Brokers forget a transactional id that committed nothing for seven days; here it is four seconds.
#[test]
#[ignore = "needs Apache Kafka"]
fn a_producer_that_was_idle_for_longer_than_brokers_remember_it_goes_on_with_the_next_record() {
    let broker = OwnBroker::new();
    broker.up(&[
        "--property",
        "transactional.id.expiration.ms=4000",
        "--property",
        "transaction.remove.expired.transaction.cleanup.interval.ms=500",
    ]);
    let kafka = broker.kafka();
    let (input, output) = (kafka.topic("in", 1), kafka.topic("out", 1));
    let dir = TestDir::new();
    dir.write("job.toml", pipeline("job", &[&from_kafka(&kafka, &input), &kafka.sink(&output, 1)]));
    let mut running = dir.start(&["run", "job.toml"]);
    running.wait_for_log("assigned: ");
    for n in 1..=3 {
        let value = format!("{{\"timestamp\":\"2024-01-01T00:00:00Z\",\"station\":\"s\",\"T\":{n}}}");
        kafka.write(&input, &[(None, Some(value.into_bytes()), OwnedHeaders::new())]);
        running.wait_until("the record", |_| kafka.read(&output).len() == n);
        std::thread::sleep(Duration::from_secs(7));
    }
    running.terminate();
    let done = running.wait().expect(0, &["job: read 3, written 3,"]);
    assert!(done.err.contains("the transactional producer is made anew"), "brokers have forgotten it: {}", done.err);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_transaction_that_stays_open_longer_than_any_may_is_an_alarm_and_nothing_goes_on_beside_it() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let commits_topic = kafka.name("notes");
    let options = format!("sink.transactions={{ topic = \"{commits_topic}\", timeout_secs = 1 }}");
    let run = ["run", "job.toml", "--set", &options, "--set", "source.rerun=true"];
    dir.run(&run).expect(0, &[]);

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("transactional.id", kafka.name("stranger"));
    let stranger: BaseProducer = config.create().expect("a producer");
    let most = Duration::from_secs(30);
    stranger.init_transactions(most).expect("known to the brokers");
    stranger.begin_transaction().expect("begun");
    for partition in 0..16 {
        let record = BaseRecord::<str, str>::to(&commits_topic).partition(partition).key("another/0/key").payload("-");
        stranger.send(record).expect("queued");
    }
    stranger.flush(most).expect("sent");

    let mut running = dir.start(&run);
    running.wait_for_log(&format!("ERROR job: a transaction on topic {commits_topic} is still open after 11 s"));
    assert!(running.is_running());
    assert_eq!(kafka.read(&topic).len(), RECORDS, "it waits");
    stranger.abort_transaction(most).expect("undone");
    running.wait().expect(0, &["job: done\n"]);
    assert_eq!(kafka.read(&topic).len(), 2 * RECORDS);
}
