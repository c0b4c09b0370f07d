//! What the brokers say of themselves, and creating a topic.

use std::time::Duration;

use aqpipe_engine::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long a broker on this machine may take for an answer.
const REQUEST_WAIT: Duration = Duration::from_secs(5);

/// Keeps librdkafka's complaints about brokers that are still starting out of the way.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "{reason}");
    }
}

/// A connection to a cluster.
pub(super) struct Client(AdminClient<Quiet>);

/// What a cluster consists of at one moment.
#[derive(Debug)]
pub(super) struct View {
    pub(super) cluster_id: Option<String>,
    /// The numbers of the brokers that are there.
    pub(super) brokers: Vec<i32>,
    pub(super) topics: Vec<Topic>,
}

/// A topic at one moment.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: usize,
    /// Whether every partition can be written and read.
    pub(super) ready: bool,
}

impl Client {
    pub(super) fn new(bootstrap: &str) -> Result<Client> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "aqpipe-kafka")
            // A broker that is starting refuses connections for a while.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "250");
        let client = AdminClient::from_config_and_context(&config, Quiet);
        client.map(Client).map_err(|error| Error::new("cannot make a Kafka client").because(error))
    }

    pub(super) fn view(&self) -> Result<View, KafkaError> {
        let client = self.0.inner();
        // Asking for one topic by name would create it.
        let metadata = client.fetch_metadata(None, REQUEST_WAIT)?;
        let topics = metadata.topics().iter().map(|topic| Topic {
            name: topic.name().to_owned(),
            partitions: topic.partitions().len(),
            ready: topic.error().is_none() && topic.partitions().iter().all(|partition| partition.leader() >= 0),
        });
        let mut topics: Vec<Topic> = topics.collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(View {
            cluster_id: client.fetch_cluster_id(REQUEST_WAIT),
            brokers: metadata.brokers().iter().map(|broker| broker.id()).collect(),
            topics,
        })
    }

    /// Creates a topic; one that is there already is left as it is.
    pub(super) fn create_topic(&self, name: &str, partitions: i32, replication: u16) -> Result<(), RDKafkaErrorCode> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(i32::from(replication)));
        let options = AdminOptions::new().request_timeout(Some(REQUEST_WAIT)).operation_timeout(Some(REQUEST_WAIT));
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|_| RDKafkaErrorCode::Fail)?;
        let results = runtime
            .block_on(self.0.create_topics([&topic], &options))
            .map_err(|error| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))?;
        match results.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(code),
        }
    }
}

impl View {
    pub(super) fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }
}
