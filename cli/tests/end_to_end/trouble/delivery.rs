//! The delivery that a run really gives, and another one after it.

use super::{FILES, OwnBroker, RECORDS, SLOW, all_once, from_kafka, pipeline, producer, started};
use crate::common::{Kafka, Resource, TestDir, UCI_SOURCE, deny_write, uci};

#[test]
#[ignore = "needs Apache Kafka"]
fn without_the_right_to_transactions_or_across_two_clusters_delivery_is_at_least_once_and_that_is_said() {
    let broker = OwnBroker::new();
    broker.up(&[
        "--property",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "--property",
        "allow.everyone.if.no.acl.found=true",
    ]);
    let kafka = broker.kafka();

    // No right to transactions.
    let (dir, topic) = producer(&kafka);
    deny_write(&kafka.brokers, Resource::Transactions, &format!("aqpipe.{}", dir.name("job")));
    let once = ["run", "job.toml", "--set", "delivery=exactly_once"];
    dir.run(&once).expect(78, &["cannot deliver `exactly_once`: the user has no right to transactions"]);
    let message = "WARN job: delivery at_least_once: the user has no right to transactions";
    dir.run(&["run", "job.toml"]).expect(0, &[message, "written 2000,"]);
    all_once(&kafka, &topic);

    // No right to the topic of commits, which is there.
    let kafka = broker.kafka();
    let (dir, topic) = producer(&kafka);
    let commits_topic = ["--set", "sink.transactions.topic=noted"];
    dir.run(&[&["run", "job.toml"], &commits_topic[..]].concat()).expect(0, &["delivery exactly_once"]);
    all_once(&kafka, &topic);
    deny_write(&kafka.brokers, Resource::Topic, "noted");
    let refused = "the user may not describe, read and write topic `noted`";
    let known = [&["run", "job.toml"], &commits_topic[..]].concat();
    dir.run(&known).expect(78, &["were decided by transactions of cluster", refused]);
    dir.run(&[&known[..], &["--fresh"]].concat()).expect(78, &["recorded cannot be deleted: ", refused]);
    let kafka = broker.kafka();
    let (other, topic) = producer(&kafka);
    other.run(&[&once[..], &commits_topic[..]].concat()).expect(78, &["cannot deliver `exactly_once`: ", refused]);
    other.run(&[&["run", "job.toml"], &commits_topic[..]].concat()).expect(0, &["delivery at_least_once: ", refused]);
    all_once(&kafka, &topic);

    // A right that is lost in the middle.
    let kafka = broker.kafka();
    let (dir, topic) = producer(&kafka);
    let running = started(&kafka, &dir, &topic, &[]);
    deny_write(&kafka.brokers, Resource::Topic, &topic);
    running.wait().expect(1, &["the user may not write", "it needs the right to write to the topic"]);

    // Two clusters.
    let kafka = broker.kafka();
    let from_env = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let out = from_env.name("out");
    dir.write("across.toml", pipeline("across", &[&from_kafka(&kafka, &topic), &from_env.sink(&out, 1)]));
    let run = ["run", "across.toml", "--until-end"];
    let asked = [&run[..], &["--set", "delivery=exactly_once"]].concat();
    dir.run(&asked).expect(78, &["and no transaction spans two"]);
    dir.run(&run)
        .expect(0, &["WARN across: delivery at_least_once: ", "and no transaction spans two", "written 2000,"]);
    all_once(&from_env, &out);
}

#[test]
fn an_embedded_broker_cannot_be_asked_for_exactly_once() {
    let dir = TestDir::new();
    let kafka = Kafka::at("127.0.0.1:1".to_owned());
    dir.write("in.csv", uci(10));
    dir.write("job.toml", pipeline("job", &[UCI_SOURCE, &kafka.sink("t", 1)]));
    let run = ["run", "job.toml", "--embedded-broker", "--set", "delivery=exactly_once"];
    dir.run(&run).expect(78, &["cannot deliver `exactly_once`: the embedded broker has no transactions"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn stopping_between_transactions_and_a_ledger_carries_positions_over_or_says_what_to_do() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let least = ["--set", "delivery=at_least_once"];
    let running = started(&kafka, &dir, &topic, &least);
    running.terminate();
    running.wait().expect(0, &["delivery at_least_once: a ledger file decides\n"]);
    // From the ledger to transactions: it goes on.
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("more commits", |err| err.contains("going on after ") && kafka.count(&topic) > 600);
    running.terminate();
    running.wait().expect(0, &[]);
    // And back: the positions are with the brokers.
    let refused = dir.run(&[&["run", "job.toml"], &least[..]].concat());
    refused.expect(78, &["were decided by transactions of cluster", "`delivery = \"exactly_once\"` as before"]);
    dir.run(&["run", "job.toml"]).expect(0, &["going on after "]);
    all_once(&kafka, &topic);
}

/// What the group knows goes with the brokers, whatever a state directory knows.
#[test]
#[ignore = "needs Apache Kafka"]
fn a_consumer_of_another_mode_or_with_another_state_directory_goes_on_where_its_group_stands() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let fill = || dir.run(&["run", "job.toml", "--set", "source.rerun=true"]).expect(0, &[]);
    fill();
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &topic), FILES]));
    let run = |more: &[&str]| dir.run(&[&["run", "consumer.toml", "--until-end"], more].concat());
    let least = ["--set", "delivery=at_least_once"];
    run(&least).expect(0, &["a ledger file decides", "read 2000,"]);
    fill();
    run(&[]).expect(0, &["transaction of `aqpipe.", "going on after 2000 records", "read 2000,"]);
    run(&least).expect(78, &["were decided by transactions of cluster"]);
    let other = ["--set", "state_dir=other"];
    run(&other).expect(0, &["transaction of `aqpipe.", "read 0,"]);
    assert_eq!(dir.rows("out").len(), 2 * RECORDS);

    // One of them forgets, and the other one does not go back to what it knew.
    let afresh = ["--set", "sink.dir=afresh"];
    run(&[&other[..], &afresh, &["--fresh"]].concat()).expect(0, &["this run starts from the beginning", "read 4000,"]);
    fill();
    run(&afresh).expect(0, &["read 2000,"]);
    assert_eq!(dir.rows("afresh").len(), 3 * RECORDS);
}
