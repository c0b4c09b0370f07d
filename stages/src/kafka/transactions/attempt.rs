//! One transaction through a transactional producer, repeated until it is decided.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::Decision;
use aqpipe_engine::{Error, Result, fault};
use aqpipe_librdkafka::{BatchRecord, Unsent};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::error::{self, TransactionError};
use super::group_fence::FencedOffsets;
use super::metadata_records::MetadataRecord;
use super::producer::{
    CALL_TIMEOUT, FirstFailure, RETRY_PAUSE_MAX, RETRY_PAUSE_MIN, STUCK_GRACE_MIN, TransactionalProducer,
};
use super::record_buffer::{BufferedRecord, RecordBuffer};
use super::timed_call::call_within;
use crate::kafka::sender::SendWait;
use crate::kafka::topics;

/// How often a transaction is repeated that brokers refuse for a reason that does not pass.
const ATTEMPTS_MAX: u32 = 5;
/// How long the group may refuse offsets of partitions that this member still has: from the end of its join until its
/// partitions are known here, which takes as long as the slowest other member, and that one's session at most.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);

/// How many records are sent in one call.
const SEND_RECORDS_MAX: usize = 512;
/// Records whose keys tell to how many partitions a buffer goes.
const KEYS_LOOKED_AT: usize = 64;
/// How many full batches of a partition may be under way: one that the brokers have, and one that fills meanwhile. What waits behind
/// them keeps a thread of the library busy (see `linger.ms`).
const BATCHES_AHEAD: usize = 2;

/// The contents of one transaction.
pub(super) struct TransactionContents<'a> {
    buffers: Vec<&'a RecordBuffer>,
    pub(super) metadata: Vec<MetadataRecord>,
    /// The same as the records that are sent.
    metadata_buffer: RecordBuffer,
    offsets: Option<FencedOffsets>,
}

impl<'a> TransactionContents<'a> {
    /// What is sent to topics, noted in the commit topic, and committed for the group.
    pub(super) fn new(
        buffers: Vec<&'a RecordBuffer>,
        (commit_topic, metadata): (&str, Vec<MetadataRecord>),
        offsets: Option<FencedOffsets>,
    ) -> TransactionContents<'a> {
        let mut metadata_buffer = RecordBuffer::unbudgeted(&commit_topic.into(), &Arc::default());
        for (key, value) in &metadata {
            metadata_buffer.add_value(Some(key.as_bytes()), value.as_deref(), None);
        }
        TransactionContents { buffers, metadata, metadata_buffer, offsets }
    }
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
            self.send(buffer, None)?;
        }
        self.send(&contents.metadata_buffer, Some(self.commit_partition.partition()))?;
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

    /// Sends the records of a buffer to its topic, to a partition of it or else to those that their keys decide.
    fn send(&self, buffer: &RecordBuffer, partition: Option<i32>) -> Result<(), TransactionError> {
        if buffer.has_headers() {
            // The library takes no headers with many records in one call.
            return buffer.records().try_for_each(|record| self.send_one(buffer, record, partition));
        }
        let producer = self.sender.producer();
        let ahead = self.records_ahead(buffer);
        let mut sent = 0;
        while sent < buffer.records().len() {
            self.wait_for_batches(ahead)?;
            let records = buffer.records_from(sent).take(SEND_RECORDS_MAX);
            let count = records.len();
            let records = records.map(|record| BatchRecord { key: record.key, value: record.value });
            match producer.send_batch((&buffer.topic, partition), buffer.values(), records) {
                Ok(()) => sent += count,
                Err(Unsent { first, error: KafkaError::MessageProduction(Code::QueueFull) }) => {
                    sent += first;
                    self.wait_for_batches(producer.in_flight_count().max(1) - 1)?;
                }
                Err(Unsent { error, .. }) => return Err(self.refused(error)),
            }
        }
        Ok(())
    }

    fn send_one(
        &self,
        buffer: &RecordBuffer,
        record: BufferedRecord<'_>,
        partition: Option<i32>,
    ) -> Result<(), TransactionError> {
        let mut sent = BaseRecord::to(&buffer.topic);
        (sent.key, sent.payload) = (record.key, record.value.map(|range| &buffer.values()[range]));
        (sent.partition, sent.headers) = (partition, record.headers.cloned());
        let mut wait = self.sender.wait("room in the producer's queue");
        let sent = self.sender.send(sent, || wait.pause().map_err(|_| self.abandoned()))?;
        sent.map_err(|error| self.refused(error))
    }

    /// The error of a record that the library refuses; the record that failed first tells why.
    fn refused(&self, error: KafkaError) -> TransactionError {
        error::classify_delivery(self.sender.reports().take().unwrap_or(error))
    }

    /// How many records of a buffer may be under way, as many as [`BATCHES_AHEAD`] have for each partition that they go to.
    fn records_ahead(&self, buffer: &RecordBuffer) -> i32 {
        let mean_bytes = buffer.values().len() / buffer.records().len().max(1);
        let partitions = self.partitions.get(&*buffer.topic).copied().unwrap_or(1);
        let keys: BTreeSet<_> = buffer.records().take(KEYS_LOOKED_AT).map(|record| record.key).collect();
        // Records without a key go to all of them.
        let partitions = if keys.contains(&None) { partitions } else { partitions.min(keys.len()) };
        let records = BATCHES_AHEAD * partitions * self.batch_bytes / mean_bytes.max(1);
        i32::try_from(records).unwrap_or(i32::MAX).max(SEND_RECORDS_MAX as i32)
    }

    /// Waits until no more than so many records are under way.
    fn wait_for_batches(&self, records: i32) -> Result<(), TransactionError> {
        let mut wait = self.sender.wait("the brokers to acknowledge records");
        while self.sender.producer().in_flight_count() > records {
            if let Some(error) = self.sender.reports().take() {
                return Err(error::classify_delivery(error));
            }
            self.check_wait(&wait)?;
            wait.pause().map_err(|_| self.abandoned())?;
        }
        Ok(())
    }

    /// Ends a wait for records that takes longer than each of them may.
    fn check_wait(&self, wait: &SendWait<'_, FirstFailure>) -> Result<(), TransactionError> {
        if wait.waited() > self.timeout() + STUCK_GRACE_MIN {
            return Err(self.no_answer("records were neither acknowledged nor given up"));
        }
        Ok(())
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
                self.sender.producer().release();
                return Ok(());
            }
            self.check_wait(&wait)?;
            wait.flush().map_err(|_| self.abandoned())?;
        }
    }

    /// Aborts the transaction. Returns the error of a producer that cannot.
    pub(super) fn abort(&self) -> Result<Option<KafkaError>> {
        let abort = || self.sender.producer().abort_transaction(CALL_TIMEOUT).map_err(error::classify);
        match self.repeat("the brokers to abort a transaction", abort) {
            Ok(()) => {
                self.sender.producer().release();
                Ok(None)
            }
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
