//! The producer against librdkafka's mock cluster: what it does when brokers refuse, and when the library does not answer.
//! What readers see is tested against a real Kafka.

use std::cell::Cell;
use std::time::Duration;

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::stage::BuildContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::super::group_fence::{GroupFence, GroupMetadata};
use super::*;
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::topic_partition::TopicPartition;

const GROUP: &str = "readers";

struct Brokers {
    cluster: MockCluster<'static, DefaultProducerContext>,
    cancellation: CancellationToken,
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
        Brokers { cluster, cancellation: CancellationToken::default() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        config
    }

    fn producer(&self) -> TransactionalProducer {
        let mut config = self.config();
        config.set("transactional.id", "id").set("transaction.timeout.ms", "5000").set("retry.backoff.ms", "5");
        let commit_partition = TopicPartition::new("commits", 0);
        let monitor = Arc::new(ConnectionMonitor::new(&BuildContext::for_tests(), &self.cluster.bootstrap_servers()));
        let timeout = Duration::from_secs(5);
        let made = TransactionalProducer::new(
            config,
            "id".to_owned(),
            (commit_partition, Arc::default()),
            (&monitor, &self.cancellation),
            timeout,
        );
        let producer = made.expect("a producer");
        assert!(producer.init().expect("knows it").is_none(), "there is a right to transactions");
        producer
    }

    fn contents(&self) -> TransactionContents<'static> {
        let consumer: BaseConsumer = self.config().set("group.id", GROUP).create().expect("a consumer");
        contents_as(GroupMetadata::fixed(consumer.group_metadata().expect("a group")))
    }

    /// The same for partitions that outlive rebalances.
    fn renewed_contents(&self) -> TransactionContents<'static> {
        let consumer: BaseConsumer = self.config().set("group.id", GROUP).create().expect("a consumer");
        contents_as(GroupMetadata::renewed(consumer.group_metadata().expect("a group")))
    }
}

fn contents_as(group: GroupMetadata) -> TransactionContents<'static> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("read", 0, Offset::Offset(7)).expect("an offset");
    let fences = vec![Arc::new(GroupFence::new(&Arc::new(group)))];
    let metadata = vec![("key".to_owned(), Some(b"value".to_vec()))];
    TransactionContents::new(Vec::new(), ("commits", metadata), Some(FencedOffsets { list, fences }))
}

fn is_committed(attempt: &Result<Attempt>) -> bool {
    matches!(attempt, Ok(Attempt::Decided(Decision::Committed)))
}

#[test]
fn an_aborted_transaction_is_repeated() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    let aborted = Cell::new(0);
    let mut before_abort = || {
        aborted.set(aborted.get() + 1);
        Ok(())
    };
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut before_abort)));
    assert_eq!(aborted.get(), 0);
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE]);
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut before_abort)));
    assert_eq!(aborted.get(), 1);
}

#[test]
fn a_transaction_that_the_group_refuses_is_aborted_and_not_repeated() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    let attempt = producer.decide(&brokers.contents(), &mut || Ok(()));
    assert!(matches!(attempt, Ok(Attempt::Decided(Decision::Refused { .. }))));
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))), "it is of use afterwards");
}

#[test]
fn offsets_of_partitions_that_stay_are_committed_again_once_the_generation_is_known() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    let passed = Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[passed, passed]);
    assert!(is_committed(&producer.decide(&brokers.renewed_contents(), &mut || Ok(()))));
}

#[test]
fn nothing_is_committed_of_a_partition_that_was_given_up() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    for contents in [brokers.contents(), brokers.renewed_contents()] {
        contents.offsets.iter().flat_map(|offsets| &offsets.fences).for_each(|fence| fence.give_up());
        let attempt = producer.decide(&contents, &mut || Ok(()));
        assert!(matches!(attempt, Ok(Attempt::Decided(Decision::Refused { .. }))));
    }
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))), "it is of use afterwards");
}

/// Another process may have taken this one's place: that is looked at as for any producer that is replaced.
#[test]
fn a_refused_transaction_whose_abort_fails_is_not_repeated_by_the_next_producer() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    brokers.cluster.request_errors(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    brokers.cluster.request_errors(Api::EndTxn, &[Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    match producer.decide(&brokers.contents(), &mut || Ok(())) {
        Ok(Attempt::ProducerLost { error, refusal }) => {
            assert!(error::is_fenced(&error), "{error}");
            assert!(refusal.is_some());
        }
        Ok(Attempt::Decided(decision)) => panic!("{decision:?}"),
        Err(error) => panic!("{error}"),
    }
    producer.reinit().expect("another one");
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))));
}

/// An abort behind a commit that brokers have lost would destroy it, so the check before it must be able to prevent it.
#[test]
fn nothing_is_aborted_where_the_last_commit_is_not_there_any_more() {
    for answer in [Answer::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION] {
        let brokers = Brokers::start();
        let mut producer = brokers.producer();
        brokers.cluster.request_errors(Api::TxnOffsetCommit, &[answer]);
        let attempt = producer.decide(&brokers.contents(), &mut || Err(Error::new("the last commit is lost")));
        let error = attempt.err().expect("an error");
        assert!(error.to_string().contains("the last commit is lost"), "{error}");
        // The transaction is still open: the library aborts no other.
        assert!(producer.abort().expect("answers").is_none());
    }
}

/// A broker that coordinates the group and is away: the library would wait for it for ever.
#[test]
fn offsets_that_nobody_takes_make_a_producer_useless_and_another_one_goes_on() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    producer.stuck_grace = Duration::from_millis(100);
    brokers.cluster.broker_down(2).expect("down");
    match producer.decide(&brokers.contents(), &mut || Ok(())) {
        Ok(Attempt::ProducerLost { error, .. }) => assert!(error::is_no_answer(&error), "{error}"),
        Ok(Attempt::Decided(decision)) => panic!("{decision:?}"),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(producer.stuck_grace, Duration::from_millis(200), "the next one gets longer");
    brokers.cluster.broker_up(2).expect("up");
    producer.reinit().expect("another one");
    assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))));
    assert_eq!(producer.stuck_grace, STUCK_GRACE_MIN);
}

/// What brokers say to a producer that committed nothing for longer than they remember one.
#[test]
fn a_producer_that_brokers_have_forgotten_is_replaced_and_aborts_nothing() {
    for answer in [Answer::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, Answer::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID]
    {
        let brokers = Brokers::start();
        let mut producer = brokers.producer();
        brokers.cluster.request_errors(Api::AddPartitionsToTxn, &[answer]);
        let mut before_abort = || panic!("nothing is aborted");
        match producer.decide(&brokers.contents(), &mut before_abort) {
            Ok(Attempt::ProducerLost { error, .. }) => assert!(error::is_forgotten(&error), "{error}"),
            Ok(Attempt::Decided(decision)) => panic!("{decision:?}"),
            Err(error) => panic!("{error}"),
        }
        producer.reinit().expect("another one");
        assert!(is_committed(&producer.decide(&brokers.contents(), &mut || Ok(()))));
    }
}

#[test]
fn a_stop_ends_the_wait_for_the_group() {
    let brokers = Brokers::start();
    let mut producer = brokers.producer();
    brokers.cluster.broker_down(2).expect("down");
    let contents = brokers.contents();
    let cancellation = brokers.cancellation.clone();
    let stop = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        cancellation.abandon();
    });
    let error = producer.decide(&contents, &mut || Ok(())).err().expect("an error");
    assert!(error.to_string().contains("gave up waiting"), "{error}");
    stop.join().expect("a thread");
}
