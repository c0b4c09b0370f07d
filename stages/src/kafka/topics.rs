//! Topics and consumer groups: waiting for them, creating them, deleting them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{ClientConfig, ClientContext};
use schemars::JsonSchema;
use serde::Deserialize;

use super::client::{self, ConnectionMonitor, MetadataContext, is_transient};

/// How long a topic may be missing before that is an error: another process may be creating it.
pub(crate) const MISSING_TOPIC_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request for metadata may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an administrative request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two requests.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How a missing topic is created.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct CreateTopic {
    /// Partitions: at most so many members of a consumer group share the work.
    #[serde(default = "CreateTopic::partitions")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) partitions: i32,
    /// Copies of each record on different brokers.
    #[serde(default = "CreateTopic::replication")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) replication: i32,
}

impl CreateTopic {
    const fn partitions() -> i32 {
        3
    }

    const fn replication() -> i32 {
        1
    }
}

impl Default for CreateTopic {
    fn default() -> Self {
        CreateTopic { partitions: Self::partitions(), replication: Self::replication() }
    }
}

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

/// Waits until a topic to write to exists; creates it where it is missing and `create_as` says how.
pub(crate) fn ensure(
    common: &ClientConfig,
    monitor: &Arc<ConnectionMonitor>,
    topic: &str,
    create_as: Option<CreateTopic>,
    is_abandoned: &AtomicBool,
) -> Result<()> {
    let metadata_client = client::metadata_client(common, monitor)?;
    let stopping = || {
        // A poll delivers the errors of the client.
        let _ = metadata_client.poll(Duration::ZERO);
        is_abandoned.load(Ordering::SeqCst)
    };
    let wait = |can_create| await_topic(metadata_client.client(), monitor, topic, can_create, &stopping);
    let mut waited = wait(create_as.is_some())?;
    if let (TopicWait::Missing, Some(how)) = (&waited, create_as) {
        create(common, topic, how, &[])?;
        tracing::info!(pipeline = &*monitor.pipeline, "created topic `{topic}` with {} partitions", how.partitions);
        waited = wait(false)?;
    }
    match waited {
        TopicWait::Found(_) => Ok(()),
        TopicWait::Missing => Err(no_topic(common.get("bootstrap.servers").unwrap_or("HOST:PORT"), topic, true)),
        TopicWait::Stopped => Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
    }
}

/// The id of the cluster and the number of its brokers, once one of them answers.
pub(crate) fn await_cluster(
    metadata_client: &BaseConsumer<MetadataContext>,
    monitor: &ConnectionMonitor,
    is_abandoned: &AtomicBool,
) -> Result<(String, usize)> {
    loop {
        let _ = metadata_client.poll(Duration::ZERO);
        if let Some(error) = monitor.fatal() {
            return Err(error);
        }
        let failure = match metadata_client.client().fetch_metadata(None, METADATA_TIMEOUT) {
            Ok(metadata) => match metadata_client.client().fetch_cluster_id(METADATA_TIMEOUT) {
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
        if is_abandoned.load(Ordering::SeqCst) {
            let why = failure.map_or_else(|| silent.to_owned(), |error| error.to_string());
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

/// Creates a topic; no error where another process has just created it.
pub(crate) fn create(config: &ClientConfig, topic: &str, how: CreateTopic, set: &[(&str, &str)]) -> Result<()> {
    let failed = |why: String| Error::new(format!("cannot create topic `{topic}`")).because(why);
    let admin = admin(config)?;
    let new = NewTopic::new(topic, how.partitions, TopicReplication::Fixed(how.replication));
    let new = set.iter().fold(new, |new, (name, value)| new.set(name, value));
    let options = options();
    let answers = wait(admin.create_topics([&new], &options))
        .ok_or_else(|| failed("no answer".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    match answers.into_iter().next() {
        Some(Err((_, Code::TopicAlreadyExists)) | Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(failed(code.to_string())),
        None => Err(failed("no answer".to_owned())),
    }
}

/// The largest batch of records that a topic takes, in bytes; `None` where the brokers do not say.
pub(crate) fn batch_bytes_max(config: &ClientConfig, topic: &str) -> Option<usize> {
    settings(config, &[topic]).remove(topic)?.get("max.message.bytes")?.parse().ok()
}

/// The settings of topics, by topic and name, as far as the brokers tell them.
pub(crate) fn settings(config: &ClientConfig, topics: &[&str]) -> HashMap<String, HashMap<String, String>> {
    let ask = || {
        let admin = admin(config).ok()?;
        let resources: Vec<ResourceSpecifier<'_>> =
            topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        wait(admin.describe_configs(&resources, &options()))?.ok()
    };
    let mut found = HashMap::new();
    for resource in ask().into_iter().flatten().flatten() {
        if let OwnedResourceSpecifier::Topic(topic) = resource.specifier {
            let entries = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            found.insert(topic, entries.collect());
        }
    }
    found
}

/// Deletes a consumer group with its offsets; no error where there is none.
pub(crate) fn delete_group(config: &ClientConfig, group: &str) -> Result<()> {
    let failed = |why: String| Error::new(format!("cannot forget the offsets of group `{group}`")).because(why);
    let admin = admin(config)?;
    let started = Instant::now();
    loop {
        let options = options();
        let answers = wait(admin.delete_groups(&[group], &options)).ok_or_else(|| failed("no answer".to_owned()))?;
        let code = match answers {
            Ok(answers) => match answers.into_iter().next() {
                Some(Ok(_)) => return Ok(()),
                Some(Err((_, code))) => code,
                None => return Err(failed("no answer".to_owned())),
            },
            Err(error) => error.rdkafka_error_code().ok_or_else(|| failed(error.to_string()))?,
        };
        match code {
            Code::GroupIdNotFound => return Ok(()),
            Code::NonEmptyGroup => {
                return Err(failed("the group has members".to_owned())
                    .help("stop the other instances first, or wait until a dead one has expired"));
            }
            code if is_transient(code) && started.elapsed() < ADMIN_TIMEOUT => std::thread::sleep(RETRY_PAUSE),
            code => return Err(failed(code.to_string())),
        }
    }
}

fn admin(config: &ClientConfig) -> Result<AdminClient<rdkafka::client::DefaultClientContext>> {
    config.create().map_err(|error| Error::new("cannot create a Kafka client").because(error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}

/// Waits for an answer on this thread, a little longer than the request itself may take.
fn wait<F: Future>(future: F) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = Instant::now() + ADMIN_TIMEOUT + METADATA_TIMEOUT;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        std::thread::park_timeout(until.checked_duration_since(Instant::now())?);
    }
}
