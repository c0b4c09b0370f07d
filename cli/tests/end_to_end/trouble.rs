//! Brokers and disks in trouble, with transactions: a clear reason, and nothing lost or repeated afterwards.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use pollster::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::common::{Done, Kafka, NDJSON_DEAD_LETTERS, Resource, SmallDisk, TestDir, UCI_SOURCE, deny_write, uci};

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

/// A house with a file and a pipeline from it to a topic, and the topic's name.
fn producer(kafka: &Kafka) -> (TestDir, String) {
    let (dir, topic) = (TestDir::new(), kafka.name("out"));
    dir.write("in.csv", uci(RECORDS));
    dir.write("job.toml", pipeline("job", &[UCI_SOURCE, FILL, &kafka.sink(&topic, 1)]));
    (dir, topic)
}

/// Every record is in the topic once.
#[track_caller]
fn all_once(kafka: &Kafka, topic: &str) {
    let found: Vec<String> = kafka.read(topic).iter().map(|message| message.text()).collect();
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (RECORDS, RECORDS));
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

#[test]
#[ignore = "needs Apache Kafka"]
fn a_broker_that_comes_late_goes_away_and_comes_back_costs_no_record_and_a_stop_meanwhile_ends_in_time() {
    let broker = OwnBroker::new();
    let kafka = broker.kafka();
    let (dir, topic) = producer(&kafka);
    let run = [&["run", "job.toml"], &SLOW[..]].concat();
    let mut running = dir.start(&run);
    running.wait_for_log("WARN job: no answer from broker 127.0.0.1:");
    broker.up(&[]);
    running.wait_for_log("delivery exactly_once");
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    broker.down().expect(0, &[]);
    running
        .wait_until("the outage is told", |err| err.matches("WARN job: no answer from broker 127.0.0.1:").count() > 1);
    running.terminate();
    // It cannot commit, and says so in its time; the next start finds out what became of the last commit.
    running.wait().expect(1, &["gave up waiting for the brokers"]);
    broker.up(&[]);
    dir.run(&["run", "job.toml"]).expect(0, &["going on after ", "job: done\n"]);
    all_once(&kafka, &topic);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_is_deleted_stops_the_pipeline_with_the_reason() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    // The client library takes a topic that the brokers do not know for one that is being made, for half a minute.
    let soon = ["--set", "sink.librdkafka.\"topic.metadata.propagation.max.ms\"=1000"];
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..], &soon].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
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
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
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

#[test]
#[ignore = "needs Apache Kafka"]
fn a_process_of_the_same_name_is_noticed_and_only_one_of_them_goes_on() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    // The same pipeline on another machine: nothing but the brokers tells the two of each other.
    let other = TestDir::new();
    other.write("in.csv", uci(RECORDS));
    std::fs::write(other.path("job.toml"), std::fs::read(dir.path("job.toml")).expect("a pipeline")).expect("written");
    let second = other.start(&["run", "job.toml"]);
    let first = running.wait().expect(1, &["another process decides commits as `aqpipe.job`"]);
    assert!(first.err.contains("made anew"), "{}", first.err);
    second.wait().expect(0, &["going on after "]);
    all_once(&kafka, &topic);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_start_that_may_not_run_ends_nobody_elses_run() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.write("job.toml", pipeline("job", &[UCI_SOURCE, FILL, &kafka.sink(&topic, 1), NDJSON_DEAD_LETTERS]));
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    // Another state directory, and the same files.
    let elsewhere = ["--set", "state_dir=elsewhere"];
    dir.run(&[&["run", "job.toml"], &elsewhere[..]].concat()).expect(1, &["another run of the pipeline"]);
    // Other files, and other stages than those of the run that is under way.
    let other = ["--set", "dead_letter.dir=others", "--set", "transform=[]"];
    dir.run(&[&["run", "job.toml"], &elsewhere[..], &other].concat()).expect(78, &["the stages are not those of"]);
    let done = running.wait().expect(0, &["job: done\n"]);
    assert!(!done.err.contains("made anew"), "{}", done.err);
    all_once(&kafka, &topic);
}

/// What was decided stays decided, whatever the instance is called afterwards.
#[cfg(debug_assertions)]
#[test]
#[ignore = "needs Apache Kafka"]
fn an_instance_that_is_renamed_finishes_what_it_had_decided() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &topic), FILL, FILES]));
    let run = ["run", "consumer.toml", "--until-end"];
    for point in ["decide.after", "decide.commit", "finish.rename"] {
        assert_eq!(dir.run_with_fault(&run, &format!("{point}=crash")).code, None, "{point}");
    }
    dir.run(&[&run[..], &["--set", "instance=0"]].concat()).expect(0, &["consumer: done\n"]);
    let rows = dir.rows("out");
    let distinct: BTreeSet<&Vec<String>> = rows.rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS));
    assert!(dir.temporary_files("out").is_empty());
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_producer_that_is_fenced_begins_anew_once() {
    // While a transaction is undone for it, the other producer asks again, and fences twice where that takes long.
    for last in [false, false, true] {
        if is_fenced_and_begins_anew(last) {
            return;
        }
    }
}

/// Whether a pipeline that is fenced once completed; where it is not the last try, it may be fenced twice.
fn is_fenced_and_begins_anew(last: bool) -> bool {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
    let fence = || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &kafka.brokers);
        config.set("transactional.id", format!("aqpipe.{}", dir.name("job")));
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(Duration::from_secs(30)).expect("known to the brokers");
    };
    fence();
    running.wait_for_log("the transactional producer is made anew");
    let done = running.wait();
    if !last && done.err.matches("the transactional producer is made anew").count() > 1 {
        return false;
    }
    done.expect(0, &["job: done\n"]);
    all_once(&kafka, &topic);
    true
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
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..]].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
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
    let mut running = dir.start(&[&["run", "job.toml"], &SLOW[..], &least].concat());
    running.wait_until("some commits", |_| kafka.count(&topic) > 100);
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

#[test]
#[ignore = "needs Apache Kafka and the right to mount a file system"]
fn a_full_disk_stops_a_consumer_and_once_there_is_room_it_completes_with_nothing_lost() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let small = SmallDisk::mount(&dir);
    let files = FILES.replace("\"out\"", "\"small/out\"");
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &topic), FILL, &files]));
    let run = ["run", "consumer.toml", "--until-end"];
    dir.run(&run).expect(1, &["No space left on device", "help: make room there, then run again\n"]);
    assert_eq!(dir.rows("small/out").len() % 100, 0, "each visible file is whole");
    small.enlarge();
    dir.run(&run).expect(0, &["consumer: done\n"]);
    let rows = dir.rows("small/out");
    let distinct: BTreeSet<&Vec<String>> = rows.rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS));
    assert!(dir.temporary_files("small/out").is_empty());
}

/// A disk that fails at a step: the run stops with the reason, and the next one leaves what a run left alone leaves.
#[cfg(debug_assertions)]
#[test]
#[ignore = "needs Apache Kafka"]
fn a_disk_that_fails_at_any_step_stops_the_run_and_the_next_one_completes_with_nothing_lost() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    for (index, fault) in
        ["prepare.sync=error@3", "ledger.write=error@4", "ledger.sync=error@3", "finish.rename=error@2"]
            .iter()
            .enumerate()
    {
        let (name, out) = (format!("disk-{index}"), format!("out-{index}"));
        let files = FILES.replace("\"out\"", &format!("\"{out}\""));
        dir.write(&format!("{name}.toml"), pipeline(&name, &[&from_kafka(&kafka, &topic), FILL, &files]));
        let run = ["run", &format!("{name}.toml"), "--until-end"];
        let failed = dir.run_with_fault(&run, fault).expect(1, &["error: "]);
        assert!(failed.err.contains("os error 5"), "{fault}\n{}", failed.err);
        dir.run(&run).expect(0, &[]);
        let rows = dir.rows(&out);
        let distinct: BTreeSet<&Vec<String>> = rows.rows.iter().collect();
        assert_eq!((rows.len(), distinct.len()), (RECORDS, RECORDS), "{fault}");
        assert!(dir.temporary_files(&out).is_empty(), "{fault}");
    }
}
