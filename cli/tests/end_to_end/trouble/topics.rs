//! Topics that are deleted, made anew, or configured against what a pipeline needs.

use std::time::Duration;

use pollster::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;

use super::{FILES, RECORDS, SLOW, from_kafka, pipeline, producer, started};
use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir, UCI_SOURCE, uci};

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_is_deleted_stops_the_pipeline_with_the_reason() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    // The client library takes a topic that the brokers do not know for one that is being made, for half a minute.
    let soon = ["--set", "sink.librdkafka.\"topic.metadata.propagation.max.ms\"=1000"];
    let running = started(&kafka, &dir, &topic, &soon);
    kafka.delete(&topic);
    let done = running.wait().expect(1, &[]);
    assert!(done.err.contains("a topic is gone"), "{}", done.err);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_of_commits_that_is_deleted_while_the_pipeline_runs_is_named_with_what_is_lost() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let commits_topic = kafka.name("notes");
    let options = format!("sink.transactions={{ topic = \"{commits_topic}\", timeout_secs = 2 }}");
    let soon = ["--set", "sink.librdkafka.\"topic.metadata.propagation.max.ms\"=1000"];
    let run = [&["run", "job.toml", "--set", &options], &SLOW[..], &soon].concat();
    let mut running = dir.start(&run);
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    kafka.delete(&commits_topic);
    let message = format!("the topic of commits, `{commits_topic}`, was deleted while the pipeline ran");
    let done = running.wait().expect(1, &[&message]);
    assert!(done.err.contains("`--fresh` makes that topic anew"), "{}", done.err);
    dir.run(&run).expect(78, &["was the topic of commits deleted?", "`--fresh`"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_of_commits_that_is_made_anew_while_the_pipeline_runs_stops_it_within_half_a_minute() {
    let kafka = Kafka::from_env();
    let (input, output, commits_topic) = (kafka.topic("in", 1), kafka.topic("out", 1), kafka.name("notes"));
    let dir = TestDir::new();
    dir.write("job.toml", pipeline("job", &[&from_kafka(&kafka, &input), &kafka.sink(&output, 1)]));
    let run = ["run", "job.toml", "--set", &format!("sink.transactions.topic={commits_topic}")];
    let mut running = dir.start(&run);
    running.wait_for_log("assigned: ");
    kafka.recreate_topic(&commits_topic, 16);
    let mut n = 0;
    while running.is_running() {
        assert!(n < 120, "it goes on though nothing is known any more of what it did");
        let value = format!("{{\"timestamp\":\"2024-01-01T00:00:00Z\",\"station\":\"s\",\"T\":{n}}}");
        kafka.write(&input, &[(None, Some(value.into_bytes()), OwnedHeaders::new())]);
        n += 1;
        std::thread::sleep(Duration::from_millis(500));
    }
    running
        .wait()
        .expect(1, &[&format!("the topic of commits, `{commits_topic}`, was deleted while the pipeline ran")]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_of_commits_that_drops_what_is_old_is_refused_though_it_is_compacted_as_well() {
    let kafka = Kafka::from_env();
    let (dir, _) = producer(&kafka);
    for policy in ["delete", "compact,delete"] {
        let commits_topic = kafka.name(&policy.replace(',', "-"));
        kafka.create_topic(&commits_topic, 1, &[("cleanup.policy", policy)]);
        let options = format!("sink.transactions.topic={commits_topic}");
        let message = format!("its `cleanup.policy` is `{policy}`, and it has to be `compact`");
        dir.run(&["run", "job.toml", "--set", &options]).expect(78, &[&commits_topic, &message]);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_was_deleted_and_made_anew_is_not_taken_for_the_old_one() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &topic), FILES]));
    dir.run(&["run", "consumer.toml", "--until-end"]).expect(0, &["read 2000, written 2000,"]);
    kafka.delete(&topic);
    // As long as the old one, with other records.
    dir.write("in.csv", uci(RECORDS).replace("/2004;", "/2014;").replace("/2005;", "/2015;"));
    dir.write("again.toml", pipeline("again", &[UCI_SOURCE, &kafka.sink(&topic, 1)]));
    dir.run(&["run", "again.toml"]).expect(0, &["written 2000,"]);
    dir.write("more.toml", pipeline("more", &[UCI_SOURCE, &kafka.sink(&topic, 1)]));
    dir.run(&["run", "more.toml"]).expect(0, &["written 2000,"]);
    let run = ["run", "consumer.toml", "--until-end"];
    let done = dir.run(&run).expect(1, &["was deleted and made anew: its id was "]);
    assert!(done.err.contains("`--fresh` forgets them"), "{}", done.err);
    dir.run(&[&run[..], &["--fresh"]].concat()).expect(0, &["read 4000, written 4000,"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_limit_that_is_lowered_stops_the_pipeline_and_the_next_run_sets_what_is_too_large_aside() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.write(
        "job.toml",
        pipeline("job", &[UCI_SOURCE, &kafka.sink(&topic, 1), "compression = \"none\"\n", NDJSON_DEAD_LETTERS]),
    );
    let running = started(&kafka, &dir, &topic, &[]);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &kafka.brokers).create().expect("a client");
    let lower = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "250");
    block_on(admin.alter_configs([&lower], &AdminOptions::new())).expect("an answer")[0].as_ref().expect("altered");
    let done = running.wait().expect(1, &["a batch is larger than the topic takes"]);
    assert!(done.err.contains("max.message.bytes"), "{}", done.err);
    // What is larger than the topic takes is now known before it is sent.
    let done = dir.run(&["run", "job.toml"]).expect(0, &["job: done\n"]);
    let there = kafka.read(&topic).len();
    let dead_letters = dir.dead_letters("dead");
    assert_eq!(there + dead_letters.len(), RECORDS, "{}", done.err);
    assert!(
        dead_letters
            .iter()
            .all(|dead_letter| dead_letter["reason"].as_str().is_some_and(|why| why.contains("takes at most")))
    );
}
