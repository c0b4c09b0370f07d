//! Which errors of the client library pass by themselves, and what they say.

use aqpipe_engine::{ErrorClass, ErrorClassifier};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// Whether an error passes by itself: a lost connection, a leader or a coordinator that moves.
pub(crate) fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::ReplicaNotAvailable
            | Code::BrokerNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::NotEnoughReplicas
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::NodeUpdate
            | Code::Retry
            | Code::DestroyBroker
            | Code::SSL
    )
}

/// Whether an error says that a broker was not reached, or did not answer: no record is the cause.
pub(crate) fn is_unreachable(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::NetworkException
            | Code::BrokerNotAvailable
            | Code::DestroyBroker
            | Code::SSL
    )
}

/// Whether an error says that nobody leads a partition right now, which the client library tells in several ways while a
/// broker that led it is gone: of a partition that is known to be there, it passes.
pub(crate) fn is_leaderless(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        is_transient(code)
            || matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
    })
}

/// What a client library reports is what brokers did not take.
fn class_of(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorClass> {
    cause.is::<KafkaError>().then_some(ErrorClass::Broker)
}

inventory::submit! { ErrorClassifier(class_of) }
