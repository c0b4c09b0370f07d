//! Against the library's mock cluster.

use std::time::Instant;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::*;

const TOPIC: &str = "t";
const LONG: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;
type Reader = PartitionMessages<rdkafka::consumer::DefaultConsumerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic(TOPIC, 1, 1).expect("a topic");
    cluster
}

fn write(cluster: &Cluster, count: usize) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().expect("a producer");
    for n in 0..count {
        let (key, value) = (format!("k{n}"), format!("v{n}"));
        let record = BaseRecord::to(TOPIC).partition(0).key(&key).payload(&value).timestamp(1_000 + n as i64);
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    producer.flush(LONG).expect("sent");
}

fn reader(brokers: &str) -> (Arc<BaseConsumer>, Reader) {
    reader_from(brokers, Offset::Beginning)
}

fn reader_from(brokers: &str, offset: Offset) -> (Arc<BaseConsumer>, Reader) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.partition.eof", "true")
        .set("group.id", "g")
        .set("auto.offset.reset", "error");
    let consumer: Arc<BaseConsumer> = Arc::new(config.create().expect("a consumer"));
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, 0, offset).expect("a partition");
    consumer.assign(&from).expect("an assignment");
    let reader = PartitionMessages::split(&consumer, TOPIC, 0).expect("a queue");
    (consumer, reader)
}

/// Takes until something is there.
fn take(reader: &mut Reader) {
    let until = Instant::now() + LONG;
    while !reader.has_taken() {
        assert!(Instant::now() < until, "something comes");
        reader.take(Duration::from_millis(50));
    }
}

#[test]
fn messages_come_in_order_with_what_they_have_and_then_the_end() {
    let cluster = cluster();
    write(&cluster, 1_000);
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    let mut seen = 0;
    loop {
        take(&mut reader);
        match reader.next_taken().expect("something is there") {
            Polled::Message(message) => {
                assert_eq!(message.offset(), seen);
                assert_eq!(message.key(), Some(format!("k{seen}").as_bytes()));
                assert_eq!(message.payload(), Some(format!("v{seen}").as_bytes()));
                assert_eq!(message.timestamp_millis(), Some(1_000 + seen as i64));
                seen += 1;
            }
            Polled::End(end) => {
                assert_eq!((seen, end), (1_000, 1_000));
                break;
            }
            Polled::Failed(error) => panic!("{error}"),
        }
    }
    reader.take(Duration::ZERO);
    assert!(reader.next_taken().is_none() && !reader.has_taken());
}

#[test]
fn what_comes_behind_an_end_that_was_met_is_read_after_a_pause_as_well() {
    let cluster = cluster();
    write(&cluster, 3);
    let (consumer, mut reader) = reader(&cluster.bootstrap_servers());
    let mut offsets = Vec::new();
    while offsets.len() < 3 {
        take(&mut reader);
        if let Some(Polled::Message(message)) = reader.next_taken() {
            offsets.push(message.offset());
        }
    }
    take(&mut reader);
    assert!(matches!(reader.next_taken(), Some(Polled::End(3))));
    let partition = consumer.assignment().expect("an assignment");
    consumer.pause(&partition).expect("a pause");
    write(&cluster, 1);
    consumer.resume(&partition).expect("an end of it");
    loop {
        take(&mut reader);
        match reader.next_taken() {
            Some(Polled::Message(message)) => {
                assert_eq!(message.offset(), 3);
                break;
            }
            // The end may be met once more before the message is there.
            other => assert!(matches!(other, Some(Polled::End(3)) | None), "{other:?}"),
        }
    }
}

#[test]
fn a_wait_takes_no_longer_than_it_may_and_nothing_is_taken_twice() {
    let cluster = cluster();
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    take(&mut reader);
    assert!(matches!(reader.next_taken(), Some(Polled::End(0))));
    reader.take(Duration::from_millis(20));
    assert!(reader.next_taken().is_none());
    write(&cluster, 3);
    take(&mut reader);
    reader.take(LONG);
    let first = reader.next_taken().expect("the first");
    assert!(matches!(&first, Polled::Message(message) if message.offset() == 0), "{first:?}");
}

#[test]
fn errors_of_the_partition_come_through_its_queue() {
    let cluster = cluster();
    let (_consumer, mut reader) = reader_from(&cluster.bootstrap_servers(), Offset::Offset(1_000));
    take(&mut reader);
    let Some(Polled::Failed(error)) = reader.next_taken() else { panic!("an error comes first") };
    assert_eq!(error.rdkafka_error_code(), Some(Code::AutoOffsetReset), "{error}");
}

#[test]
fn messages_that_nobody_asked_for_are_given_back_before_the_client_ends() {
    let cluster = cluster();
    write(&cluster, 100);
    let (consumer, mut reader) = reader(&cluster.bootstrap_servers());
    take(&mut reader);
    drop(consumer);
    // A client whose messages were not given back would wait for them for ever.
    let ended = std::thread::spawn(move || drop(reader));
    let until = Instant::now() + LONG;
    while !ended.is_finished() {
        assert!(Instant::now() < until, "the client ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn there_is_no_queue_of_what_can_be_no_partition() {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", "127.0.0.1:9").create().expect("a consumer");
    let consumer = Arc::new(consumer);
    assert!(PartitionMessages::split(&consumer, "a\0b", 0).is_none());
}

#[test]
fn a_wait_is_ended_from_another_thread_be_it_before_or_meanwhile() {
    let cluster = cluster();
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    take(&mut reader);
    reader.next_taken().expect("the end");
    reader.queue().wake();
    reader.take(LONG * 10);
    let queue = Arc::clone(reader.queue());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reader.take(LONG * 10));
        queue.wake();
        waiting.join().expect("no panic");
    });
    assert!(!reader.has_taken());
}
