//! The transactions that the Kafka stages of a pipeline share, and how they become its commit log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqpipe_engine::stage::{BuildContext, CommitMetadata, OpenOutcome, TransactionalBackend};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::metadata_reader::{MetadataReader, Until};
use super::metadata_records::{self, COMMIT_TOPIC_PARTITIONS};
use super::options::TransactionOptions;
use super::producer::TransactionalProducer;
use super::record_buffer::MemoryBudget;
use super::session::{TRANSACTION_SCAN_INTERVAL, TransactionSession};
use crate::kafka::EmbeddedBroker;
use crate::kafka::client::{self, Connection, ConnectionMonitor};
use crate::kafka::producer::{RECORD_FRAMING_BYTES, REQUEST_BYTES_DEFAULT};
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::topics::{self, CreateTopic};

/// Copies of each record of a commit topic that aqpipe creates, where there are so many brokers.
const COMMIT_TOPIC_REPLICATION: usize = 3;
/// Bytes of a segment of the commit topic. Only segments before the last one are compacted, so it is small.
const COMMIT_TOPIC_SEGMENT_BYTES: &str = "16777216";

/// The role of a stage in transactions. The first of a pipeline's stages configures the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParticipantKind {
    Sink,
    DeadLetter,
    Source,
}

/// A stage that can be part of transactions.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) kind: ParticipantKind,
    /// Its name in messages.
    pub(crate) stage: Arc<str>,
    pub(crate) connection: Connection,
    /// Properties of the producer that follow from the stage's options.
    pub(crate) producer_properties: BTreeMap<&'static str, String>,
    /// The topic that it writes, and how that is created where it is missing.
    pub(crate) output_topic: Option<(String, Option<CreateTopic>)>,
    pub(crate) options: Option<TransactionOptions>,
}

/// The transactions of a pipeline, which its Kafka stages share.
pub(crate) struct TransactionManager {
    participants: Mutex<Vec<Participant>>,
    monitor: Arc<ConnectionMonitor>,
    embedded: Option<Arc<EmbeddedBroker>>,
    is_abandoned: Arc<AtomicBool>,
    pub(crate) budget: Arc<MemoryBudget>,
    /// The most bytes of a record, by topic; absent until transactions decide commits.
    record_bytes_max: Mutex<Option<HashMap<String, usize>>>,
}

impl TransactionManager {
    /// Adds a stage to the manager of its pipeline, and returns the manager.
    pub(crate) fn join(cx: &BuildContext, participants: Participant) -> Arc<TransactionManager> {
        let transaction_manager = cx.pipeline_extensions().get_or_put(|| TransactionManager {
            participants: Mutex::default(),
            monitor: Arc::new(ConnectionMonitor::new(&cx.for_stage("transactions"))),
            embedded: cx.process_extensions().get::<EmbeddedBroker>(),
            is_abandoned: Arc::default(),
            budget: Arc::default(),
            record_bytes_max: Mutex::default(),
        });
        transaction_manager.monitor.limit_connect_time(participants.connection.connect_timeout);
        transaction_manager.participants.lock().push(participants);
        transaction_manager
    }

    /// The most bytes of key, value and headers of a record that a topic takes; `None` unless transactions decide commits.
    pub(crate) fn record_bytes_max(&self, topic: &str) -> Option<usize> {
        let record_bytes_max = self.record_bytes_max.lock();
        record_bytes_max
            .as_ref()
            .map(|topics| topics.get(topic).copied().unwrap_or(REQUEST_BYTES_DEFAULT - RECORD_FRAMING_BYTES))
    }

    pub(crate) fn is_abandoned(&self) -> &AtomicBool {
        &self.is_abandoned
    }

    /// How long a transaction can stay open before brokers abort it. One that is still open then is worth an alarm.
    pub(crate) fn open_transaction_timeout(&self) -> Duration {
        Duration::from_secs(self.options().0.timeout_secs.into()) + TRANSACTION_SCAN_INTERVAL
    }

    /// The options, and whether two stages have different ones.
    fn options(&self) -> (TransactionOptions, bool) {
        let participants = self.participants.lock();
        let mut asked: Vec<(ParticipantKind, &TransactionOptions)> =
            participants.iter().filter_map(|one| Some((one.kind, one.options.as_ref()?))).collect();
        asked.sort_by_key(|(kind, _)| *kind);
        let differ = asked.iter().any(|(_, options)| *options != asked[0].1);
        (asked.first().map(|(_, options)| (*options).clone()).unwrap_or_default(), differ)
    }

    fn leader(&self) -> Result<Participant> {
        let leader = self.participants.lock().iter().min_by_key(|one| one.kind).cloned();
        leader.ok_or_else(|| Error::bug("transactions that no stage has joined"))
    }

    /// The id of the cluster that all stages use and the number of its brokers; else why they cannot share transactions.
    fn cluster(&self) -> Result<Result<(String, usize), String>> {
        let participants = self.participants.lock().clone();
        let mut known: Option<(String, String, usize)> = None;
        for one in &participants {
            if known.as_ref().is_some_and(|(brokers, ..)| *brokers == one.connection.brokers) {
                continue;
            }
            let metadata_client = client::metadata_client(&one.connection.common(), &self.monitor)?;
            let (id, brokers) = topics::await_cluster(&metadata_client, &self.monitor, &self.is_abandoned)?;
            match &known {
                Some((other, cluster, _)) if *cluster != id => {
                    return Ok(Err(format!(
                        "{other} is cluster {cluster} and {} is cluster {id}, and no transaction spans two",
                        one.connection.brokers
                    )));
                }
                Some(_) => {}
                None => known = Some((one.connection.brokers.clone(), id, brokers)),
            }
        }
        known.map(|(_, id, brokers)| Ok((id, brokers))).ok_or_else(|| Error::bug("transactions without a stage"))
    }

    /// Ensures that the commit topic exists; returns why it cannot.
    fn ensure_commit_topic(
        &self,
        common: &ClientConfig,
        options: &TransactionOptions,
        brokers: usize,
    ) -> Result<Option<String>> {
        let metadata_client = client::metadata_client(common, &self.monitor)?;
        let topic = &options.topic;
        let stopping = || {
            // A poll delivers the errors of the client.
            let _ = metadata_client.poll(Duration::ZERO);
            self.is_abandoned.load(Ordering::SeqCst)
        };
        match topics::await_topic(metadata_client.client(), &self.monitor, topic, true, &stopping)? {
            topics::TopicWait::Stopped => return Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
            topics::TopicWait::Found(_) => {}
            topics::TopicWait::Missing => {
                let copies = i32::try_from(brokers.clamp(1, COMMIT_TOPIC_REPLICATION)).unwrap_or(1);
                let replication = options.replication.unwrap_or(copies);
                let set = [("cleanup.policy", "compact"), ("segment.bytes", COMMIT_TOPIC_SEGMENT_BYTES)];
                let how = CreateTopic { partitions: COMMIT_TOPIC_PARTITIONS, replication };
                if let Err(error) = topics::create(common, topic, how, &set) {
                    return Ok(Some(format!("there is no topic `{topic}` to note commits in, and {error}")));
                }
                tracing::info!(pipeline = &*self.monitor.pipeline, "created topic `{topic}` for commits");
            }
        }
        Ok(None)
    }

    /// The partition that holds the pipeline's commit metadata.
    fn commit_partition(
        &self,
        common: &ClientConfig,
        topic: &str,
        pipeline: &str,
        make: bool,
    ) -> Result<Option<TopicPartition>> {
        let metadata_client = client::metadata_client(common, &self.monitor)?;
        let stopping = || {
            // A poll delivers the errors of the client.
            let _ = metadata_client.poll(Duration::ZERO);
            self.is_abandoned.load(Ordering::SeqCst)
        };
        match topics::await_topic(metadata_client.client(), &self.monitor, topic, !make, &stopping)? {
            topics::TopicWait::Found(partitions) => {
                let partition = metadata_records::metadata_partition(pipeline, partitions);
                Ok(Some(TopicPartition::new(topic, partition)))
            }
            topics::TopicWait::Missing => Ok(None),
            topics::TopicWait::Stopped => Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
        }
    }

    /// The producer's configuration, and the largest record of each topic that is written.
    fn producer(
        leader: &Participant,
        options: &TransactionOptions,
        limits: Vec<(String, Option<usize>)>,
    ) -> (ClientConfig, HashMap<String, usize>) {
        let mut config = leader.connection.common();
        config.set("partitioner", "murmur2_random");
        config.set("queue.buffering.max.messages", "0");
        config.set("compression.codec", "lz4");
        // After a commit the brokers are busy with it for a moment; the default asks again after 100 ms.
        config.set("retry.backoff.ms", "5").set("retry.backoff.max.ms", "1000");
        if let Some(most) =
            limits.iter().filter_map(|(_, limit)| *limit).max().filter(|most| *most > REQUEST_BYTES_DEFAULT)
        {
            // What a topic takes should not fail at a default of the client.
            config.set("message.max.bytes", most.to_string());
        }
        for (name, value) in &leader.producer_properties {
            config.set(*name, value);
        }
        if leader.kind != ParticipantKind::Source {
            leader.connection.properties.apply(&mut config);
        }
        // All that a transaction sends is there when it begins, so that nothing is to be waited for.
        config.set("linger.ms", "0");
        config.set("transaction.timeout.ms", (u64::from(options.timeout_secs) * 1_000).to_string());
        let open_transaction_timeout = u64::from(options.timeout_secs) * 1_000;
        if config
            .get("socket.timeout.ms")
            .and_then(|text| text.parse().ok())
            .is_some_and(|asked: u64| asked > open_transaction_timeout)
        {
            // The library takes no longer one beside transactions.
            config.set("socket.timeout.ms", open_transaction_timeout.to_string());
        }
        let number =
            |name: &str, default: usize| config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let request = number("message.max.bytes", REQUEST_BYTES_DEFAULT);
        // A batch that a topic refuses fails all its records, the small ones too.
        let least = limits.iter().filter_map(|(_, limit)| *limit).min().unwrap_or(usize::MAX);
        let batch = number("batch.size", 1_000_000).min(least);
        let record_bytes_max =
            |limit: Option<usize>| request.min(limit.unwrap_or(usize::MAX)).saturating_sub(RECORD_FRAMING_BYTES);
        let limits = limits.into_iter().map(|(topic, limit)| (topic, record_bytes_max(limit))).collect();
        config.set("batch.size", batch.to_string());
        (config, limits)
    }

    /// Opens a session, once all output topics exist. Only rights to the commit topic can still be missing.
    fn open_session(
        &self,
        leader: &Participant,
        options: &TransactionOptions,
        brokers: usize,
        (pipeline, writer, cluster): (&str, &str, String),
    ) -> Result<OpenOutcome> {
        let common = leader.connection.common();
        let participants = self.participants.lock().clone();
        if let Some(reason) = self.ensure_commit_topic(&common, options, brokers)? {
            return Ok(OpenOutcome::Unsupported(reason));
        }
        let Some(commit_partition) = self.commit_partition(&common, &options.topic, pipeline, true)? else {
            return Err(topics::no_topic(&leader.connection.brokers, &options.topic, false));
        };
        let written: Vec<&str> = participants.iter().filter_map(|one| Some(&*one.output_topic.as_ref()?.0)).collect();
        let all: Vec<&str> = written.iter().copied().chain([&*options.topic]).collect();
        let settings = topics::settings(&common, &all);
        let setting = |topic: &str, name: &str| settings.get(topic).and_then(|topic| topic.get(name).cloned());
        if let Some(policy) = setting(&options.topic, "cleanup.policy").filter(|policy| forgets(policy)) {
            let message = format!(
                "the topic of commits, `{}`, would forget commits: its `cleanup.policy` is `{policy}`, and it has to be \
                 `compact`",
                options.topic
            );
            return Err(Error::config(message)
                .help("set its `cleanup.policy` to `compact`, or name another topic in `transactions`"));
        }
        let limit =
            |topic: &&str| (topic.to_string(), setting(topic, "max.message.bytes").and_then(|n| n.parse().ok()));
        let (config, record_bytes_max) =
            TransactionManager::producer(leader, options, written.iter().map(limit).collect());
        let (monitor, is_abandoned) = (Arc::clone(&self.monitor), Arc::clone(&self.is_abandoned));
        let (name, at) = (pipeline.to_owned(), commit_partition.clone());
        let timeout = Duration::from_secs(options.timeout_secs.into());
        let producer_of = move |writer: &str| {
            let id = transactional_id(&name, writer);
            let mut config = config.clone();
            config.set("transactional.id", &id);
            TransactionalProducer::new(config, id, at.clone(), (&monitor, &is_abandoned), timeout)
        };
        let producer = producer_of(writer)?;
        if let Some(error) = producer.init()? {
            return Ok(OpenOutcome::Unsupported(format!("the user has no right to transactions ({error})")));
        }
        let metadata_reader = MetadataReader::new(
            common,
            pipeline,
            commit_partition,
            (&self.monitor, &self.is_abandoned),
            timeout + TRANSACTION_SCAN_INTERVAL,
        );
        let mut session = TransactionSession::new(
            (producer, metadata_reader),
            (pipeline, writer, cluster),
            timeout,
            Box::new(producer_of),
        );
        session.start()?;
        *self.record_bytes_max.lock() = Some(record_bytes_max);
        Ok(OpenOutcome::Open(Box::new(session)))
    }
}

/// Whether a topic with that `cleanup.policy` drops old records, even the last one of a key.
fn forgets(policy: &str) -> bool {
    policy.split(',').map(str::trim).ne(["compact"])
}

/// Whether an error says that a right to a topic is missing.
fn is_topic_denied(error: &Error) -> bool {
    let code = error.cause::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    code == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// The transactional id of a writer; that of the pipeline where only one process runs it.
fn transactional_id(pipeline: &str, writer: &str) -> String {
    // No name contains a slash, so that no two of them make the same id.
    if writer.is_empty() { format!("aqpipe.{pipeline}") } else { format!("aqpipe.{pipeline}/{writer}") }
}

impl TransactionalBackend for TransactionManager {
    fn open(&self, pipeline: &str, writer: &str) -> Result<OpenOutcome> {
        if self.embedded.is_some() {
            return Ok(OpenOutcome::Unsupported("the embedded broker has no transactions".to_owned()));
        }
        let (options, differ) = self.options();
        if differ {
            return Err(Error::config("the stages have different `transactions`, and their commits are one")
                .help("say it once, in the sink or else in the source"));
        }
        let participants = self.participants.lock().clone();
        if let Some(one) =
            participants.iter().find(|one| one.output_topic.as_ref().is_some_and(|(topic, _)| *topic == options.topic))
        {
            return Err(Error::config(format!("`{}` is the topic in which commits are noted", options.topic))
                .in_stage(&*one.stage)
                .help("write to another one, or name another one in `transactions`"));
        }
        let (cluster, brokers) = match self.cluster()? {
            Ok(found) => found,
            Err(reason) => return Ok(OpenOutcome::Unsupported(reason)),
        };
        let leader = self.leader()?;
        for (one, (topic, create)) in participants.iter().filter_map(|one| Some((one, one.output_topic.as_ref()?))) {
            topics::ensure(&one.connection.common(), &self.monitor, topic, *create, &self.is_abandoned)
                .map_err(|error| error.in_stage(&*one.stage))?;
        }
        match self.open_session(&leader, &options, brokers, (pipeline, writer, cluster)) {
            Err(error) if is_topic_denied(&error) => Ok(OpenOutcome::Unsupported(format!(
                "the user may not describe, read and write topic `{}`, in which commits are noted ({error})",
                options.topic
            ))),
            entered => entered,
        }
    }

    fn peek(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>> {
        let (options, _) = self.options();
        let Ok((cluster, _)) = self.cluster()? else { return Ok(None) };
        let common = self.leader()?.connection.common();
        let Some(commit_partition) = self.commit_partition(&common, &options.topic, pipeline, false)? else {
            return Ok(None);
        };
        let mut metadata_reader = MetadataReader::new(
            common,
            pipeline,
            commit_partition,
            (&self.monitor, &self.is_abandoned),
            self.open_transaction_timeout(),
        );
        metadata_reader.read("", Until::End, None)?;
        Ok(Some((cluster, metadata_reader.view.into_metadata())))
    }

    fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_drops_what_is_old_forgets_though_it_is_compacted_as_well() {
        assert!(!forgets("compact"));
        for policy in ["delete", "compact,delete", "delete, compact", ""] {
            assert!(forgets(policy), "{policy}");
        }
    }
}
