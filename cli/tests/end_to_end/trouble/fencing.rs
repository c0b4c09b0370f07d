//! Several processes of one pipeline, and one that is fenced.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};

use super::{FILES, FILL, RECORDS, all_in_files, all_once, from_kafka, pipeline, producer, started};
use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir, UCI_SOURCE, uci};

#[test]
#[ignore = "needs Apache Kafka"]
fn a_process_of_the_same_name_is_noticed_and_only_one_of_them_goes_on() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    let running = started(&kafka, &dir, &topic, &[]);
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
    let running = started(&kafka, &dir, &topic, &[]);
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
    all_in_files(&dir, "out");
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
    let mut running = started(&kafka, &dir, &topic, &[]);
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
