//! The transactions that the Kafka stages of a pipeline share, and how they become its commit log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::stage::{BuildContext, CommitMetadata, OpenOutcome, TransactionalBackend};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::commit_topic::CommitTopic;
use super::metadata_reader::{MetadataReader, Until};
use super::options::TransactionOptions;
use super::participant::{Participant, ParticipantKind};
use super::producer::TransactionalProducer;
use super::record_buffer::MemoryBudget;
use super::session::{MakeProducer, TRANSACTION_SCAN_INTERVAL, TransactionSession};
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::endpoint::KafkaEndpoint;
use crate::kafka::metadata_client::MetadataClient;
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::{producer_config, topics};

/// The transactions of a pipeline, which its Kafka stages share.
pub(crate) struct TransactionManager {
    participants: Mutex<Vec<Participant>>,
    monitor: Arc<ConnectionMonitor>,
    cancellation: CancellationToken,
    pub(crate) budget: Arc<MemoryBudget>,
    /// The clients that look at clusters while transactions are opened, one for each way to connect.
    lookers: Mutex<Vec<(KafkaEndpoint, Arc<MetadataClient>)>>,
    /// The most bytes of a record, by topic; absent until transactions decide commits.
    record_bytes_max: Mutex<Option<HashMap<String, usize>>>,
}

impl TransactionManager {
    /// Adds a stage to the manager of its pipeline, and returns the manager.
    pub(crate) fn join(cx: &BuildContext, participant: Participant) -> Arc<TransactionManager> {
        // Before the extensions are locked, which it looks into.
        let monitor = participant.endpoint.monitor(&cx.for_stage("transactions"));
        let manager = cx.pipeline_extensions().get_or_put(|| TransactionManager {
            participants: Mutex::default(),
            monitor: Arc::new(monitor),
            cancellation: cx.cancellation().clone(),
            budget: Arc::default(),
            lookers: Mutex::default(),
            record_bytes_max: Mutex::default(),
        });
        manager.monitor.limit_connect_time(participant.endpoint.connect_timeout());
        manager.participants.lock().push(participant);
        manager
    }

    /// The most bytes of key, value and headers of a record that a topic takes; `None` unless transactions decide commits.
    pub(crate) fn record_bytes_max(&self, topic: &str) -> Option<usize> {
        let topics = self.record_bytes_max.lock();
        topics.as_ref().map(|topics| match topics.get(topic) {
            Some(bytes) => *bytes,
            None => producer_config::record_bytes_max_default(),
        })
    }

    /// Counts bytes of output.
    pub(crate) fn count_written(&self, bytes: u64) {
        self.monitor.metrics.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the waits of its run.
    pub(crate) fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
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

    /// A client that looks at the cluster of an endpoint.
    fn looker(&self, endpoint: &KafkaEndpoint) -> Result<Arc<MetadataClient>> {
        let mut lookers = self.lookers.lock();
        if let Some((_, client)) = lookers.iter().find(|(known, _)| known.connects_as(endpoint)) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(endpoint.metadata_client(&self.monitor)?);
        lookers.push((endpoint.clone(), Arc::clone(&client)));
        Ok(client)
    }

    /// The id of the cluster that all stages use and the number of its brokers; else why they cannot share transactions.
    fn cluster(&self) -> Result<Result<(String, usize), String>> {
        let participants = self.participants.lock().clone();
        let mut known: Option<(&str, String, usize)> = None;
        for Participant { endpoint, .. } in &participants {
            if known.as_ref().is_some_and(|(brokers, ..)| *brokers == endpoint.brokers()) {
                continue;
            }
            let client = self.looker(endpoint)?;
            let (id, count) = topics::await_cluster(&client, &self.monitor, &self.cancellation)?;
            match &known {
                Some((other, cluster, _)) if *cluster != id => {
                    return Ok(Err(format!(
                        "{other} is cluster {cluster} and {} is cluster {id}, and no transaction spans two",
                        endpoint.brokers()
                    )));
                }
                Some(_) => {}
                None => known = Some((endpoint.brokers(), id, count)),
            }
        }
        known.map(|(_, id, count)| Ok((id, count))).ok_or_else(|| Error::bug("transactions without a stage"))
    }

    fn commit_topic<'a>(
        &'a self,
        (client, config): (&'a MetadataClient, &'a ClientConfig),
        options: &'a TransactionOptions,
    ) -> CommitTopic<'a> {
        CommitTopic { client, config, options, monitor: &self.monitor, cancellation: &self.cancellation }
    }

    fn metadata_reader(
        &self,
        config: ClientConfig,
        pipeline: &str,
        partition: TopicPartition,
        options: &TransactionOptions,
    ) -> MetadataReader {
        let timeout = Duration::from_secs(options.timeout_secs.into()) + TRANSACTION_SCAN_INTERVAL;
        MetadataReader::new(config, pipeline, partition, (&self.monitor, &self.cancellation), timeout)
    }

    /// Opens a session, once all output topics exist. Only rights to the commit topic can still be missing.
    fn open_session(
        &self,
        leader: &Participant,
        options: &TransactionOptions,
        (brokers, partitions): (usize, HashMap<String, usize>),
        (pipeline, writer, cluster): (&str, &str, String),
    ) -> Result<OpenOutcome> {
        let (client, config) = (self.looker(&leader.endpoint)?, leader.endpoint.client_config());
        let commit_topic = self.commit_topic((&client, &config), options);
        if let Some(reason) = commit_topic.ensure(brokers)? {
            return Ok(OpenOutcome::Unsupported(reason));
        }
        let Some(partition) = commit_topic.partition_of(pipeline, true)? else {
            return Err(topics::no_topic(leader.endpoint.brokers(), &options.topic, false));
        };
        let outputs: Vec<String> =
            self.participants.lock().iter().filter_map(|one| Some(one.output_topic.as_ref()?.0.clone())).collect();
        let all: Vec<&str> = outputs.iter().chain([&options.topic]).map(String::as_str).collect();
        let settings = topics::settings(&client, &all);
        let setting = |topic: &str, name: &str| settings.get(topic).and_then(|topic| topic.get(name));
        if let Some(policy) = setting(&options.topic, "cleanup.policy") {
            commit_topic.check_policy(policy)?;
        }
        let batch_bytes_max = |topic: &str| setting(topic, "max.message.bytes").and_then(|bytes| bytes.parse().ok());
        let outputs: Vec<(String, Option<usize>)> =
            outputs.iter().map(|topic| (topic.clone(), batch_bytes_max(topic))).collect();
        let (producer_config, record_bytes_max) = leader.producer_config(options, &outputs);
        let make_producer = self.make_producer((producer_config, Arc::new(partitions)), pipeline, &partition, options);
        let producer = make_producer(writer)?;
        if let Some(error) = producer.init()? {
            return Ok(OpenOutcome::Unsupported(format!("the user has no right to transactions ({error})")));
        }
        let reader = self.metadata_reader(config, pipeline, partition, options);
        let mut session = TransactionSession::new((producer, reader), (pipeline, writer, cluster), make_producer);
        session.start()?;
        *self.record_bytes_max.lock() = Some(record_bytes_max);
        Ok(OpenOutcome::Open(Box::new(session)))
    }

    /// Makes the transactional producer of any writer of the pipeline.
    fn make_producer(
        &self,
        (config, partitions): (ClientConfig, Arc<HashMap<String, usize>>),
        pipeline: &str,
        partition: &TopicPartition,
        options: &TransactionOptions,
    ) -> MakeProducer {
        let (monitor, cancellation) = (Arc::clone(&self.monitor), self.cancellation.clone());
        let (pipeline, partition) = (pipeline.to_owned(), partition.clone());
        let timeout = Duration::from_secs(options.timeout_secs.into());
        Box::new(move |writer| {
            let id = transactional_id(&pipeline, writer);
            let mut config = config.clone();
            config.set("transactional.id", &id);
            let topics = (partition.clone(), Arc::clone(&partitions));
            TransactionalProducer::new(config, id, topics, (&monitor, &cancellation), timeout)
        })
    }
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
        let opened = self.open_as(pipeline, writer);
        self.lookers.lock().clear();
        opened
    }

    fn peek(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>> {
        let seen = self.peek_at(pipeline);
        self.lookers.lock().clear();
        seen
    }
}

impl TransactionManager {
    fn open_as(&self, pipeline: &str, writer: &str) -> Result<OpenOutcome> {
        let participants = self.participants.lock().clone();
        if participants.iter().any(|one| !one.endpoint.has_transactions()) {
            return Ok(OpenOutcome::Unsupported("the embedded broker has no transactions".to_owned()));
        }
        let (options, differ) = self.options();
        if differ {
            return Err(Error::config("the stages have different `transactions`, and their commits are one")
                .help("say it once, in the sink or else in the source"));
        }
        let writes_commits = |one: &&Participant| one.output_topic.as_ref().is_some_and(|it| it.0 == options.topic);
        if let Some(one) = participants.iter().find(writes_commits) {
            return Err(Error::config(format!("`{}` is the topic in which commits are noted", options.topic))
                .in_stage(&*one.stage)
                .help("write to another one, or name another one in `transactions`"));
        }
        let (cluster, brokers) = match self.cluster()? {
            Ok(found) => found,
            Err(reason) => return Ok(OpenOutcome::Unsupported(reason)),
        };
        let mut partitions = HashMap::new();
        for (one, (topic, create)) in participants.iter().filter_map(|one| Some((one, one.output_topic.as_ref()?))) {
            let client = self.looker(&one.endpoint)?;
            let found = one.endpoint.ensure_topic(&client, &self.monitor, topic, *create, &self.cancellation);
            let found = found.map_err(|error| error.in_stage(&*one.stage))?;
            partitions.insert(topic.clone(), found.unwrap_or(1));
        }
        match self.open_session(&self.leader()?, &options, (brokers, partitions), (pipeline, writer, cluster)) {
            Err(error) if is_topic_denied(&error) => Ok(OpenOutcome::Unsupported(format!(
                "the user may not describe, read and write topic `{}`, in which commits are noted ({error})",
                options.topic
            ))),
            opened => opened,
        }
    }

    fn peek_at(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>> {
        let (options, _) = self.options();
        let Ok((cluster, _)) = self.cluster()? else { return Ok(None) };
        let leader = self.leader()?;
        let (client, config) = (self.looker(&leader.endpoint)?, leader.endpoint.client_config());
        let partition = self.commit_topic((&client, &config), &options).partition_of(pipeline, false)?;
        let Some(partition) = partition else { return Ok(None) };
        let mut reader = self.metadata_reader(config, pipeline, partition, &options);
        reader.read("", Until::End, None)?;
        Ok(Some((cluster, reader.view.into_metadata())))
    }
}
