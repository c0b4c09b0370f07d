//! Against a real Apache Kafka, named by `AQPIPE_TEST_BROKERS`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::record::{OffsetRange, SplitId};
use aqpipe_engine::stage::{BuildContext, DeadLetter};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::harness::{Running, TestSourceContext, assert_rows, rows, sink, source};

pub(crate) struct Raw {
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// The first messages of partition 0.
pub(crate) fn read_raw(brokers: &str, topic: &str, count: usize) -> Vec<Raw> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "raw").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&from).expect("assigned");
    let until = Instant::now() + Duration::from_secs(20);
    let mut read = Vec::new();
    while read.len() < count {
        assert!(Instant::now() < until, "only {} messages came", read.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
            let headers = headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
            read.push(Raw { payload: message.payload().map(<[u8]>::to_vec), headers });
        }
    }
    read
}

fn brokers() -> String {
    std::env::var("AQPIPE_TEST_BROKERS").expect("AQPIPE_TEST_BROKERS names a broker")
}

/// A name that no other run uses.
fn fresh(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    format!("aqpipe-test-{name}-{}", now.as_nanos())
}

fn read_from(topic: &str, until_end: bool) -> Value {
    json!({"brokers": brokers(), "topics": [topic], "group": topic, "key": "station", "until_end": until_end,
           "session_timeout_secs": 6})
}

fn write_to(topic: &str, partitions: i32) -> Value {
    json!({"brokers": brokers(), "topic": topic, "create_topic": {"partitions": partitions, "replication": 1}})
}

/// Writes rows to a topic, which is made with so many partitions.
fn write(topic: &str, partitions: i32, from: u64, to: u64) -> Vec<DeadLetter> {
    let sink = sink(write_to(topic, partitions), &BuildContext::for_tests());
    sink.acquire().expect("a target").acquire().expect("a topic");
    let mut writer = sink.open(&"split".into(), 1).expect("a writer");
    let mut dead = Vec::new();
    for start in (from..to).step_by(1_000) {
        writer.write(rows(start, (start + 1_000).min(to)), &mut dead).expect("written");
    }
    writer.prepare(OffsetRange::default()).expect("acknowledged");
    dead
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("message.max.bytes", "20000000");
    config
}

/// Makes a topic with one partition and a limit to its batches.
fn make_topic(topic: &str, largest: &str) {
    let admin: AdminClient<DefaultClientContext> = client().create().expect("a client");
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", largest);
    let made = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("an answer");
    made[0].as_ref().expect("a topic");
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn members_hand_partitions_over_without_a_loss_or_a_repetition() {
    let topic = fresh("rebalance");
    write(&topic, 6, 0, 20_000);
    let member = || {
        Running::start(source(read_from(&topic, false), &BuildContext::for_tests()), |splits| {
            splits.max = 20;
            splits.pause = Duration::from_millis(50);
        })
    };
    let first = member();
    first.splits.wait_for("the first rows", |seen| seen.count() >= 200);
    let second = member();
    second.splits.wait_for("rows of the second member", |seen| seen.count() >= 200);
    let seen_by_second = second.stop();
    let before = first.splits.seen.lock().count();
    first.splits.wait_for("the second's partitions", |seen| seen.count() >= before + 1_000);
    let seen_by_first = first.stop();
    let (result, rest) = Running::start(source(read_from(&topic, true), &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    assert!(seen_by_first.opened > 6, "partitions moved");
    assert_rows([seen_by_first.sorted(), seen_by_second.sorted(), rest.sorted()].concat(), 0..20_000);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn with_cooperative_assignment_splits_that_stay_go_on_while_members_come_and_go() {
    let topic = fresh("cooperative");
    write(&topic, 6, 0, 20_000);
    let config = |until_end| {
        let mut config = read_from(&topic, until_end);
        config["assignment"] = json!("cooperative");
        config
    };
    let member = || {
        Running::start(source(config(false), &BuildContext::for_tests()), |splits| {
            splits.max = 20;
            splits.pause = Duration::from_millis(50);
        })
    };
    let first = member();
    first.splits.wait_for("the first rows", |seen| seen.count() >= 200);
    let second = member();
    second.splits.wait_for("rows of the second member", |seen| seen.count() >= 200);
    let seen_by_second = second.stop();
    assert_eq!(first.splits.seen.lock().closed, 3, "half of the partitions moved, and no other one was closed");
    first.splits.wait_for("the second's partitions", |seen| seen.opened == 9);
    let before = first.splits.seen.lock().count();
    first.splits.wait_for("their rows", |seen| seen.count() >= before + 1_000);
    let seen_by_first = first.stop();
    let pause = |id: &SplitId| {
        let mut times = seen_by_first.times[id].clone();
        times.extend(seen_by_second.times.get(id).into_iter().flatten());
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("several batches")
    };
    let (moved, stayed): (Vec<_>, Vec<_>) =
        seen_by_first.times.keys().partition(|id| seen_by_second.times.contains_key(*id));
    let longest = |ids: Vec<&SplitId>| ids.into_iter().map(pause).max().expect("some of both");
    let (moved, stayed) = (longest(moved), longest(stayed));
    assert!(stayed < moved, "those that stay pause for {stayed:?}, those that move for {moved:?}");
    assert_eq!(seen_by_first.opened, 9, "each partition that moved was opened once more");
    let (result, rest) = Running::start(source(config(true), &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    assert_rows([seen_by_first.sorted(), seen_by_second.sorted(), rest.sorted()].concat(), 0..20_000);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_member_that_stops_answers_its_group_while_its_splits_end() {
    let topic = fresh("stops");
    write(&topic, 4, 0, 2_000);
    let mut config = read_from(&topic, false);
    config["assignment"] = json!("cooperative");
    let second = source(config.clone(), &BuildContext::for_tests());
    let theirs = Arc::new(TestSourceContext::new(&*second));
    let first = Running::start(source(config, &BuildContext::for_tests()), |splits| {
        splits.max = 20;
        splits.pause = Duration::from_millis(50);
        splits.stops_behind = Some(Arc::clone(&theirs));
    });
    first.splits.wait_for("the first rows", |seen| seen.count() >= 100);
    first.splits.stop();
    let second = Running::start_with(second, theirs);
    let (result, seen_by_first) = first.finish();
    result.expect("a clean stop");
    second.splits.wait_for("the rest", |seen| seen.count() + seen_by_first.count() >= 2_000);
    assert_rows([seen_by_first.sorted(), second.stop().sorted()].concat(), 0..2_000);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_member_with_another_assignment_than_its_group_is_told_the_way_over() {
    let topic = fresh("assignments");
    write(&topic, 2, 0, 100);
    let eager = Running::start(source(read_from(&topic, false), &BuildContext::for_tests()), |_| {});
    eager.splits.wait_for("its partitions", |seen| seen.opened == 2);
    let mut config = read_from(&topic, false);
    config["assignment"] = json!("cooperative");
    let (result, _) = Running::start(source(config.clone(), &BuildContext::for_tests()), |_| {}).finish();
    let error = result.expect_err("two assignments in one group");
    assert!(error.to_string().contains("have another `assignment`"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("stop all of them")));
    let before = eager.stop();
    config["until_end"] = json!(true);
    let (result, after) = Running::start(source(config, &BuildContext::for_tests()), |_| {}).finish();
    result.expect("all of them were stopped");
    assert_rows([before.sorted(), after.sorted()].concat(), 0..100);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_static_member_that_starts_again_has_its_partitions_at_once() {
    let topic = fresh("static");
    write(&topic, 2, 0, 1_000);
    let mut config = read_from(&topic, false);
    // So long that only a member that the group knows again has partitions before the test ends.
    (config["static_membership"], config["session_timeout_secs"]) = (json!(true), json!(600));
    let member = || source(config.clone(), &BuildContext::for_tests().with_configured_instance("a"));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let running = Running::start(member(), |splits| {
            splits.max = 10;
            splits.pause = Duration::from_millis(50);
        });
        running.splits.wait_for("both partitions", |seen| seen.opened == 2);
        running.splits.wait_for("rows", |seen| seen.count() >= 1);
        seen.extend(running.stop().sorted());
    }
    seen.sort_unstable();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "no row is read twice");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_missing_topic_is_an_error_that_names_the_ways_out() {
    let topic = fresh("missing");
    let (result, _) = Running::start(source(read_from(&topic, true), &BuildContext::for_tests()), |_| {}).finish();
    let error = result.expect_err("no topic");
    assert!(error.message().contains(&topic), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("aqpipe kafka up")));
    let mut config = write_to(&topic, 1);
    config.as_object_mut().expect("a table").remove("create_topic");
    let sink = sink(config, &BuildContext::for_tests());
    let error = sink.acquire().expect("a target").acquire().expect_err("no topic");
    assert!(error.help_text().is_some_and(|help| help.contains("create_topic")), "{error}");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_stop_ends_the_wait_for_a_broker_that_is_not_there() {
    let cx = BuildContext::for_tests();
    let mut config = read_from("t", true);
    config["brokers"] = json!("127.0.0.1:9");
    let reader = Running::start(source(config, &cx), |_| {});
    let until = Instant::now() + Duration::from_secs(30);
    while cx.metrics().snapshot().unreached == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(cx.metrics().snapshot().errors, 0, "no record is to blame");
    assert!(cx.metrics().waits().iter().any(|wait| wait.contains("broker")), "{:?}", cx.metrics().waits());
    reader.stop();
}

#[test]
#[ignore = "needs Apache Kafka"]
fn ten_megabytes_and_no_value_come_through_or_become_dead_letters() {
    let topic = fresh("large");
    make_topic(&topic, "20000000");
    let producer: BaseProducer = client().create().expect("a producer");
    let large = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","n":1,"note":"{}"}}"#, "x".repeat(10_000_000));
    let garbage = vec![b'x'; 10_000_000];
    for payload in
        [Some(large.as_bytes()), Some(&garbage), None, Some(br#"{"timestamp":"2004-03-10T18:00:00Z","n":2}"#)]
    {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic);
        record.payload = payload;
        producer.send(record).expect("queued");
    }
    producer.flush(Duration::from_secs(30)).expect("sent");
    let mut options = read_from(&topic, true);
    options["tombstones"] = json!("dead_letter");
    let (result, seen) = Running::start(source(options, &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    assert_eq!(seen.sorted(), [1, 2]);
    let lengths: Vec<_> = seen.dead.iter().map(|letter| letter.raw.as_ref().map(Vec::len)).collect();
    assert_eq!(lengths, [Some(10_000_000), None]);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_topic_that_takes_less_than_the_client_makes_dead_letters_and_fails_no_batch() {
    let topic = fresh("small");
    make_topic(&topic, "3000");
    let sink = sink(write_to(&topic, 1), &BuildContext::for_tests());
    let mut writer = sink.open(&"split".into(), 1).expect("a writer");
    let mut parts = rows(0, 500).into_parts();
    let keys: Vec<String> =
        (0..500).map(|row| if row == 250 { "k".repeat(4_000) } else { format!("k{row}") }).collect();
    parts.key = Some(keys.into());
    let mut dead = Vec::new();
    writer.write(aqpipe_engine::record::Batch::new(parts).expect("a batch"), &mut dead).expect("written");
    writer.prepare(OffsetRange::default()).expect("the others are acknowledged");
    assert_eq!(dead.iter().map(|letter| letter.source_offset).collect::<Vec<_>>(), [250]);
    let (result, seen) = Running::start(source(read_from(&topic, true), &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    assert_rows(seen.sorted(), (0..500).filter(|n| *n != 250));
}

#[test]
#[ignore = "needs Apache Kafka"]
fn markers_of_transactions_are_passed_and_aborted_records_are_not_read() {
    let topic = fresh("transactions");
    make_topic(&topic, "1000000");
    let mut config = client();
    config.set("transactional.id", &topic);
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = config.create().expect("a producer");
    let soon = Duration::from_secs(20);
    producer.init_transactions(soon).expect("initialised");
    for n in 0..6 {
        producer.begin_transaction().expect("begun");
        let payload = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","n":{n}}}"#);
        producer.send(BaseRecord::<str, str>::to(&topic).payload(&payload)).expect("queued");
        producer.flush(soon).expect("sent");
        if n % 2 == 0 {
            producer.commit_transaction(soon).expect("committed");
        } else {
            producer.abort_transaction(soon).expect("aborted");
        }
    }
    for again in 0..2 {
        let reader = source(read_from(&topic, true), &BuildContext::for_tests());
        let group = reader.offset_store().expect("a group");
        let (result, seen) = Running::start(reader, |_| {}).finish();
        result.expect("read to the end");
        assert_eq!(seen.sorted(), if again == 0 { vec![0, 2, 4] } else { Vec::new() });
        let committed = group.committed(&[format!("{topic}/0").into()]).expect("an answer");
        assert_eq!(committed, [Some(12)], "six records and six markers");
    }
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_group_is_forgotten_only_when_nobody_is_in_it() {
    let topic = fresh("forget");
    write(&topic, 1, 0, 100);
    let (result, _) = Running::start(source(read_from(&topic, true), &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    let member = Running::start(source(read_from(&topic, false), &BuildContext::for_tests()), |_| {});
    member.splits.wait_for("an assignment", |seen| seen.opened > 0);
    let other = source(read_from(&topic, true), &BuildContext::for_tests());
    let group = other.offset_store().expect("a group");
    let error = group.reset().expect_err("a live member");
    assert!(error.to_string().contains("members"), "{error}");
    assert_eq!(member.stop().count(), 0, "the group was at the end");
    group.reset().expect("forgotten");
    group.reset().expect("forgotten already");
    drop(group);
    let (result, seen) = Running::start(other, |_| {}).finish();
    result.expect("read to the end");
    assert_eq!(seen.count(), 100, "from the beginning again");
}

#[test]
#[ignore = "needs Apache Kafka"]
fn the_wait_for_a_dead_member_is_said_aloud_and_ends() {
    let topic = fresh("dead");
    write(&topic, 1, 0, 100);
    // A static member does not say goodbye: to the group it is dead until its session times out.
    let mut config = client();
    config.set("group.id", &topic).set("group.instance.id", "dead").set("session.timeout.ms", "6000");
    config.set("partition.assignment.strategy", "range");
    let dead: BaseConsumer = config.create().expect("a consumer");
    dead.subscribe(&[&topic]).expect("subscribed");
    let until = Instant::now() + Duration::from_secs(20);
    while dead.assignment().is_ok_and(|assigned| assigned.count() == 0) {
        assert!(Instant::now() < until, "it never joined");
        let _ = dead.poll(Duration::from_millis(50));
    }
    drop(dead);
    let cx = BuildContext::for_tests();
    let reader = Running::start(source(read_from(&topic, false), &cx), |_| {});
    let mut waited = Vec::new();
    while waited.is_empty() && reader.splits.seen.lock().opened == 0 {
        waited = cx.metrics().waits();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        waited.iter().any(|wait| wait.contains("those of a member that died are given to others after 6 s")),
        "{waited:?}"
    );
    reader.splits.wait_for("all rows", |seen| seen.count() == 100);
    assert_eq!(cx.metrics().waits(), Vec::<String>::new());
    reader.stop();
}

#[test]
#[ignore = "needs Apache Kafka"]
fn positions_that_are_gone_are_an_error_that_names_the_way_out() {
    let topic = fresh("beyond");
    write(&topic, 1, 0, 10);
    let reader = source(read_from(&topic, true), &BuildContext::for_tests());
    let group = reader.offset_store().expect("a group");
    let at = aqpipe_engine::record::Position { offset: 1_000, records: 0 };
    group.commit(&[(format!("{topic}/0").into(), at)]).expect("committed");
    let (result, _) = Running::start(reader, |_| {}).finish();
    let error = result.expect_err("beyond the end");
    assert!(error.to_string().contains("ends at 10"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("--fresh")));
}

/// `AQPIPE_TEST_RESTART` is a command that stops the broker and starts it again.
#[test]
#[ignore = "needs Apache Kafka and AQPIPE_TEST_RESTART"]
fn an_outage_in_the_middle_loses_nothing() {
    let restart = std::env::var("AQPIPE_TEST_RESTART").expect("AQPIPE_TEST_RESTART names a command");
    let topic = fresh("outage");
    write(&topic, 3, 0, 1);
    let cx = BuildContext::for_tests();
    let reader = Running::start(source(read_from(&topic, false), &cx), |_| {});
    reader.splits.wait_for("the first row", |seen| seen.count() == 1);
    let outage = std::thread::spawn(move || std::process::Command::new(restart).status().expect("a command"));
    let writing = sink(write_to(&topic, 3), &cx);
    let mut writer = writing.open(&"split".into(), 1).expect("a writer");
    let mut next = 1;
    while !outage.is_finished() || next < 100_000 {
        writer.write(rows(next, next + 100), &mut Vec::new()).expect("written");
        next += 100;
        if next % 2_000 == 1 {
            writer.prepare(OffsetRange::default()).expect("acknowledged");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    writer.prepare(OffsetRange::default()).expect("acknowledged");
    assert!(outage.join().expect("a thread").success());
    reader.splits.wait_for("all rows", |seen| seen.count() as u64 >= next);
    let mut seen = reader.stop().sorted();
    // The group may have given up on this member meanwhile, and then it reads again what was not committed.
    seen.dedup();
    assert_rows(seen, 0..next);
    let mut config = read_from(&topic, true);
    config["group"] = json!(fresh("outage-again"));
    let (result, seen) = Running::start(source(config, &BuildContext::for_tests()), |_| {}).finish();
    result.expect("read to the end");
    assert_rows(seen.sorted(), 0..next);
    assert!(cx.metrics().snapshot().unreached > 0, "the outage was noticed");
}
