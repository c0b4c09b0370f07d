//! The Kafka client: reads cluster metadata and creates topics.

use std::time::Duration;

use aqpipe_engine::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long a request to a broker on this machine may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs at debug level: librdkafka warns about brokers that are still starting.
struct DebugLogContext;

impl ClientContext for DebugLogContext {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "{reason}");
    }
}

/// A connection to a cluster.
pub(crate) struct Client(AdminClient<DebugLogContext>);

/// The metadata of a cluster at one moment.
#[derive(Debug)]
pub(crate) struct ClusterMetadata {
    pub(crate) cluster_id: Option<String>,
    /// The ids of the registered brokers.
    pub(crate) brokers: Vec<i32>,
    pub(crate) topics: Vec<Topic>,
}

/// A topic in the metadata.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: usize,
    /// Whether every partition can be written and read.
    pub(crate) ready: bool,
}

impl Client {
    pub(crate) fn new(bootstrap: &str) -> Result<Client> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "aqpipe-kafka")
            // A starting broker refuses connections for a while.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "250");
        let client = AdminClient::from_config_and_context(&config, DebugLogContext);
        client.map(Client).map_err(|error| Error::new("cannot make a Kafka client").because(error))
    }

    pub(crate) fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        let client = self.0.inner();
        // Asking for one topic by name would create it.
        let metadata = client.fetch_metadata(None, REQUEST_TIMEOUT)?;
        let topics = metadata.topics().iter().map(|topic| Topic {
            name: topic.name().to_owned(),
            partitions: topic.partitions().len(),
            ready: topic.error().is_none() && topic.partitions().iter().all(|partition| partition.leader() >= 0),
        });
        let mut topics: Vec<Topic> = topics.collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ClusterMetadata {
            cluster_id: client.fetch_cluster_id(REQUEST_TIMEOUT),
            brokers: metadata.brokers().iter().map(|broker| broker.id()).collect(),
            topics,
        })
    }

    /// Creates a topic; an existing one is left as it is.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, replication: u16) -> Result<(), RDKafkaErrorCode> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(i32::from(replication)));
        let options =
            AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT)).operation_timeout(Some(REQUEST_TIMEOUT));
        let results = pollster::block_on(self.0.create_topics([&topic], &options))
            .map_err(|error| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))?;
        match results.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(code),
        }
    }
}

impl ClusterMetadata {
    pub(crate) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}
