//! Brokers that do not answer are named wherever one looks, and an address that is no broker's is no trouble.

use rdkafka::message::OwnedHeaders;
use serde_json::Value;

use super::{OwnBroker, from_kafka, pipeline};
use crate::common::{Kafka, TestDir};
use crate::served::{address, get, until};

const OUTPUT: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_timeout_secs = 1\n\n[monitor]\nevery_secs = 1\n";

fn record(kafka: &Kafka, topic: &str) {
    let value = br#"{"timestamp":"2024-01-01T00:00:00Z","station":"s","T":1}"#.to_vec();
    kafka.write(topic, &[(None, Some(value), OwnedHeaders::new())]);
}

fn ready(url: &str) -> (u16, Vec<String>) {
    let (code, text) = get(&format!("{url}/ready"), None);
    let body: Value = serde_json::from_str(&text).expect("JSON");
    let reasons = body["pipelines"][0]["reasons"].as_array().into_iter().flatten();
    (code, reasons.filter_map(|reason| reason.as_str().map(str::to_owned)).collect())
}

#[test]
#[ignore = "needs Apache Kafka"]
fn the_only_broker_that_goes_away_after_the_start_is_named_with_the_time_until_it_is_back() {
    let broker = OwnBroker::new();
    broker.up(&[]);
    let kafka = broker.kafka();
    let topic = kafka.topic("in", 1);
    record(&kafka, &topic);
    let dir = TestDir::new();
    dir.write("job.toml", pipeline("job", &[&from_kafka(&kafka, &topic), OUTPUT]));
    let mut run = dir.start(&["run", "job.toml", "--http", "127.0.0.1:0", "--log-json"]);
    let url = address(&mut run);
    until(|| Some(()).filter(|()| ready(&url).0 == 200));

    broker.down().expect(0, &[]);
    let name = format!("broker {} has not answered for ", kafka.brokers);
    let named = until(|| Some(ready(&url)).filter(|(_, reasons)| reasons.iter().any(|it| it.starts_with(&name))));
    assert_eq!(named.0, 503);
    assert_eq!(get(&format!("{url}/health"), None).0, 200, "a restart would not help");
    let status: Value = serde_json::from_str(&get(&format!("{url}/api/status"), None).1).expect("JSON");
    let away = &status["pipelines"][0]["brokers_away"][0];
    assert!(away["broker"] == *kafka.brokers && away["seconds"].as_f64() > Some(0.0), "{away}");
    assert!(get(&url, None).1.contains(&name), "on the page");
    dir.run(&["top", &url, "--once"]).expect(0, &[]).out.find(&name).expect("in a terminal");
    run.wait_for_log("\"brokers_away\":[{\"broker\":");

    // Nothing is written meanwhile: that it answers is enough.
    broker.up(&[]);
    until(|| Some(()).filter(|()| ready(&url).0 == 200));
    run.wait_for_log("the brokers answer again, after ");
    run.terminate();
    run.wait().expect(0, &[]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn an_address_to_start_from_that_nobody_listens_on_is_no_broker_that_is_away() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("in", 1);
    record(&kafka, &topic);
    let dir = TestDir::new();
    let source = from_kafka(&kafka, &topic).replace("brokers = \"", "brokers = \"127.0.0.1:1,");
    dir.write("job.toml", pipeline("job", &[&source, OUTPUT]));
    let mut run = dir.start(&["run", "job.toml", "--http", "127.0.0.1:0"]);
    let url = address(&mut run);
    until(|| Some(()).filter(|()| ready(&url).0 == 200));
    // Clients report every five seconds; this is some reports later.
    run.wait_until("some seconds of a run", |err| err.matches("records/s read").count() > 15);
    assert_eq!(ready(&url), (200, Vec::new()));
    assert!(!run.err().contains("127.0.0.1:1 "), "{}", run.err());
    run.terminate();
    run.wait().expect(0, &[]);
}
