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
    configure(&mut config);
    let consumer: Arc<BaseConsumer> = Arc::new(config.create().expect("a consumer"));
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, 0, offset).expect("a partition");
    consumer.assign(&from).expect("an assignment");
    let reader = PartitionMessages::split(&consumer, TOPIC, 0).expect("a queue");
    (consumer, reader)
}

/// What a test keeps of what is handed over.
#[derive(Debug, PartialEq)]
enum Seen {
    Message(u64),
    End(u64),
    Failed(Option<Code>),
}

/// What one call hands over, up to so many.
fn take_up_to(reader: &mut Reader, most: usize, timeout: Duration) -> Vec<Seen> {
    let mut seen = Vec::new();
    reader.take(timeout, |polled| {
        seen.push(match polled {
            Polled::Message(message) => Seen::Message(message.offset()),
            Polled::End(end) => Seen::End(end),
            Polled::Failed(error) => Seen::Failed(error.rdkafka_error_code()),
        });
        if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    seen
}

/// What comes next, in calls that hand over up to so many; none comes to nothing.
fn take(reader: &mut Reader, most: usize) -> Vec<Seen> {
    let until = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < until, "something comes");
        let seen = take_up_to(reader, most, Duration::from_millis(50));
        if !seen.is_empty() {
            return seen;
        }
    }
}

/// Waits until the library holds so many messages or more, so that a call could hand them over.
fn wait_for_queue(reader: &Reader, count: usize) {
    let until = Instant::now() + LONG;
    // SAFETY: the queue is alive.
    while unsafe { sys::rd_kafka_queue_length(reader.queue.queue.as_ptr()) } < count {
        assert!(Instant::now() < until, "messages come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn messages_come_in_order_with_what_they_have_and_then_the_end() {
    let cluster = cluster();
    write(&cluster, 1_000);
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    let (mut seen, mut end, until) = (0, None, Instant::now() + LONG);
    while end.is_none() {
        assert!(Instant::now() < until, "the end comes");
        reader.take(Duration::from_millis(50), |polled| {
            match polled {
                Polled::Message(message) => {
                    assert_eq!(message.offset(), seen);
                    assert_eq!(message.key(), Some(format!("k{seen}").as_bytes()));
                    assert_eq!(message.payload(), Some(format!("v{seen}").as_bytes()));
                    assert_eq!(message.timestamp_millis(), Some(1_000 + seen as i64));
                    seen += 1;
                }
                Polled::End(offset) => end = Some(offset),
                Polled::Failed(error) => panic!("{error}"),
            }
            ControlFlow::Continue(())
        });
    }
    assert_eq!((seen, end), (1_000, Some(1_000)));
    assert_eq!(take_up_to(&mut reader, 9, Duration::ZERO), []);
}

#[test]
fn what_was_not_handed_over_stays_in_the_queue_and_comes_in_order() {
    let cluster = cluster();
    write(&cluster, 700);
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    let mut offsets = Vec::new();
    for most in [1, 7, 100, 3].into_iter().cycle() {
        let seen = take(&mut reader, most);
        assert!(seen.len() <= most, "{seen:?}");
        offsets
            .extend(seen.iter().filter_map(|seen| if let Seen::Message(offset) = seen { Some(*offset) } else { None }));
        if seen.contains(&Seen::End(700)) {
            break;
        }
    }
    assert_eq!(offsets, (0..700).collect::<Vec<u64>>());
}

#[test]
fn a_call_leaves_what_it_has_no_time_for_to_the_bound_of_the_queue() {
    let cluster = cluster();
    write(&cluster, 1_000);
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    wait_for_queue(&reader, 1_000);
    let mut lengths = Vec::new();
    let queue = Arc::clone(reader.queue());
    reader.take(LONG, |_| {
        // SAFETY: the queue is alive.
        lengths.push(unsafe { sys::rd_kafka_queue_length(queue.queue.as_ptr()) });
        ControlFlow::Continue(())
    });
    let most = CALL_MESSAGES.parse::<usize>().expect("a number");
    // The library may have put a mark of its own among the messages, which counts.
    assert!((most / 2..=most).contains(&lengths.len()), "{lengths:?}");
    assert!(lengths.iter().all(|left| *left >= 1_000 - lengths.len()), "{lengths:?}");
}

#[test]
fn a_panic_of_the_taker_goes_on_behind_the_call_and_loses_nothing_else() {
    let cluster = cluster();
    write(&cluster, 5);
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    wait_for_queue(&reader, 5);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        reader.take(LONG, |polled| match polled {
            Polled::Message(message) if message.offset() == 2 => panic!("the third"),
            _ => ControlFlow::Continue(()),
        });
    }));
    assert_eq!(panicked.expect_err("a panic").downcast_ref::<&str>(), Some(&"the third"));
    assert_eq!(take(&mut reader, 1), [Seen::Message(3)]);
}

#[test]
fn what_comes_behind_an_end_that_was_met_is_read_after_a_pause_as_well() {
    let cluster = cluster();
    write(&cluster, 3);
    let (consumer, mut reader) = reader(&cluster.bootstrap_servers());
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.extend(take(&mut reader, 1));
    }
    assert_eq!(seen, [Seen::Message(0), Seen::Message(1), Seen::Message(2), Seen::End(3)]);
    let partition = consumer.assignment().expect("an assignment");
    consumer.pause(&partition).expect("a pause");
    write(&cluster, 1);
    consumer.resume(&partition).expect("an end of it");
    // The end may be met once more before the message is there.
    let next = std::iter::repeat_with(|| take(&mut reader, 1)).find(|seen| *seen != [Seen::End(3)]);
    assert_eq!(next, Some(vec![Seen::Message(3)]));
}

#[test]
fn a_wait_takes_no_longer_than_it_may_and_nothing_is_taken_twice() {
    let cluster = cluster();
    let (_consumer, mut reader) = reader(&cluster.bootstrap_servers());
    assert_eq!(take(&mut reader, 9), [Seen::End(0)]);
    assert_eq!(take_up_to(&mut reader, 9, Duration::from_millis(20)), []);
    write(&cluster, 3);
    assert_eq!(take(&mut reader, 1), [Seen::Message(0)]);
    assert_eq!(take(&mut reader, 1), [Seen::Message(1)]);
}

#[test]
fn errors_of_the_partition_come_through_its_queue() {
    let cluster = cluster();
    let (_consumer, mut reader) = reader_from(&cluster.bootstrap_servers(), Offset::Offset(1_000));
    assert_eq!(take(&mut reader, 1), [Seen::Failed(Some(Code::AutoOffsetReset))]);
}

#[test]
fn messages_that_nobody_asked_for_are_given_back_before_the_client_ends() {
    let cluster = cluster();
    write(&cluster, 100);
    let (consumer, reader) = reader(&cluster.bootstrap_servers());
    wait_for_queue(&reader, 100);
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
    assert_eq!(take(&mut reader, 1), [Seen::End(0)]);
    reader.queue().wake();
    assert_eq!(take_up_to(&mut reader, 9, LONG * 10), []);
    let queue = Arc::clone(reader.queue());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| take_up_to(&mut reader, 9, LONG * 10));
        queue.wake();
        assert_eq!(waiting.join().expect("no panic"), []);
    });
}
