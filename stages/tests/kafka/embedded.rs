//! Against the embedded broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::record::OffsetRange;
use aqpipe_engine::stage::{BuildContext, DeadLetter, Latch, Sink};
use aqpipe_stages::kafka::EmbeddedBroker;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::harness::{Running, assert_rows, dead_letter_sink, rows, sink, source};

const TOPIC: &str = "readings";

fn context(embedded: &Arc<EmbeddedBroker>) -> BuildContext {
    let cx = BuildContext::for_tests();
    cx.process_extensions().put(Arc::clone(embedded));
    cx
}

fn read_all() -> Value {
    json!({"brokers": "nowhere:1", "topics": [TOPIC], "group": "g", "key": "station", "until_end": true})
}

fn write_to(partitions: i32) -> Value {
    json!({"brokers": "nowhere:1", "topic": TOPIC, "create_topic": {"partitions": partitions}})
}

/// Writes rows through a split of the sink and waits until they are acknowledged.
fn write(sink: &dyn Sink, from: u64, to: u64) -> Vec<DeadLetter> {
    let mut writer = sink.open(&"split".into(), 1).expect("a writer");
    let mut dead = Vec::new();
    for start in (from..to).step_by(1_000) {
        writer.write(rows(start, (start + 1_000).min(to)), &mut dead).expect("written");
    }
    writer.prepare(OffsetRange::default()).expect("acknowledged");
    dead
}

fn send_raw(embedded: &EmbeddedBroker, payloads: &[Option<&[u8]>]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", embedded.bootstrap_servers()).create().expect("a producer");
    for payload in payloads {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(TOPIC).partition(0);
        record.payload = *payload;
        producer.send(record).expect("queued");
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(10)).expect("sent");
}

#[test]
fn what_the_sink_wrote_the_source_reads_back_whole_and_in_order() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    // In the order of a run: the reader is built before anything is written. 20,000 rows fit, two megabytes do not
    // hold them, so this needs the reader to read while the writer writes.
    let sink = sink(write_to(3), &cx);
    let gated = cx.clone().with_upstream(Arc::new(Latch::default()));
    let reader = Running::start(source(read_all(), &gated), |_| {});
    assert_eq!(write(&*sink, 0, 20_000), []);
    gated.upstream().open();
    let (result, seen) = reader.finish();
    result.expect("read to the end");
    assert_rows(seen.sorted(), 0..20_000);
    for (split, rows) in &seen.rows {
        for key in 0..7 {
            let of_key: Vec<u64> = rows.iter().copied().filter(|n| n % 7 == key).collect();
            assert!(of_key.is_sorted(), "{split}: key {key} is out of order");
            assert!(of_key.is_empty() || of_key.len() == (0..20_000).filter(|n| n % 7 == key).count());
        }
    }
    let metrics = cx.metrics().snapshot();
    assert!(metrics.bytes_in > 20_000 * 30, "{} bytes", metrics.bytes_in);
}

#[test]
fn a_slow_reader_holds_the_writer_back_and_nothing_is_dropped() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    let sink = sink(
        json!({"brokers": "nowhere:1", "topic": TOPIC, "compression": "none",
                           "create_topic": {"partitions": 1}}),
        &cx,
    );
    let gated = cx.clone().with_upstream(Arc::new(Latch::default()));
    let reader = Running::start(source(read_all(), &gated), |splits| splits.pause = Duration::from_millis(5));
    // About 10 MB to one partition, twice of what the broker keeps.
    let rows = 100_000;
    assert_eq!(write(&*sink, 0, rows), []);
    gated.upstream().open();
    let (result, seen) = reader.finish();
    result.expect("read to the end");
    assert!(seen.rows.values().all(|rows| rows.is_sorted()), "out of order");
    assert_rows(seen.sorted(), 0..rows);
    assert!(cx.metrics().snapshot().bytes_in > 6_000_000);
}

#[test]
fn a_gap_of_the_embedded_broker_stops_the_source() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    embedded.create_topic(TOPIC, 1).expect("a topic");
    let message = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","station":"s","n":1,"pad":"{}"}}"#, "x".repeat(900));
    send_raw(&embedded, &[Some(message.as_bytes()); 20]);
    // A member that committed, and was away while more came than the broker keeps.
    let reader = Running::start(source(read_all(), &cx), |_| {});
    let (result, seen) = reader.finish();
    result.expect("read to the end");
    assert_eq!(seen.count(), 20);
    let many = vec![Some(message.as_bytes()); 12_000];
    send_raw(&embedded, &many);
    let (result, _) = Running::start(source(read_all(), &cx), |_| {}).finish();
    let error = result.expect_err("a gap").to_string();
    assert!(error.contains("gone") || error.contains("dropped"), "{error}");
}

#[test]
fn messages_that_are_no_records_become_dead_letters_with_their_place_and_bytes() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    embedded.create_topic(TOPIC, 1).expect("a topic");
    let good = |n: u64| format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","station":"s","n":{n}}}"#);
    let (first, second) = (good(0), good(1));
    let large = format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","n":2,"note":"{}"}}"#, "x".repeat(900_000));
    send_raw(
        &embedded,
        &[
            Some(b"not json"),
            Some(first.as_bytes()),
            Some(b"[1, 2]"),
            None,
            Some(b"\xff\xfe"),
            Some(second.as_bytes()),
            Some(br#"{"station":"s","n":3}"#),
            Some(large.as_bytes()),
        ],
    );
    let mut options = read_all();
    options["tombstones"] = json!("dead_letter");
    let (result, seen) = Running::start(source(options, &cx), |_| {}).finish();
    result.expect("read to the end");
    assert_eq!(seen.sorted(), [0, 1, 2]);
    let places: Vec<Option<&str>> = seen.dead.iter().map(|letter| letter.place.as_deref()).collect();
    let expected = ["readings/0@0", "readings/0@2", "readings/0@3", "readings/0@4", "readings/0@6"];
    assert_eq!(places, expected.map(Some));
    assert_eq!(seen.dead.iter().map(|letter| letter.source_offset).collect::<Vec<_>>(), [0, 2, 3, 4, 6]);
    assert_eq!(seen.dead[0].raw.as_deref(), Some(&b"not json"[..]));
    assert_eq!(seen.dead[2].raw, None);
    assert!(seen.dead[2].reason.contains("no value"), "{:?}", seen.dead[2]);
}

#[test]
fn messages_without_a_value_are_no_records_and_hold_nobody_up() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    embedded.create_topic(TOPIC, 1).expect("a topic");
    let good = |n: u64| format!(r#"{{"timestamp":"2004-03-10T18:00:00Z","station":"s","n":{n}}}"#);
    let (first, second) = (good(0), good(1));
    send_raw(&embedded, &[None, Some(first.as_bytes()), None, None, Some(second.as_bytes()), None]);
    let (result, seen) = Running::start(source(read_all(), &cx), |_| {}).finish();
    result.expect("read to the end");
    assert_eq!((seen.sorted(), seen.dead.len()), (vec![0, 1], 0));
}

#[test]
fn a_header_whose_name_is_not_utf_8_harms_nobody() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    embedded.create_topic(TOPIC, 1).expect("a topic");
    let good = br#"{"timestamp":"2004-03-10T18:00:00Z","station":"s","n":7}"#;
    crate::by_hand::produce(embedded.bootstrap_servers(), TOPIC, good, b"\xff\xfe");
    crate::by_hand::produce(embedded.bootstrap_servers(), TOPIC, b"not json", b"\xc3\x28");
    let (result, seen) = Running::start(source(read_all(), &cx), |_| {}).finish();
    result.expect("read to the end");
    assert_eq!(seen.sorted(), [7]);
    assert_eq!(seen.dead.iter().map(|letter| letter.source_offset).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_source_goes_on_where_the_group_committed() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    let sink = sink(write_to(2), &cx);
    write(&*sink, 0, 3_000);
    let mut config = read_all();
    config["until_end"] = json!(false);
    let first = Running::start(source(config, &cx), |splits| {
        splits.max = 100;
        splits.pause = Duration::from_millis(5);
    });
    first.splits.wait_for("some rows", |seen| seen.count() >= 500);
    let before = first.stop();
    write(&*sink, 3_000, 4_000);
    let (result, after) = Running::start(source(read_all(), &cx), |_| {}).finish();
    result.expect("read to the end");
    assert!(before.count() < 4_000 && after.count() < 4_000);
    assert_rows([before.sorted(), after.sorted()].concat(), 0..4_000);
}

#[test]
fn partitions_that_cannot_be_taken_fail_a_run_but_not_one_that_stops() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    write(&*sink(write_to(2), &cx), 0, 100);
    for stops in [true, false] {
        let mut config = read_all();
        config["group"] = json!(format!("stops {stops}"));
        let running = Running::start(source(config, &cx), |splits| {
            (splits.start_at, splits.stop_while_assigned) = (Some(1_000), stops);
        });
        let (ended, seen) = running.finish();
        assert_eq!((seen.opened, seen.count()), (0, 0));
        match ended {
            Ok(()) => assert!(stops, "no position is beyond the end"),
            Err(error) => assert!(!stops && error.to_string().contains("not the same topic any more"), "{error}"),
        }
    }
}

#[test]
fn a_record_larger_than_a_message_may_be_is_a_dead_letter_of_the_sink() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    let mut config = write_to(1);
    config["librdkafka"] = json!({"message.max.bytes": 1_000});
    let sink = sink(config, &cx);
    assert_eq!(write(&*sink, 0, 10), []);
    let mut writer = sink.open(&"split".into(), 2).expect("a writer");
    let mut parts = rows(0, 3).into_parts();
    parts.key = Some(vec!["a".to_owned(), "b".repeat(2_000), "c".to_owned()].into());
    let batch = aqpipe_engine::record::Batch::new(parts).expect("a batch");
    let mut dead = Vec::new();
    writer.write(batch, &mut dead).expect("written");
    writer.prepare(OffsetRange::default()).expect("the others are acknowledged");
    assert_eq!(dead.iter().map(|letter| letter.source_offset).collect::<Vec<_>>(), [1]);
    assert!(dead[0].reason.contains("bytes"), "{:?}", dead[0]);
    assert!(dead[0].raw.as_ref().is_some_and(|raw| raw.len() > 2_000));
}

#[test]
fn dead_letters_wait_for_the_cut_and_carry_their_origin_in_headers() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    let end = dead_letter_sink(json!({"brokers": "nowhere:1", "topic": TOPIC, "create_topic": {"partitions": 1}}), &cx);
    let mut writer = end.open(&"in/3".into(), 1).expect("a writer");
    let mut letter = DeadLetter::new(17, "it is broken", Some(b"raw bytes".to_vec()));
    letter.stage = "kafka".to_owned();
    letter.place = Some("in/3@17".to_owned());
    let long = DeadLetter::new(18, "too long", Some(vec![b'x'; 3_000_000]));
    let none = DeadLetter::new(19, "no value", None);
    assert!(!writer.is_full());
    writer.write(vec![letter, long, none], &mut Vec::new()).expect("kept");
    writer.write(vec![DeadLetter::new(20, "more", Some(vec![b'y'; 2_000_000]))], &mut Vec::new()).expect("kept");
    assert!(writer.is_full());
    writer.prepare(OffsetRange::default()).expect("acknowledged");
    assert!(!writer.is_full());
    let read = crate::real::read_raw(embedded.bootstrap_servers(), TOPIC, 4);
    assert_eq!(read[0].payload.as_deref(), Some(&b"raw bytes"[..]));
    let header = |index: usize, name: &str| read[index].headers.get(name).map(String::as_str);
    assert_eq!(header(0, "aqpipe.pipeline"), Some("test"));
    assert_eq!(header(0, "aqpipe.split"), Some("in/3"));
    assert_eq!(header(0, "aqpipe.position"), Some("17"));
    assert_eq!(header(0, "aqpipe.place"), Some("in/3@17"));
    assert_eq!(header(0, "aqpipe.stage"), Some("kafka"));
    assert_eq!(header(0, "aqpipe.reason"), Some("it is broken"));
    assert!(read[1].payload.as_ref().is_some_and(|raw| raw.len() < 1_000_000 && raw.len() > 990_000));
    assert_eq!(header(1, "aqpipe.length"), Some("3000000"));
    assert_eq!(read[2].payload, None);
}

#[test]
fn a_sink_that_is_closed_while_nobody_reads_gives_up_instead_of_waiting_for_ever() {
    let embedded = Arc::new(EmbeddedBroker::start().expect("a broker"));
    let cx = context(&embedded);
    embedded.register_reader(TOPIC, "nobody");
    let sink = sink(write_to(1), &cx);
    let mut writer = sink.open(&"split".into(), 1).expect("a writer");
    let stuck = std::thread::spawn(move || {
        (0_u64..).map(|n| writer.write(rows(n * 1_000, (n + 1) * 1_000), &mut Vec::new())).find_map(Result::err)
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(!stuck.is_finished(), "two megabytes pass, then the gate holds");
    let _ = sink.close(Instant::now());
    assert!(stuck.join().expect("a thread").is_some());
}
