//! Waiting for topics and clusters, and creating missing topics.

use std::time::{Duration, Instant};

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::plural::{counted, plural};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::{TopicSettings, topic_settings};
use rdkafka::client::Client;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext};

use super::admin;
use super::connection_monitor::ConnectionMonitor;
use super::error_class::is_transient;
use super::metadata_client::MetadataClient;
use super::topic_options::CreateTopic;

/// How long a topic may be missing before that is an error: another process may be creating it.
pub(crate) const MISSING_TOPIC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request for metadata may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// How long brokers may take to tell the settings of topics.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two requests.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How many partitions a topic has; `None` where it does not exist.
fn partition_count<C: ClientContext>(client: &Client<C>, topic: &str) -> KafkaResult<Option<usize>> {
    let metadata = client.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error() {
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        ) => Ok(None),
        Some(other) => Err(KafkaError::MetadataFetch(other.into())),
        None => Ok(Some(found.partitions().len()).filter(|partitions| *partitions > 0)),
    }
}

/// Whether the brokers say that a topic does not exist.
pub(crate) fn is_missing<C: ClientContext>(client: &Client<C>, topic: &str) -> bool {
    matches!(partition_count(client, topic), Ok(None))
}

/// Topics that are named where another one is missing.
const NAMED_MAX: usize = 10;

/// Which topics the brokers have, in words; `None` where they do not say. Those of Kafka itself are left out.
pub(crate) fn names_there<C: ClientContext>(client: &Client<C>) -> Option<String> {
    let metadata = client.fetch_metadata(None, METADATA_TIMEOUT).ok()?;
    let mut names: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    names.retain(|name| !name.starts_with("__"));
    names.sort_unstable();
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let left = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        left => format!(" and {left} more"),
    };
    Some(match names.len() {
        0 => "the brokers have no topics".to_owned(),
        number => format!("the brokers have {} {}{left}", plural(number as u64, "topic"), named.join(", ")),
    })
}

/// The outcome of a wait for a topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TopicWait {
    /// It exists, with so many partitions.
    Found(usize),
    /// It does not exist, as brokers have said for ten seconds (or once, where the caller can create it).
    Missing,
    /// The caller stopped the wait.
    Stopped,
}

/// Waits for a topic: for ever while no broker answers, and for ten seconds while brokers say that it does not exist. Where
/// the caller can create it (`can_create`), it does not wait in the latter case.
pub(crate) fn await_topic<C: ClientContext>(
    client: &Client<C>,
    monitor: &ConnectionMonitor,
    topic: &str,
    can_create: bool,
    stopping: &dyn Fn() -> bool,
) -> Result<TopicWait> {
    let mut missing: Option<Instant> = None;
    loop {
        if stopping() {
            monitor.metrics.waiting(&monitor.stage, None);
            return Ok(TopicWait::Stopped);
        }
        if let Some(error) = monitor.fatal() {
            return Err(error);
        }
        match partition_count(client, topic) {
            Ok(found) => {
                monitor.recovered();
                monitor.metrics.waiting(&monitor.stage, None);
                match found {
                    Some(partitions) => return Ok(TopicWait::Found(partitions)),
                    None if can_create => return Ok(TopicWait::Missing),
                    None => {}
                }
                let since = *missing.get_or_insert_with(|| {
                    let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
                    tracing::warn!(
                        pipeline,
                        stage,
                        "topic `{topic}` is not there yet: waiting for it, {} s at most",
                        MISSING_TOPIC_TIMEOUT.as_secs()
                    );
                    Instant::now()
                });
                if since.elapsed() >= MISSING_TOPIC_TIMEOUT {
                    return Ok(TopicWait::Missing);
                }
            }
            Err(error) => {
                let code = error.rdkafka_error_code();
                if code.is_some_and(|code| !is_transient(code)) {
                    let error = Error::new(format!("cannot look at topic `{topic}`")).because(error);
                    return Err(error.help("look at `brokers`, `security` and the rights of the user"));
                }
                monitor.metrics.waiting(&monitor.stage, Some(format!("a broker that answers for topic `{topic}`")));
                monitor.failed(&error);
            }
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

/// Waits until a topic to write to exists; creates it where it is missing and `create_as` says how. Returns how many partitions it has.
pub(crate) fn ensure(
    (client, common): (&MetadataClient, &ClientConfig),
    monitor: &ConnectionMonitor,
    topic: &str,
    create_as: Option<CreateTopic>,
    cancellation: &CancellationToken,
) -> Result<usize> {
    let stopping = || {
        // A poll delivers the errors of the client.
        let _ = client.poll(Duration::ZERO);
        cancellation.is_abandoned()
    };
    let wait = |can_create| await_topic(client.client(), monitor, topic, can_create, &stopping);
    let mut waited = wait(create_as.is_some())?;
    if let (TopicWait::Missing, Some(how)) = (&waited, create_as) {
        admin::create_topic(common, topic, how, &[])?;
        tracing::info!(
            pipeline = &*monitor.pipeline,
            "created topic `{topic}` with {}",
            counted(how.partitions.unsigned_abs().into(), "partition")
        );
        waited = wait(false)?;
    }
    match waited {
        TopicWait::Found(partitions) => Ok(partitions),
        TopicWait::Missing => Err(no_topic(common.get("bootstrap.servers").unwrap_or("HOST:PORT"), topic, true)),
        TopicWait::Stopped => Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
    }
}

/// The settings of topics, as far as the brokers tell them.
pub(crate) fn settings(client: &MetadataClient, topics: &[&str]) -> TopicSettings {
    topic_settings(client.client(), topics, SETTINGS_TIMEOUT).unwrap_or_default()
}

/// The largest batch of records that a topic takes, in bytes; `None` where the brokers do not say.
pub(crate) fn batch_bytes_max(client: &MetadataClient, topic: &str) -> Option<usize> {
    settings(client, &[topic]).remove(topic)?.get("max.message.bytes")?.parse().ok()
}

/// The id of the cluster and the number of its brokers, once one of them answers.
pub(crate) fn await_cluster(
    client: &MetadataClient,
    monitor: &ConnectionMonitor,
    cancellation: &CancellationToken,
) -> Result<(String, usize)> {
    loop {
        let _ = client.poll(Duration::ZERO);
        if let Some(error) = monitor.fatal() {
            return Err(error);
        }
        let failure = match client.client().fetch_metadata(None, METADATA_TIMEOUT) {
            Ok(metadata) => match client.client().fetch_cluster_id(METADATA_TIMEOUT) {
                Some(id) => {
                    monitor.recovered();
                    monitor.metrics.waiting(&monitor.stage, None);
                    return Ok((id, metadata.brokers().len()));
                }
                None => None,
            },
            Err(error) => Some(error),
        };
        let silent = "the brokers do not tell the id of their cluster";
        if cancellation.is_abandoned() {
            let told = monitor.last_failure();
            let why = told.or_else(|| failure.map(|error| error.to_string())).unwrap_or_else(|| silent.to_owned());
            return Err(Error::new("stopped while waiting for a broker").because(why));
        }
        monitor.metrics.waiting(&monitor.stage, Some("a broker that answers".to_owned()));
        match &failure {
            Some(error) => monitor.failed(error),
            None => monitor.failure(silent),
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

/// The error of a topic that does not exist, with the ways out.
pub(crate) fn no_topic(brokers: &str, topic: &str, can_create: bool) -> Error {
    let own = if can_create { "set `create_topic = { partitions = 3, replication = 1 }` here, or " } else { "" };
    Error::config(format!("there is no topic `{topic}`")).help(format!(
        "{own}create it: `aqpipe kafka up --topic {topic}` on a broker that `aqpipe kafka up` has started, else \
         `kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic}`"
    ))
}
