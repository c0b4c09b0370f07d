//! Reads a pipeline's notes from the topic of commits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::notes::{Record, Shelf};
use super::producer::{Place, commits_gone};
use crate::kafka::client::{self, Looker, Watch};
use crate::kafka::topics;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(50);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long nobody may lead the partition, and the pause between two looks.
const LEADERLESS: Duration = Duration::from_secs(120);
const LEADERLESS_PAUSE: Duration = Duration::from_millis(200);
/// How long the end of the topic may stay out of reach before that is worth a word.
const QUIET: Duration = Duration::from_secs(2);

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until this number is noted under the key.
    Number(u64),
    /// To the end of what is decided now.
    End,
}

/// The key under which a process notes that it is there, and under which it notes its last transaction.
pub(super) fn here_key(writer: &str) -> String {
    format!(".here/{writer}")
}

pub(super) fn number_key(writer: &str) -> String {
    format!(".last/{writer}")
}

/// What is known of a pipeline's notes, and how far the topic was read.
pub(super) struct Reader {
    config: ClientConfig,
    pipeline: String,
    place: Place,
    pub(super) watch: Arc<Watch>,
    given_up: Arc<AtomicBool>,
    /// What a transaction whose process has died keeps others waiting for, at most.
    timeout: Duration,
    pub(super) shelf: Shelf,
    /// The numbers that the transactions note of themselves, as they were read: what was only sent is not among them.
    found: BTreeMap<String, u64>,
    /// Where to read on.
    next: Option<i64>,
}

impl Reader {
    pub(super) fn new(
        mut config: ClientConfig,
        pipeline: &str,
        place: Place,
        (watch, given_up): (&Arc<Watch>, &Arc<AtomicBool>),
        timeout: Duration,
    ) -> Reader {
        config.set("group.id", format!("aqpipe-notes-{pipeline}"));
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "earliest").set("isolation.level", "read_committed");
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50").set("fetch.queue.backoff.ms", "10");
        let (watch, given_up) = (Arc::clone(watch), Arc::clone(given_up));
        Reader {
            config,
            pipeline: pipeline.to_owned(),
            place,
            watch,
            given_up,
            timeout,
            shelf: Shelf::default(),
            found: BTreeMap::new(),
            next: None,
        }
    }

    /// The number that was read last under a key.
    pub(super) fn found(&self, key: &str) -> Option<u64> {
        self.found.get(key).copied()
    }

    /// Knows what a transaction of this process has noted, without reading it.
    pub(super) fn put(&mut self, records: &[Record]) {
        for (key, value) in records {
            self.shelf.take(&self.pipeline, key.as_bytes(), value.as_deref());
        }
    }

    /// Reads on, as far as `until` says; an open transaction of anybody in the partition is waited for, `most` long.
    /// Returns the numbers that were noted under `key` meanwhile, and nothing where the wait was too long.
    pub(super) fn read(&mut self, key: &str, until: Until, most: Option<Duration>) -> Result<Option<Vec<u64>>> {
        let mut seen = Vec::new();
        let failed = |error| Error::new("the topic of commits cannot be read").because(error);
        let consumer = client::looker(&self.config, &self.watch)?;
        let mut from = TopicPartitionList::new();
        // An explicit offset: looking for the beginning by itself costs the library half a second.
        let (low, high) = self.watermarks(&consumer)?;
        let next = Offset::Offset(self.next.unwrap_or(low).max(low));
        from.add_partition_offset(&self.place.topic, self.place.partition, next).map_err(failed)?;
        consumer.assign(&from).map_err(failed)?;
        let began = Instant::now();
        let (mut told, mut alarmed) = (false, false);
        loop {
            let done = match until {
                Until::Number(number) => self.found(key) == Some(number),
                Until::End => high <= self.next.unwrap_or(low),
            };
            if done {
                self.watch.metrics.waiting("commits", None);
                return Ok(Some(seen));
            }
            if self.given_up.load(Ordering::SeqCst) {
                return Err(Error::new("stopped while reading the topic of commits"));
            }
            let waited = began.elapsed();
            if most.is_some_and(|most| waited > most) {
                return Ok(None);
            }
            if waited > QUIET && !told {
                told = true;
                let what = "transactions of processes that died or are frozen to be settled by the brokers";
                self.watch.metrics.waiting("commits", Some(what.to_owned()));
            }
            if waited > self.timeout && !alarmed {
                alarmed = true;
                alarm(&self.watch, &format!("topic {}", self.place.topic), self.timeout);
            }
            match consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    self.next = Some(message.offset() + 1);
                    let key_of = message.key().unwrap_or_default();
                    if let Some(changed) = self.shelf.take(&self.pipeline, key_of, message.payload())
                        && let Some(number) = self.shelf.own(changed)
                    {
                        self.found.insert(changed.to_owned(), number);
                        if changed == key {
                            seen.push(number);
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    // Behind the last record may lie markers of transactions, which are passed as well.
                    let end = client::take_partition_end().and_then(|end| i64::try_from(end).ok());
                    self.next = end.max(self.next);
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if client::passes(code) => self.watch.trouble_of(&error),
                    // It is no member of the group that it names, and needs no right to it.
                    Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                    _ if topics::is_missing(consumer.client(), &self.place.topic) => {
                        return Err(commits_gone(&self.place.topic));
                    }
                    _ => return Err(failed(error)),
                },
            }
        }
    }

    /// Where the records begin, and where those end that are decided.
    fn watermarks(&self, consumer: &BaseConsumer<Looker>) -> Result<(i64, i64)> {
        let began = Instant::now();
        let mut missing: Option<Instant> = None;
        loop {
            match client::watermarks(consumer, &self.place.topic, self.place.partition, ANSWER) {
                Ok(found) => return Ok(found),
                Err(error) if client::is_leaderless(&error) && began.elapsed() < LEADERLESS => {
                    if !topics::is_missing(consumer.client(), &self.place.topic) {
                        missing = None;
                    } else if missing.get_or_insert_with(Instant::now).elapsed() >= topics::MISSING {
                        return Err(commits_gone(&self.place.topic));
                    }
                    self.watch.trouble_of(&error);
                }
                Err(error) => return Err(Error::new("the topic of commits cannot be read").because(error)),
            }
            if self.given_up.load(Ordering::SeqCst) {
                return Err(Error::new("stopped while reading the topic of commits"));
            }
            std::thread::sleep(LEADERLESS_PAUSE);
        }
    }
}

/// Says aloud what a wait means that is longer than any transaction lasts.
pub(crate) fn alarm(watch: &Watch, what: &str, waited: Duration) {
    let (pipeline, stage) = (&*watch.pipeline, &*watch.stage);
    tracing::error!(
        pipeline,
        stage,
        "a transaction on {what} is still open after {} s, longer than brokers let one last. A single broker that was \
         killed right after a commit can lose what ended it (KAFKA-20734): do not undo anything by hand; keep three \
         copies of each record to be safe from it",
        waited.as_secs()
    );
}
