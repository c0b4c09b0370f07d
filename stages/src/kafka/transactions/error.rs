//! How errors of a transactional producer are handled.

use aqpipe_engine::Error;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::error_class::is_transient;

/// An error of a transaction, by how it is handled.
#[derive(Debug)]
pub(super) enum TransactionError {
    /// The call is repeated.
    Retriable(KafkaError),
    /// The transaction is aborted and repeated.
    Abortable(KafkaError),
    /// The transaction is aborted: the consumer group has given the partitions to another member.
    Refused(String),
    /// The transaction is aborted: the group has another generation. It is repeated for partitions that outlive that.
    Rebalancing(String),
    /// The producer is fenced or failed for good. Another one takes its place, and the outcome of the transaction is
    /// read from the commit topic.
    ProducerLost(KafkaError),
    /// Only a change outside the pipeline helps.
    Permanent(Error),
}

impl TransactionError {
    /// The error as one that ends the run.
    pub(super) fn into_error(self) -> Error {
        match self {
            TransactionError::Retriable(error)
            | TransactionError::Abortable(error)
            | TransactionError::ProducerLost(error) => Error::new("a transaction failed").because(error),
            TransactionError::Refused(reason) | TransactionError::Rebalancing(reason) => {
                Error::new("a transaction was refused").because(reason)
            }
            TransactionError::Permanent(error) => error,
        }
    }
}

/// The error of a producer that has stopped answering and has reported nothing.
pub(super) const NO_ANSWER: KafkaError = KafkaError::Global(Code::OperationTimedOut);

/// Whether an error is [`NO_ANSWER`].
pub(super) fn is_no_answer(error: &KafkaError) -> bool {
    *error == NO_ANSWER
}

/// Whether an error says that brokers do not know the producer any more: it committed nothing for longer than they
/// remember one (`transactional.id.expiration.ms`, seven days unless set).
pub(super) fn is_forgotten(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::InvalidProducerIdMapping | Code::UnknownProducerId))
}

/// Whether an error says that another producer has taken the transactional id, or that the transaction lasted too long.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::Fenced)
}

/// Whether an error says that a topic does not exist.
pub(super) fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
    )
}

/// Classifies the error of a call on the transactional producer.
pub(super) fn classify(error: KafkaError) -> TransactionError {
    let code = error.rdkafka_error_code();
    if let Some(stop) = code.and_then(|code| permanent(code, &error)) {
        return TransactionError::Permanent(stop);
    }
    match &error {
        KafkaError::Transaction(inner) if inner.is_fatal() => TransactionError::ProducerLost(error),
        // An abort would fail the same way.
        _ if is_forgotten(&error) => TransactionError::ProducerLost(error),
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => match code {
            Some(Code::IllegalGeneration | Code::RebalanceInProgress) => {
                TransactionError::Rebalancing(error.to_string())
            }
            Some(Code::UnknownMemberId | Code::FencedInstanceId) => TransactionError::Refused(error.to_string()),
            _ => TransactionError::Abortable(error),
        },
        _ => match code {
            Some(Code::Fatal | Code::Fenced) => TransactionError::ProducerLost(error),
            // The transaction has failed already: the call that follows an error fails so.
            Some(Code::State) => TransactionError::Abortable(error),
            _ => TransactionError::Retriable(error),
        },
    }
}

/// Classifies the error of a record that was not delivered.
pub(super) fn classify_delivery(error: KafkaError) -> TransactionError {
    match error.rdkafka_error_code() {
        Some(code) => match permanent(code, &error) {
            Some(stop) => TransactionError::Permanent(stop),
            None if matches!(code, Code::Fatal | Code::Fenced) || is_forgotten(&error) => {
                TransactionError::ProducerLost(error)
            }
            None => TransactionError::Abortable(error),
        },
        None => TransactionError::Abortable(error),
    }
}

/// The error that only a change outside the pipeline mends.
fn permanent(code: Code, error: &KafkaError) -> Option<Error> {
    let (what, help) = match code {
        Code::MessageSizeTooLarge => (
            "a batch is larger than the topic takes",
            "raise the topic's `max.message.bytes`, or run again: its limit is looked up at the start",
        ),
        Code::TopicAuthorizationFailed => ("the user may not write", "it needs the right to write to the topic"),
        Code::GroupAuthorizationFailed => ("the user may not commit", "it needs the right to read as this group"),
        Code::TransactionalIdAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            ("the user may not use transactions", "it needs the right to write as this transactional id")
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            ("a topic is gone", "was it deleted while the pipeline ran?")
        }
        Code::SaslAuthenticationFailed | Code::Authentication => ("Kafka refuses this client", "look at `security`"),
        _ => return None,
    };
    Some(Error::new(what).because(error.clone()).help(help))
}

/// Whether an error says that the user, or the broker, has no transactions.
pub(super) fn is_unauthorized(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TransactionalIdAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnsupportedVersion
                | Code::UnsupportedFeature
        )
    )
}

/// Whether a repeated call may succeed without a change outside.
pub(super) fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(inner) if inner.is_retriable() => true,
        other => other.rdkafka_error_code().is_none_or(is_transient),
    }
}
