//! The producer against librdkafka's mock cluster: what it does when brokers refuse, and when the library does not answer.
//! What readers see is tested against a real Kafka.

use std::cell::Cell;

use aqpipe_engine::stage::BuildContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer};
use rdkafka::{Offset, TopicPartitionList};

use super::*;

const GROUP: &str = "readers";

struct Brokers {
    cluster: MockCluster<'static, DefaultProducerContext>,
    given_up: Arc<AtomicBool>,
}

impl Brokers {
    /// Two of them: the first coordinates transactions, the second the group.
    fn start() -> Brokers {
        let cluster = MockCluster::new(2).expect("a cluster");
        cluster.create_topic("commits", 1, 1).expect("a topic");
        cluster.create_topic("read", 1, 1).expect("a topic");
        cluster.partition_leader("commits", 0, Some(1)).expect("a leader");
        cluster.coordinator(MockCoordinator::Transaction("id".to_owned()), 1).expect("a coordinator");
        cluster.coordinator(MockCoordinator::Group(GROUP.to_owned()), 2).expect("a coordinator");
        Brokers { cluster, given_up: Arc::default() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        config
    }

    fn producer(&self) -> TransactionalProducer {
        let mut config = self.config();
        config.set("transactional.id", "id").set("transaction.timeout.ms", "5000").set("retry.backoff.ms", "5");
        let place = Place { topic: "commits".to_owned(), partition: 0 };
        let watch = Arc::new(Watch::new(&BuildContext::for_tests()));
        let timeout = Duration::from_secs(5);
        let made = TransactionalProducer::new(config, "id".to_owned(), place, (&watch, &self.given_up), timeout);
        let producer = made.expect("a producer");
        assert!(producer.init().expect("knows it").is_none(), "there is a right to transactions");
        producer
    }

    fn contents(&self) -> Contents<'static> {
        let consumer: BaseConsumer = self.config().set("group.id", GROUP).create().expect("a consumer");
        let group = GroupFence(consumer.group_metadata().expect("a group"));
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("read", 0, Offset::Offset(7)).expect("an offset");
        let notes = vec![("key".to_owned(), Some(b"value".to_vec()))];
        Contents { parcels: Vec::new(), notes, offsets: Some((offsets, Arc::new(group))) }
    }
}

fn is_committed(tried: &Result<Tried>) -> bool {
    matches!(tried, Ok(Tried::Decided(Decision::Committed)))
}

#[test]
fn a_transaction_that_was_undone_is_made_again() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    let undone = Cell::new(0);
    let mut before_undo = || {
        undone.set(undone.get() + 1);
        Ok(())
    };
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut before_undo)));
    assert_eq!(undone.get(), 0);
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE]);
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut before_undo)));
    assert_eq!(undone.get(), 1);
}

#[test]
fn what_the_group_refuses_is_undone_and_not_made_again() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    let tried = producer.decide(&brokers.contents(), &mut || Ok(()));
    assert!(matches!(tried, Ok(Tried::Decided(Decision::Refused { .. }))));
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))), "it is of use afterwards");
}

/// An undo behind a commit that brokers have lost would destroy it, so that whoever looks must be able to prevent it.
#[test]
fn nothing_is_undone_where_the_last_commit_is_not_there_any_more() {
    for answer in [Answer::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION] {
        let brokers = Brokers::start();
        let mut producer = brokers.producer();
        brokers.cluster.request_errors(Api::TxnOffsetCommit, &[answer]);
        let tried = producer.decide(&brokers.contents(), &mut || Err(Error::new("the last commit is lost")));
        let error = tried.err().expect("an error");
        assert!(error.to_string().contains("the last commit is lost"), "{error}");
        // The transaction is still open: the library would let nothing be undone that is not.
        assert!(producer.undo().expect("answers").is_none());
    }
}

/// A broker that coordinates the group and is away: the library would wait for it for ever.
#[test]
fn offsets_that_nobody_takes_make_a_producer_useless_and_another_one_goes_on() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    producer.stuck = Duration::from_millis(100);
    brokers.cluster.broker_down(2).expect("down");
    match producer.decide(&brokers.contents(), &mut || Ok(())) {
        Ok(Tried::Unknown(error)) => assert!(trouble::is_no_answer(&error), "{error}"),
        Ok(Tried::Decided(decision)) => panic!("{decision:?}"),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(producer.stuck, Duration::from_millis(200), "the next one gets longer");
    brokers.cluster.broker_up(2).expect("up");
    producer.renew().expect("another one");
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))));
    assert_eq!(producer.stuck, STUCK);
}

/// What brokers say to a producer that committed nothing for longer than they remember one.
#[test]
fn a_producer_that_brokers_have_forgotten_is_replaced_and_undoes_nothing() {
    for answer in [Answer::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, Answer::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID]
    {
        let brokers = Brokers::start();
        let mut producer = brokers.producer();
        brokers.cluster.request_errors(Api::AddPartitionsToTxn, &[answer]);
        let mut before_undo = || panic!("nothing is undone");
        match producer.decide(&brokers.contents(), &mut before_undo) {
            Ok(Tried::Unknown(error)) => assert!(trouble::is_forgotten(&error), "{error}"),
            Ok(Tried::Decided(decision)) => panic!("{decision:?}"),
            Err(error) => panic!("{error}"),
        }
        producer.renew().expect("another one");
        assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))));
    }
}

#[test]
fn a_stop_ends_the_wait_for_the_group() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    brokers.cluster.broker_down(2).expect("down");
    let contents = brokers.contents();
    let given_up = Arc::clone(&brokers.given_up);
    let stop = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        given_up.store(true, Ordering::SeqCst);
    });
    let error = producer.decide(&contents, &mut || Ok(())).err().expect("an error");
    assert!(error.to_string().contains("gave up waiting"), "{error}");
    stop.join().expect("a thread");
}
