//! What an error of a transaction asks for.

use aqpipe_engine::Error;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::client::passes;

/// What is to be done about an error.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The same call again.
    Repeat(KafkaError),
    /// Undo the transaction, and make it again.
    Again(KafkaError),
    /// Undo it: the group has moved on, and its partitions are others'.
    Refused(String),
    /// The producer is of no use any more: another one, and find out what became of the transaction.
    Anew(KafkaError),
    /// Neither of these mends it.
    Stop(Error),
}

/// The error of a producer of which nothing bad is known but its silence.
pub(super) const NO_ANSWER: KafkaError = KafkaError::Global(Code::OperationTimedOut);

/// Whether it is that one.
pub(super) fn is_no_answer(error: &KafkaError) -> bool {
    *error == NO_ANSWER
}

/// Whether an error says that brokers do not know the producer any more: it committed nothing for longer than they
/// remember one (`transactional.id.expiration.ms`, seven days unless set).
pub(super) fn is_forgotten(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::InvalidProducerIdMapping | Code::UnknownProducerId))
}

/// Whether an error says that another producer has this one's name, or that brokers took its transaction for too long.
pub(super) fn is_fenced(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::Fenced)
}

/// Whether an error says that a topic is not there.
pub(super) fn is_gone(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
    )
}

/// Sorts an error of a call on the transactional producer.
pub(super) fn sort(error: KafkaError) -> Trouble {
    let code = error.rdkafka_error_code();
    if let Some(stop) = code.and_then(|code| hopeless(code, &error)) {
        return Trouble::Stop(stop);
    }
    match &error {
        KafkaError::Transaction(inner) if inner.is_fatal() => Trouble::Anew(error),
        // To undo it would be the same question under a name that nobody knows.
        _ if is_forgotten(&error) => Trouble::Anew(error),
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => match code {
            Some(
                Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId | Code::RebalanceInProgress,
            ) => Trouble::Refused(error.to_string()),
            _ => Trouble::Again(error),
        },
        _ => match code {
            Some(Code::Fatal | Code::Fenced) => Trouble::Anew(error),
            // What a call says that comes after an error of which an earlier one was told.
            Some(Code::State) => Trouble::Again(error),
            _ => Trouble::Repeat(error),
        },
    }
}

/// Sorts what became of a record.
pub(super) fn sort_delivery(error: KafkaError) -> Trouble {
    match error.rdkafka_error_code() {
        Some(code) => match hopeless(code, &error) {
            Some(stop) => Trouble::Stop(stop),
            None if matches!(code, Code::Fatal | Code::Fenced) || is_forgotten(&error) => Trouble::Anew(error),
            None => Trouble::Again(error),
        },
        None => Trouble::Again(error),
    }
}

/// The error of a pipeline that nothing but a change outside it mends.
fn hopeless(code: Code, error: &KafkaError) -> Option<Error> {
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

/// Whether an error says that there is no right to transactions.
pub(super) fn is_no_right(error: &KafkaError) -> bool {
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

/// Whether a repeated call may come to an end by itself.
pub(super) fn may_pass(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(inner) if inner.is_retriable() => true,
        other => other.rdkafka_error_code().is_none_or(passes),
    }
}
