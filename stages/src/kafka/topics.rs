//! Topics and groups: what is there, what is to be made, what is to be forgotten.

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

use super::client::{self, Looker, Watch, passes};

/// How long a topic may be missing before that is an error: others may be making it right now.
pub(crate) const MISSING: Duration = Duration::from_secs(10);
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long administration may take.
const ADMIN: Duration = Duration::from_secs(30);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// How a topic that is not there is made.
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

/// How many partitions a topic has; `None` where it is not there.
fn look<C: ClientContext>(client: &Client<C>, topic: &str) -> KafkaResult<Option<usize>> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error() {
        Some(
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | RDKafkaRespErr::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
        ) => Ok(None),
        Some(other) => Err(KafkaError::MetadataFetch(other.into())),
        None => Ok(Some(found.partitions().len()).filter(|partitions| *partitions > 0)),
    }
}

/// Whether the brokers say that a topic is not there.
pub(crate) fn is_missing<C: ClientContext>(client: &Client<C>, topic: &str) -> bool {
    matches!(look(client, topic), Ok(None))
}

/// What came of waiting for a topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It has so many partitions.
    There(usize),
    /// It is not there, and brokers say so for ten seconds (or at once, where the caller can make it).
    Missing,
    /// The caller gave up.
    Stopped,
}

/// Waits for a topic: for ever while no broker answers, for ten seconds while they say that it is not there, and not
/// at all in the latter case where the caller can `make` it.
pub(crate) fn await_topic<C: ClientContext>(
    client: &Client<C>,
    watch: &Watch,
    topic: &str,
    make: bool,
    stopping: &dyn Fn() -> bool,
) -> Result<Waited> {
    let mut missing: Option<Instant> = None;
    loop {
        if stopping() {
            watch.metrics.waiting(&watch.stage, None);
            return Ok(Waited::Stopped);
        }
        if let Some(error) = watch.fatal() {
            return Err(error);
        }
        match look(client, topic) {
            Ok(found) => {
                watch.fine();
                watch.metrics.waiting(&watch.stage, None);
                match found {
                    Some(partitions) => return Ok(Waited::There(partitions)),
                    None if make => return Ok(Waited::Missing),
                    None => {}
                }
                let since = *missing.get_or_insert_with(|| {
                    let (pipeline, stage) = (&*watch.pipeline, &*watch.stage);
                    tracing::warn!(
                        pipeline,
                        stage,
                        "topic `{topic}` is not there yet: waiting for it, {} s at most",
                        MISSING.as_secs()
                    );
                    Instant::now()
                });
                if since.elapsed() >= MISSING {
                    return Ok(Waited::Missing);
                }
            }
            Err(error) => {
                let code = error.rdkafka_error_code();
                if code.is_some_and(|code| !passes(code)) {
                    let error = Error::new(format!("cannot look at topic `{topic}`")).because(error);
                    return Err(error.help("look at `brokers`, `security` and the rights of the user"));
                }
                watch.metrics.waiting(&watch.stage, Some(format!("a broker that answers for topic `{topic}`")));
                watch.trouble_of(&error);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a topic to write to is there, and makes it where it is missing and the caller says how.
pub(crate) fn ensure(
    common: &ClientConfig,
    watch: &Arc<Watch>,
    topic: &str,
    create_as: Option<CreateTopic>,
    given_up: &AtomicBool,
) -> Result<()> {
    let looker = client::looker(common, watch)?;
    let stopping = || {
        // Why a broker does not answer is told to those who ask.
        let _ = looker.poll(Duration::ZERO);
        given_up.load(Ordering::SeqCst)
    };
    let wait = |make| await_topic(looker.client(), watch, topic, make, &stopping);
    let mut waited = wait(create_as.is_some())?;
    if let (Waited::Missing, Some(how)) = (&waited, create_as) {
        create(common, topic, how, &[])?;
        tracing::info!(pipeline = &*watch.pipeline, "created topic `{topic}` with {} partitions", how.partitions);
        waited = wait(false)?;
    }
    match waited {
        Waited::There(_) => Ok(()),
        Waited::Missing => Err(no_topic(common.get("bootstrap.servers").unwrap_or("HOST:PORT"), topic, true)),
        Waited::Stopped => Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
    }
}

/// The id of the cluster and the number of its brokers, once one of them answers.
pub(crate) fn await_cluster(
    looker: &BaseConsumer<Looker>,
    watch: &Watch,
    given_up: &AtomicBool,
) -> Result<(String, usize)> {
    loop {
        let _ = looker.poll(Duration::ZERO);
        if let Some(error) = watch.fatal() {
            return Err(error);
        }
        let trouble = match looker.client().fetch_metadata(None, ANSWER) {
            Ok(metadata) => match looker.client().fetch_cluster_id(ANSWER) {
                Some(id) => {
                    watch.fine();
                    watch.metrics.waiting(&watch.stage, None);
                    return Ok((id, metadata.brokers().len()));
                }
                None => None,
            },
            Err(error) => Some(error),
        };
        let silent = "the brokers do not tell the id of their cluster";
        if given_up.load(Ordering::SeqCst) {
            let why = trouble.map_or_else(|| silent.to_owned(), |error| error.to_string());
            return Err(Error::new("stopped while waiting for a broker").because(why));
        }
        watch.metrics.waiting(&watch.stage, Some("a broker that answers".to_owned()));
        match &trouble {
            Some(error) => watch.trouble_of(error),
            None => watch.trouble(silent),
        }
        std::thread::sleep(PAUSE);
    }
}

/// The error of a topic that is not there, with the ways out.
pub(crate) fn no_topic(brokers: &str, topic: &str, can_create: bool) -> Error {
    let own = if can_create { "set `create_topic = { partitions = 3, replication = 1 }` here, or " } else { "" };
    Error::config(format!("there is no topic `{topic}`")).help(format!(
        "{own}create it: `aqpipe kafka up --topic {topic}` on a broker that `aqpipe kafka up` has started, else \
         `kafka-topics.sh --bootstrap-server {brokers} --create --topic {topic}`"
    ))
}

/// Makes a topic; that somebody else has just made it is no error.
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

/// The largest batch of records that a topic takes, in bytes, where the brokers tell.
pub(crate) fn largest_batch(config: &ClientConfig, topic: &str) -> Option<usize> {
    settings(config, &[topic]).remove(topic)?.get("max.message.bytes")?.parse().ok()
}

/// The settings of topics by name, where the brokers tell.
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

/// Forgets a consumer group and its offsets; that there is none is no error.
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
            code if passes(code) && started.elapsed() < ADMIN => std::thread::sleep(PAUSE),
            code => return Err(failed(code.to_string())),
        }
    }
}

fn admin(config: &ClientConfig) -> Result<AdminClient<rdkafka::client::DefaultClientContext>> {
    config.create().map_err(|error| Error::new("cannot create a Kafka client").because(error))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN))
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
    let until = Instant::now() + ADMIN + ANSWER;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        std::thread::park_timeout(until.checked_duration_since(Instant::now())?);
    }
}
