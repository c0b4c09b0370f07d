//! One transaction through a transactional producer, repeated until it is decided.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::Decision;
use aqpipe_engine::{Error, Result, fault};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer};

use super::error::{self, TransactionError};
use super::group_fence::FencedOffsets;
use super::metadata_records::MetadataRecord;
use super::producer::{CALL_TIMEOUT, RETRY_PAUSE_MAX, RETRY_PAUSE_MIN, STUCK_GRACE_MIN, TransactionalProducer};
use super::record_buffer::RecordBuffer;
use super::timed_call::call_within;
use crate::kafka::topics;

/// How often a transaction is repeated that brokers refuse for a reason that does not pass.
const ATTEMPTS_MAX: u32 = 5;
/// How long the group may refuse offsets of partitions that this member still has: from the end of its join until its
/// partitions are known here, which takes as long as the slowest other member, and that one's session at most.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The contents of one transaction.
pub(super) struct TransactionContents<'a> {
    pub(super) buffers: Vec<&'a RecordBuffer>,
    pub(super) metadata: Vec<MetadataRecord>,
    pub(super) offsets: Option<FencedOffsets>,
}

/// The outcome of [`TransactionalProducer::decide`].
pub(super) enum Attempt {
    Decided(Decision),
    /// The producer has to be replaced, and the outcome of the transaction is read from the commit topic.
    ProducerLost {
        error: KafkaError,
        /// Why the group had refused the transaction, where only its abort failed: then it is not to be repeated.
        refusal: Option<String>,
    },
}

impl TransactionalProducer {
    /// Repeats a transaction until it is decided. `before_abort` is asked before each abort.
    ///
    /// # Errors
    /// Where it was not decided, or `before_abort` forbids an abort.
    pub(super) fn decide(
        &mut self,
        contents: &TransactionContents<'_>,
        before_abort: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Attempt> {
        let mut pause = RETRY_PAUSE_MIN;
        let mut unknown_errors = 0;
        let mut refused: Option<Instant> = None;
        loop {
            self.sender.reports().take();
            let error = match self.attempt(contents) {
                Ok(()) => {
                    self.monitor.recovered();
                    self.report_wait(None);
                    self.stuck_grace = STUCK_GRACE_MIN;
                    return Ok(Attempt::Decided(Decision::Committed));
                }
                Err(error) => self.cause(error),
            };
            match error {
                TransactionError::ProducerLost(error) => {
                    if error::is_no_answer(&error) {
                        self.raise_stuck_grace();
                    }
                    return Ok(Attempt::ProducerLost { error, refusal: None });
                }
                // A commit may be under way: the next start reads what became of it.
                TransactionError::Permanent(error) if self.sender.is_abandoned() => return Err(error),
                TransactionError::Permanent(error) => {
                    before_abort()?;
                    // The next start aborts it in any case; until then nobody waits for it.
                    let _ = self.abort();
                    return Err(self.explained(error).at(self.id.clone()));
                }
                TransactionError::Refused(reason) => {
                    before_abort()?;
                    return Ok(match self.abort()? {
                        None => Attempt::Decided(Decision::Refused { reason }),
                        Some(error) => Attempt::ProducerLost { error, refusal: Some(reason) },
                    });
                }
                TransactionError::Rebalancing(reason) => {
                    before_abort()?;
                    let aborted = self.abort()?;
                    let is_renewed = contents.offsets.as_ref().is_some_and(FencedOffsets::is_renewed);
                    match aborted {
                        Some(error) => {
                            return Ok(Attempt::ProducerLost { error, refusal: (!is_renewed).then_some(reason) });
                        }
                        None if !is_renewed => return Ok(Attempt::Decided(Decision::Refused { reason })),
                        None => {}
                    }
                    if refused.get_or_insert_with(Instant::now).elapsed() > REBALANCE_TIMEOUT {
                        return Err(Error::new(
                            "the group refuses the offsets of partitions that it has not taken back",
                        )
                        .at(self.id.clone())
                        .because(reason));
                    }
                    self.wait_for_rebalance()?;
                }
                TransactionError::Retriable(error) | TransactionError::Abortable(error) => {
                    before_abort()?;
                    if let Some(error) = self.abort()? {
                        return Ok(Attempt::ProducerLost { error, refusal: None });
                    }
                    if !error::is_retriable(&error) {
                        unknown_errors += 1;
                        if unknown_errors >= ATTEMPTS_MAX {
                            let error = Error::new("the brokers do not take a transaction").because(error);
                            return Err(error.at(self.id.clone()).help(
                                "is there a record that the topic refuses, such as one without a key in a compacted topic?",
                            ));
                        }
                    }
                    self.pause(&error, "the brokers to take a transaction", pause)?;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
            }
        }
    }

    /// Waits a little for the end of a rebalance, which renews the membership that offsets are committed as.
    fn wait_for_rebalance(&self) -> Result<()> {
        self.check_abandoned().map_err(TransactionError::into_error)?;
        self.monitor.metrics.retries.fetch_add(1, Ordering::Relaxed);
        self.report_wait(Some("the group to end a rebalance"));
        std::thread::sleep(RETRY_PAUSE_MIN);
        Ok(())
    }

    fn attempt(&self, contents: &TransactionContents<'_>) -> Result<(), TransactionError> {
        self.sender.producer().begin_transaction().map_err(error::classify)?;
        step("decide.begun")?;
        for buffer in &contents.buffers {
            for buffered in buffer.records() {
                let mut record = BaseRecord::to(&buffer.topic);
                (record.key, record.payload, record.headers) =
                    (buffered.key, buffered.value, buffered.headers.cloned());
                self.send(record)?;
            }
        }
        let (topic, partition) = (self.commit_partition.topic(), self.commit_partition.partition());
        for (key, value) in &contents.metadata {
            let mut record = BaseRecord::to(topic).partition(partition).key(key.as_bytes());
            record.payload = value.as_deref();
            self.send(record)?;
        }
        step("decide.sent")?;
        if let Some(offsets) = &contents.offsets {
            self.repeat("the group to take offsets", || self.send_offsets(offsets))?;
        }
        step("decide.offsets")?;
        self.drain()?;
        step("decide.commit")?;
        let commit = || self.sender.producer().commit_transaction(CALL_TIMEOUT).map_err(error::classify);
        self.repeat("the brokers to commit", commit)
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), TransactionError> {
        let mut wait = self.sender.wait("room in the producer's queue");
        let sent = self.sender.send(record, || wait.pause().map_err(|_| self.abandoned()))?;
        // The record that failed first tells why this one is refused.
        sent.map_err(|error| error::classify_delivery(self.sender.reports().take().unwrap_or(error)))
    }

    /// Adds the offsets of the group.
    ///
    /// The library bounds this call by no time while it looks for the group's coordinator (`rd_kafka_coord_req` keeps a
    /// time that it never looks at), and where the coordinator moves at the wrong moment, it looks for ever. So a thread
    /// of its own makes the call. A call that does not return is left behind, with its producer.
    fn send_offsets(&self, offsets: &FencedOffsets) -> Result<(), TransactionError> {
        let Some(group) = offsets.metadata() else {
            return Err(TransactionError::Refused("a partition was given back to the group".to_owned()));
        };
        let (sender, list) = (Arc::clone(&self.sender), offsets.list.clone());
        let call = move || sender.producer().send_offsets_to_transaction(&list, &group, CALL_TIMEOUT);
        let check = || {
            self.report_wait(Some("the group to take offsets"));
            self.check_abandoned()
        };
        match call_within(CALL_TIMEOUT + self.stuck_grace, check, call)? {
            Some(result) => result.map_err(error::classify),
            None => Err(self.no_answer("offsets were neither taken nor refused")),
        }
    }

    /// Waits until all records are acknowledged.
    fn drain(&self) -> Result<(), TransactionError> {
        let mut wait = self.sender.wait("the brokers to acknowledge records");
        loop {
            let left = self.sender.producer().in_flight_count();
            if let Some(error) = self.sender.reports().take() {
                return Err(error::classify_delivery(error));
            }
            if left == 0 {
                return Ok(());
            }
            if wait.waited() > self.timeout() + STUCK_GRACE_MIN {
                // Each record should have timed out before.
                return Err(self.no_answer("records were neither acknowledged nor given up"));
            }
            wait.pause().map_err(|_| self.abandoned())?;
        }
    }

    /// Aborts the transaction. Returns the error of a producer that cannot.
    pub(super) fn abort(&self) -> Result<Option<KafkaError>> {
        let abort = || self.sender.producer().abort_transaction(CALL_TIMEOUT).map_err(error::classify);
        match self.repeat("the brokers to abort a transaction", abort) {
            Ok(()) => Ok(None),
            Err(
                TransactionError::Retriable(error)
                | TransactionError::Abortable(error)
                | TransactionError::ProducerLost(error),
            ) => Ok(Some(error)),
            Err(TransactionError::Permanent(error)) => Err(error),
            Err(TransactionError::Refused(reason) | TransactionError::Rebalancing(reason)) => {
                Err(Error::new("a transaction cannot be aborted").because(reason))
            }
        }
    }

    /// The library neither does what it was asked for nor says why not.
    fn no_answer(&self, what: &str) -> TransactionError {
        self.monitor.failure(what);
        TransactionError::ProducerLost(error::NO_ANSWER)
    }

    /// The cause of a failed transaction. The library drops its records then and refuses calls, and neither says more than
    /// that; a call that would begin another transaction is refused with the cause.
    fn cause(&self, error: TransactionError) -> TransactionError {
        match error {
            TransactionError::Retriable(_) | TransactionError::Abortable(_) => {
                match self.sender.producer().begin_transaction() {
                    Err(KafkaError::Transaction(cause)) if cause.is_fatal() || cause.txn_requires_abort() => {
                        error::classify(KafkaError::Transaction(cause))
                    }
                    _ => error,
                }
            }
            other => other,
        }
    }

    /// The error of a transaction that cannot be made. Where a topic is gone, it says whether that is the commit topic.
    fn explained(&self, error: Error) -> Error {
        let is_gone = error.cause::<KafkaError>().is_some_and(error::is_gone);
        if is_gone && topics::is_missing(self.sender.producer().client(), self.commit_partition.topic()) {
            return self.commits_gone();
        }
        error
    }
}

fn step(name: &'static str) -> Result<(), TransactionError> {
    fault::step(name).map_err(TransactionError::Permanent)
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
