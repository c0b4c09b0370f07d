//! Against the library's mock cluster, with every way in which records can fail.

use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DeliveryResult;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer};
use rdkafka::{ClientContext, Offset};

use super::*;

const TOPIC: &str = "t";

/// Keeps the values of records that failed, and why.
#[derive(Default)]
struct Failures(Mutex<Vec<(Vec<u8>, KafkaError)>>);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let value = |message: &BorrowedMessage<'_>| message.payload().unwrap_or_default().to_vec();
            self.0.lock().expect("no panic").push((value(message), error.clone()));
        }
    }
}

fn cluster() -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster
}

fn producer(brokers: &str, properties: &[(&str, &str)]) -> BatchProducer<Failures> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("delivery.report.only.error", "true");
    properties.iter().for_each(|(name, value)| {
        config.set(*name, *value);
    });
    BatchProducer::new(&config, Failures::default()).expect("a producer")
}

/// Values `0000`, `0001`, … and their records, each with its key where `keyed`.
fn values(count: usize) -> (Arc<Vec<u8>>, Vec<Range<usize>>) {
    let text: String = (0..count).map(|n| format!("{n:04}")).collect();
    (Arc::new(text.into_bytes()), (0..count).map(|n| 4 * n..4 * n + 4).collect())
}

fn records(ranges: &[Range<usize>]) -> impl Iterator<Item = BatchRecord<'_>> {
    ranges.iter().map(|range| BatchRecord { key: Some(b"k"), value: Some(range.clone()) })
}

fn flush(producer: &BatchProducer<Failures>) {
    let until = Instant::now() + Duration::from_secs(60);
    while !producer.flush_for(Duration::from_millis(5)) {
        assert!(Instant::now() < until, "the brokers answer");
    }
}

/// The key and the value of a record.
type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

fn read(brokers: &str, count: usize) -> Vec<KeyAndValue> {
    let config = &mut ClientConfig::new();
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", brokers).set("group.id", "g").create().expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("a partition");
    consumer.assign(&from).expect("an assignment");
    let until = Instant::now() + Duration::from_secs(60);
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < until, "{count} records, and not {}", found.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(50)) {
            found.push((message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec)));
        }
    }
    found
}

#[test]
fn records_arrive_in_order_and_their_values_are_kept_until_they_have() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("linger.ms", "20000")]);
    let (values, ranges) = values(1_000);
    let send = |ranges| producer.send_batch((TOPIC, None), &values, records(ranges));
    send(&ranges[..600]).expect("they are queued");
    send(&ranges[600..]).expect("they are queued");
    producer.release();
    assert_eq!(Arc::strong_count(&values), 2, "they wait for their batch to fill");
    flush(&producer);
    producer.release();
    assert_eq!(Arc::strong_count(&values), 1);
    let found = read(&cluster.bootstrap_servers(), 1_000);
    let texts: Vec<_> = found.iter().map(|(_, value)| value.as_deref().expect("a value")).collect();
    assert_eq!(texts, ranges.iter().map(|range| &values[range.clone()]).collect::<Vec<_>>());
    assert!(found.iter().all(|(key, _)| key.as_deref() == Some(b"k")));
}

#[test]
fn records_may_lack_key_and_value_and_go_to_the_partition_that_is_named() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[]);
    let (values, _) = values(1);
    let records = [(None, None), (Some(&b""[..]), Some(0..0)), (None, Some(0..4))];
    let records = records.into_iter().map(|(key, value)| BatchRecord { key, value });
    producer.send_batch((TOPIC, Some(0)), &values, records).expect("they are queued");
    flush(&producer);
    let found = read(&cluster.bootstrap_servers(), 3);
    assert_eq!(found, [(None, None), (Some(vec![]), Some(vec![])), (None, Some(b"0000".to_vec()))]);
    let unsent = producer
        .send_batch((TOPIC, Some(7)), &values, std::iter::once(BatchRecord { key: None, value: None }))
        .expect_err("there is no such partition");
    assert_eq!(unsent.error.rdkafka_error_code(), Some(Code::UnknownPartition));
}

#[test]
fn what_cannot_be_a_batch_is_refused_and_nothing_is_kept() {
    let producer = producer("127.0.0.1:9", &[]);
    let (values, ranges) = values(2);
    let outside = [0..4, 4..9].map(|range| BatchRecord { key: None, value: Some(range) });
    let unsent =
        producer.send_batch((TOPIC, None), &values, outside.into_iter()).expect_err("it ends behind the values");
    assert_eq!((unsent.first, unsent.error.rdkafka_error_code()), (1, Some(Code::InvalidArgument)));
    for topic in ["a\0b", &"x".repeat(600)] {
        let unsent = producer.send_batch((topic, None), &values, records(&ranges)).expect_err("no name of a topic");
        assert_eq!(unsent.first, 0, "{topic}");
    }
    producer.send_batch((TOPIC, None), &values, std::iter::empty()).expect("nothing is sent");
    // Reports of the client, which finds no broker, are counted among what is under way.
    let until = Instant::now() + Duration::from_secs(60);
    while Arc::strong_count(&values) > 1 {
        assert!(Instant::now() < until, "nothing is under way");
        producer.release();
    }
}

#[test]
fn a_full_queue_takes_the_first_records_and_none_behind_the_first_that_it_refuses() {
    let producer = producer("127.0.0.1:9", &[("queue.buffering.max.messages", "3")]);
    let (values, ranges) = values(5);
    let unsent = producer.send_batch((TOPIC, None), &values, records(&ranges)).expect_err("it is full");
    assert_eq!((unsent.first, unsent.error.rdkafka_error_code()), (3, Some(Code::QueueFull)));
    // Reports of the client are counted among them.
    assert!(producer.in_flight_count() >= 3);
    producer.release();
    assert_eq!(Arc::strong_count(&values), 2);
}

#[test]
fn a_record_that_is_too_large_is_named() {
    let producer = producer("127.0.0.1:9", &[("message.max.bytes", "1000")]);
    let values = Arc::new(vec![b'x'; 2_000]);
    let ranges = [0..10, 0..2_000, 10..20];
    let unsent = producer.send_batch((TOPIC, None), &values, records(&ranges)).expect_err("it is too large");
    assert_eq!((unsent.first, unsent.error.rdkafka_error_code()), (1, Some(Code::MessageSizeTooLarge)));
}

#[test]
fn a_refused_record_is_reported_with_its_value() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("retries", "0")]);
    let refusals = [Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 3];
    cluster.request_errors(Api::Produce, &refusals);
    let (values, ranges) = values(2);
    producer.send_batch((TOPIC, None), &values, records(&ranges)).expect("they are queued");
    flush(&producer);
    let until = Instant::now() + Duration::from_secs(60);
    while producer.context().0.lock().expect("no panic").len() < 2 {
        assert!(Instant::now() < until, "two reports");
        std::thread::sleep(Duration::from_millis(5));
    }
    let failures = producer.context().0.lock().expect("no panic");
    assert_eq!(failures.iter().map(|(value, _)| &value[..]).collect::<Vec<_>>(), [b"0000", b"0001"]);
    assert!(failures.iter().all(|(_, error)| error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)));
}

#[test]
fn values_outlive_a_producer_that_is_dropped_with_records_under_way() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("compression.codec", "none")]);
    // The broker takes its time, so that the request is under way.
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).expect("a broker");
    let (values, ranges) = values(2_000);
    producer.send_batch((TOPIC, None), &values, records(&ranges)).expect("they are queued");
    let weak = Arc::downgrade(&values);
    drop(values);
    assert!(weak.upgrade().is_some(), "the producer keeps them");
    drop(producer);
    assert!(weak.upgrade().is_none(), "and lets go of them at its end");
}

#[test]
fn transactions_send_batches_and_purge_them() {
    let cluster = cluster();
    let producer = producer(&cluster.bootstrap_servers(), &[("transactional.id", "x"), ("linger.ms", "20000")]);
    producer.init_transactions(Duration::from_secs(60)).expect("a producer id");
    let (values, ranges) = values(500);
    producer.begin_transaction().expect("a transaction");
    producer.send_batch((TOPIC, None), &values, records(&ranges)).expect("they are queued");
    producer.abort_transaction(Duration::from_secs(60)).expect("an abort");
    producer.release();
    assert_eq!(Arc::strong_count(&values), 1, "an abort drops what waits");
    producer.begin_transaction().expect("a transaction");
    producer.send_batch((TOPIC, None), &values, records(&ranges)).expect("they are queued");
    flush(&producer);
    producer.commit_transaction(Duration::from_secs(60)).expect("a commit");
    producer.release();
    assert_eq!(Arc::strong_count(&values), 1);
}
