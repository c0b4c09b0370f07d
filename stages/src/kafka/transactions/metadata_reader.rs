//! Reads a pipeline's commit metadata from the commit topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::commit_topic::commits_gone;
use super::metadata_records::{CompactedView, MetadataRecord};
use crate::kafka::client_log::take_partition_end;
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::error_class::{is_leaderless, is_transient};
use crate::kafka::metadata_client::{self, MetadataClient};
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::topics;

/// How long one poll of the consumer waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);
/// How long one request for watermarks may take.
const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the partition may be without a leader, and the pause between two requests.
const LEADERLESS_TIMEOUT: Duration = Duration::from_secs(120);
const LEADERLESS_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long a read may take before that is reported.
const WAIT_REPORT_DELAY: Duration = Duration::from_secs(2);

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until this number stands under the key.
    Number(u64),
    /// To the end of what is committed now.
    End,
}

/// The key under which a process writes that it runs.
pub(super) fn presence_key(writer: &str) -> String {
    format!(".here/{writer}")
}

/// The key under which a process writes the number of its last transaction.
pub(super) fn last_transaction_key(writer: &str) -> String {
    format!(".last/{writer}")
}

/// A pipeline's commit metadata, as far as the commit topic was read.
pub(super) struct MetadataReader {
    config: ClientConfig,
    pipeline: String,
    partition: TopicPartition,
    pub(super) monitor: Arc<ConnectionMonitor>,
    cancellation: CancellationToken,
    /// How long the transaction of a dead process keeps others waiting, at most.
    timeout: Duration,
    pub(super) view: CompactedView,
    /// The numbers that transactions write about themselves, as they were read: those that were only sent are missing.
    last_numbers: BTreeMap<String, u64>,
    /// The offset to read next.
    next: Option<i64>,
}

impl MetadataReader {
    pub(super) fn new(
        mut config: ClientConfig,
        pipeline: &str,
        partition: TopicPartition,
        (monitor, cancellation): (&Arc<ConnectionMonitor>, &CancellationToken),
        timeout: Duration,
    ) -> MetadataReader {
        config.set("group.id", format!("aqpipe-notes-{pipeline}"));
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest").set("isolation.level", "read_committed");
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "5").set("fetch.queue.backoff.ms", "5");
        let (monitor, cancellation) = (Arc::clone(monitor), cancellation.clone());
        MetadataReader {
            config,
            pipeline: pipeline.to_owned(),
            partition,
            monitor,
            cancellation,
            timeout,
            view: CompactedView::default(),
            last_numbers: BTreeMap::new(),
            next: None,
        }
    }

    /// The number that was read last under a key.
    pub(super) fn last_number(&self, key: &str) -> Option<u64> {
        self.last_numbers.get(key).copied()
    }

    /// Applies the metadata that a transaction of this process has committed, without reading it.
    pub(super) fn apply(&mut self, records: &[MetadataRecord]) {
        for (key, value) in records {
            self.view.apply(&self.pipeline, key.as_bytes(), value.as_deref());
        }
    }

    /// Reads on, as far as `until` says; waits for open transactions of any process in the partition. Returns the numbers
    /// that were read under `key`, and `None` after `timeout`.
    pub(super) fn read(&mut self, key: &str, until: Until, timeout: Option<Duration>) -> Result<Option<Vec<u64>>> {
        let consumer = metadata_client::metadata_client(&self.config, &self.monitor)?;
        self.read_with(&consumer, key, until, timeout)
    }

    fn read_with(
        &mut self,
        consumer: &MetadataClient,
        key: &str,
        until: Until,
        timeout: Option<Duration>,
    ) -> Result<Option<Vec<u64>>> {
        let mut seen = Vec::new();
        let failed = |error| Error::new("the topic of commits cannot be read").because(error);
        let mut from = TopicPartitionList::new();
        // An explicit offset: without one the library takes half a second to find the beginning.
        let (low, high) = self.watermarks(consumer)?;
        let next = Offset::Offset(self.next.unwrap_or(low).max(low));
        from.add_partition_offset(self.partition.topic(), self.partition.partition(), next).map_err(failed)?;
        consumer.assign(&from).map_err(failed)?;
        let began = Instant::now();
        let (mut reported, mut alarmed) = (false, false);
        loop {
            let done = match until {
                Until::Number(number) => self.last_number(key) == Some(number),
                Until::End => high <= self.next.unwrap_or(low),
            };
            if done {
                self.monitor.metrics.waiting("commits", None);
                return Ok(Some(seen));
            }
            if self.cancellation.is_abandoned() {
                return Err(Error::new("stopped while reading the topic of commits"));
            }
            let waited = began.elapsed();
            if timeout.is_some_and(|timeout| waited > timeout) {
                return Ok(None);
            }
            if waited > WAIT_REPORT_DELAY && !reported {
                reported = true;
                let what = "transactions of processes that died or are frozen to be settled by the brokers";
                self.monitor.metrics.waiting("commits", Some(what.to_owned()));
            }
            if waited > self.timeout && !alarmed {
                alarmed = true;
                alarm_open_transaction(&self.monitor, &format!("topic {}", self.partition.topic()), self.timeout);
            }
            match consumer.poll(POLL_TIMEOUT) {
                None => {}
                Some(Ok(message)) => {
                    self.next = Some(message.offset() + 1);
                    let key_of = message.key().unwrap_or_default();
                    if let Some(changed) = self.view.apply(&self.pipeline, key_of, message.payload())
                        && let Some(number) = self.view.transaction_number(changed)
                    {
                        self.last_numbers.insert(changed.to_owned(), number);
                        if changed == key {
                            seen.push(number);
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    // Markers of transactions may lie behind the last record.
                    let end = take_partition_end().and_then(|end| i64::try_from(end).ok());
                    self.next = end.max(self.next);
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if is_transient(code) => self.monitor.failed(&error),
                    // The client is no member of the group that it names, and needs no right to it.
                    Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                    _ if topics::is_missing(consumer.client(), self.partition.topic()) => {
                        return Err(commits_gone(self.partition.topic()));
                    }
                    _ => return Err(failed(error)),
                },
            }
        }
    }

    /// The offsets at which the committed records begin and end.
    fn watermarks(&self, consumer: &MetadataClient) -> Result<(i64, i64)> {
        let began = Instant::now();
        let mut missing: Option<Instant> = None;
        loop {
            match metadata_client::watermarks(
                consumer,
                self.partition.topic(),
                self.partition.partition(),
                WATERMARKS_TIMEOUT,
            ) {
                Ok(found) => return Ok(found),
                Err(error) if is_leaderless(&error) && began.elapsed() < LEADERLESS_TIMEOUT => {
                    if !topics::is_missing(consumer.client(), self.partition.topic()) {
                        missing = None;
                    } else if missing.get_or_insert_with(Instant::now).elapsed() >= topics::MISSING_TOPIC_TIMEOUT {
                        return Err(commits_gone(self.partition.topic()));
                    }
                    self.monitor.failed(&error);
                }
                Err(error) => return Err(Error::new("the topic of commits cannot be read").because(error)),
            }
            if self.cancellation.is_abandoned() {
                return Err(Error::new("stopped while reading the topic of commits"));
            }
            std::thread::sleep(LEADERLESS_RETRY_PAUSE);
        }
    }
}

/// Raises an alarm about a wait that is longer than any transaction may last.
pub(crate) fn alarm_open_transaction(monitor: &ConnectionMonitor, what: &str, waited: Duration) {
    let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
    tracing::error!(
        pipeline,
        stage,
        "a transaction on {what} is still open after {} s, longer than brokers let one last. A single broker that was \
         killed right after a commit can lose what ended it (KAFKA-20734): do not undo anything by hand; keep three \
         copies of each record to be safe from it",
        waited.as_secs()
    );
}
