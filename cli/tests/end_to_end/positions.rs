//! Where a consumer begins and goes on: records that came while nobody looked, topics that were made anew, records that
//! are gone.

use rdkafka::message::{Header, OwnedHeaders};

use crate::common::{Kafka, OutgoingMessage, TestDir, UCI_SOURCE, uci};

const BOTH: [&str; 2] = ["exactly_once", "at_least_once"];

fn record(n: usize) -> OutgoingMessage {
    let value = format!("{{\"timestamp\":\"2024-01-01T00:00:00Z\",\"station\":\"s\",\"n\":{n}}}");
    (None, Some(value.into_bytes()), OwnedHeaders::new())
}

fn records(from: usize, to: usize) -> Vec<OutgoingMessage> {
    (from..to).map(record).collect()
}

fn consumer(kafka: &Kafka, topic: &str, source: &str) -> String {
    let options = format!("key = \"station\"\nfields = [\"n\"]\nsession_timeout_secs = 1\n{source}\n");
    let sink = "[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 100\nbatch_timeout_secs = 1\n";
    format!("name = \"job\"\n\n{}{sink}", kafka.source(topic, &options))
}

/// The numbers of all records that were written, sorted.
fn numbers(dir: &TestDir) -> Vec<usize> {
    let rows = dir.rows("out");
    if rows.len() == 0 {
        return Vec::new();
    }
    let mut numbers: Vec<usize> = rows.numbers("n").into_iter().map(|n| n as usize).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_consumer_that_begins_with_the_newest_record_skips_none_that_comes_while_it_is_stopped() {
    for delivery in BOTH {
        let kafka = Kafka::from_env();
        let topic = kafka.topic("newest", 2);
        kafka.write(&topic, &records(0, 5));
        let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, "start = \"latest\""))]);
        let run = ["run", "job.toml", "--set", &format!("delivery={delivery}")];
        let mut running = dir.start(&run);
        running.wait_for_log("assigned: ");
        running.terminate();
        running.wait().expect(0, &["job: read 0, written 0,"]);
        kafka.write_to(&topic, 0, &[record(5)]);
        kafka.write_to(&topic, 1, &[record(6)]);
        dir.run(&[&run[..], &["--until-end"]].concat()).expect(0, &["read 2, written 2,"]);
        assert_eq!(numbers(&dir), [5, 6], "{delivery}");
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn what_comes_while_a_member_that_has_read_nothing_is_dying_is_read_by_the_other_one() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("rebalanced", 4);
    let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, "start = \"latest\""))]);
    let run = ["run", "job.toml"];
    let mut one = dir.start(&run);
    one.wait_for_log("assigned: ");
    let mut two = dir.start(&run);
    two.wait_for_log("assigned: ");
    one.wait_until("its share", |err| err.matches("assigned: ").count() > 1);
    two.kill();
    assert_eq!(two.wait().code, None);
    (0..4).for_each(|partition| kafka.write_to(&topic, partition, &[record(partition as usize)]));
    one.wait_until("all records", |_| numbers(&dir).len() >= 4);
    one.terminate();
    one.wait().expect(0, &[]);
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_partition_that_is_added_is_read_from_its_first_record_though_the_group_began_with_the_newest() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("grown", 1);
    kafka.write(&topic, &records(0, 5));
    let soon = "start = \"latest\"\nlibrdkafka = { \"topic.metadata.refresh.interval.ms\" = 500 }";
    let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, soon))]);
    let mut running = dir.start(&["run", "job.toml"]);
    running.wait_for_log("assigned: ");
    kafka.add_partitions(&topic, 2);
    kafka.write_to(&topic, 1, &records(10, 13));
    running.wait_until("its records", |_| numbers(&dir).len() >= 3);
    running.terminate();
    running.wait().expect(0, &["/1 was added after the group had begun: all of it is read"]);
    assert_eq!(numbers(&dir), [10, 11, 12]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_was_made_anew_is_told_by_its_id_though_it_holds_the_same_messages() {
    for delivery in BOTH {
        let kafka = Kafka::from_env();
        let topic = kafka.topic("anew", 1);
        kafka.write(&topic, &records(0, 20));
        let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, ""))]);
        let run = ["run", "job.toml", "--until-end", "--set", &format!("delivery={delivery}")];
        dir.run(&run).expect(0, &["read 20, written 20,"]);
        kafka.recreate_topic(&topic, 1);
        kafka.write(&topic, &records(0, 20));
        let done = dir.run(&run).expect(1, &[&format!("topic `{topic}` was deleted and made anew: its id was ")]);
        assert!(done.err.contains("`--fresh` forgets them"), "{}", done.err);
        dir.run(&[&run[..], &["--fresh"]].concat()).expect(0, &["read 20, written 20,"]);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_is_made_anew_while_it_is_read_stops_the_pipeline_within_half_a_minute() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("anew", 1);
    kafka.write(&topic, &records(0, 20));
    let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, ""))]);
    let mut running = dir.start(&["run", "job.toml"]);
    running.wait_until("its records", |_| numbers(&dir).len() == 20);
    kafka.recreate_topic(&topic, 1);
    kafka.write(&topic, &records(0, 60));
    let anew = format!("topic `{topic}` was deleted and made anew: its id was ");
    running.wait().expect(1, &[&anew]);
    // Whatever was read of the other one meanwhile is noted with the id of the first.
    dir.run(&["run", "job.toml", "--until-end"]).expect(1, &[&anew]);
    dir.run(&["run", "job.toml", "--until-end", "--fresh"]).expect(0, &["read 60, written 60,"]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn records_that_were_read_may_be_dropped_and_the_consumer_goes_on_behind_them() {
    for delivery in BOTH {
        let kafka = Kafka::from_env();
        // Written in transactions, so that the last record is not the last offset.
        let topic = kafka.topic("dropped", 1);
        let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, ""))]);
        let fill = |records: usize| {
            dir.write("in.csv", uci(records));
            dir.write("fill.toml", format!("name = \"fill\"\n\n{UCI_SOURCE}{}", kafka.sink(&topic, 1)));
            dir.run(&["run", "fill.toml", "--fresh"]).expect(0, &[]);
        };
        fill(50);
        let run = ["run", "job.toml", "--set", &format!("delivery={delivery}")];
        let mut running = dir.start(&run);
        running.wait_until("its records", |_| dir.rows("out").len() == 50);
        running.terminate();
        running.wait().expect(0, &[]);
        assert!(kafka.delete_records(&topic) > 50, "there are marks of transactions");
        dir.run(&[&run[..], &["--until-end"]].concat()).expect(0, &["read 0, written 0,"]);
        fill(7);
        dir.run(&[&run[..], &["--until-end"]].concat()).expect(0, &["read 7, written 7,"]);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn records_that_were_dropped_before_they_were_read_end_the_run_however_partitions_are_assigned() {
    for assignment in ["eager", "cooperative"] {
        let kafka = Kafka::from_env();
        let topic = kafka.topic("gone", 1);
        kafka.write(&topic, &records(0, 5));
        let job = consumer(&kafka, &topic, &format!("assignment = \"{assignment}\""));
        let dir = TestDir::with(&[("job.toml", &job)]);
        dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["read 5, written 5,"]);
        kafka.write(&topic, &records(5, 8));
        kafka.delete_records(&topic);
        dir.run(&["run", "job.toml"]).expect(1, &["the topic has dropped what was not read yet"]);
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn dead_letters_of_a_topic_that_was_made_anew_are_not_taken_for_replayed_ones() {
    let kafka = Kafka::from_env();
    let (topic, dead) = (kafka.topic("in", 1), kafka.topic("dead", 1));
    kafka.write(&topic, &[record(1), (None, Some(b"nonsense".to_vec()), OwnedHeaders::new())]);
    let dir = TestDir::with(&[("job.toml", &(consumer(&kafka, &topic, "") + &kafka.dead_letters(&dead)))]);
    dir.run(&["run", "job.toml", "--until-end"]).expect(0, &["dead letters 1,"]);
    let list = |left: &str| dir.run(&["dead-letters", "list", "job.toml"]).expect(0, &[left]);
    list("1 dead letter");
    // What still cannot be carried is a letter once more, behind the first one.
    dir.run(&["dead-letters", "replay", "job.toml"]).expect(0, &["replayed"]);
    let dead_letters = kafka.read(&dead);
    assert_eq!(dead_letters.len(), 2);
    let same: Vec<OutgoingMessage> = dead_letters
        .into_iter()
        .map(|dead_letter| {
            let headers = dead_letter
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            (None, dead_letter.value, headers)
        })
        .collect();
    kafka.recreate_topic(&dead, 1);
    kafka.write(&dead, &same);
    list("2 dead letters");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn an_instance_for_which_there_is_no_partition_says_so_and_so_does_one_that_reads_all_from_one_of_several() {
    let kafka = Kafka::from_env();
    let topic = kafka.topic("few", 2);
    kafka.write_to(&topic, 1, &records(0, 5_100));
    let dir = TestDir::with(&[("job.toml", &consumer(&kafka, &topic, ""))]);
    let mut one = dir.start(&["run", "job.toml"]);
    one.wait_for_log("are in partition 1, and the 1 others that this instance reads are empty");
    let mut two = dir.start(&["run", "job.toml"]);
    two.wait_for_log("assigned: ");
    let mut three = dir.start(&["run", "job.toml"]);
    let all = |one: &str, two: &str, three: &str| [one, two, three].concat();
    let idle = "this instance reads nothing: group `job` has more members than there are partitions";
    three.wait_until("an idle one", |err| all(&one.err(), &two.err(), err).contains(idle));
    let told = all(&one.err(), &two.err(), &three.err());
    assert_eq!(told.matches("are in partition 1").count(), 1, "said once: {told}");
}
