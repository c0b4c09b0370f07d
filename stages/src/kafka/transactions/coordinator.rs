//! What the Kafka stages of a pipeline have in common, and how it becomes its commit log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqpipe_engine::stage::{BuildContext, CommitMetadata, OpenOutcome, Sink, TransactionalBackend};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::notes::{self, PARTITIONS};
use super::options::TransactionOptions;
use super::parcel::Budget;
use super::producer::{Place, TransactionalProducer};
use super::reader::{Reader, Until};
use super::session::{SCAN, Session};
use crate::kafka::Embedded;
use crate::kafka::client::{self, Connection, Watch};
use crate::kafka::outbox::{FRAMING, LARGEST};
use crate::kafka::topics::{self, CreateTopic};

/// Copies of the topic of commits, where there are so many brokers.
const REPLICATION: usize = 3;
/// Bytes after which the topic of commits begins another segment: what is not the last one is compacted.
const SEGMENT: &str = "16777216";

/// What a stage is in a pipeline's transactions. The first of them says how the producer is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Sink,
    DeadLetter,
    Source,
}

/// A stage that can be part of transactions.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) part: Part,
    /// What messages call it.
    pub(crate) stage: Arc<str>,
    pub(crate) connection: Connection,
    /// Properties of the producer behind the stage's own keys.
    pub(crate) own: BTreeMap<&'static str, String>,
    /// The topic that it writes, and how it is made where it is missing.
    pub(crate) writes: Option<(String, Option<CreateTopic>)>,
    pub(crate) options: Option<TransactionOptions>,
}

/// What the Kafka stages of a pipeline share.
pub(crate) struct Transactor {
    joined: Mutex<Vec<Joined>>,
    watch: Arc<Watch>,
    embedded: Option<Arc<Embedded>>,
    given_up: Arc<AtomicBool>,
    pub(crate) budget: Arc<Budget>,
    /// The largest record of each topic, once this decides commits.
    largest: Mutex<Option<HashMap<String, usize>>>,
}

impl Transactor {
    /// The one of this pipeline, with another stage in it.
    pub(crate) fn join(cx: &BuildContext, joined: Joined) -> Arc<Transactor> {
        let transactor = cx.pipeline_extensions().get_or_put(|| Transactor {
            joined: Mutex::default(),
            watch: Arc::new(Watch::new(&cx.for_stage("transactions"))),
            embedded: cx.process_extensions().get::<Embedded>(),
            given_up: Arc::default(),
            budget: Arc::default(),
            largest: Mutex::default(),
        });
        transactor.watch.within(&joined.connection);
        transactor.joined.lock().push(joined);
        transactor
    }

    /// The most bytes of a record's key, value and headers that a topic takes; `None` unless commits are decided here.
    pub(crate) fn largest(&self, topic: &str) -> Option<usize> {
        let largest = self.largest.lock();
        largest.as_ref().map(|topics| topics.get(topic).copied().unwrap_or(LARGEST - FRAMING))
    }

    pub(crate) fn given_up(&self) -> &AtomicBool {
        &self.given_up
    }

    /// How long brokers let a transaction last before they undo it, and a little more: what is still open then is
    /// worth an alarm.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_secs(self.options().0.timeout_secs.into()) + SCAN
    }

    /// The options, and whether two stages want different ones.
    fn options(&self) -> (TransactionOptions, bool) {
        let joined = self.joined.lock();
        let mut asked: Vec<(Part, &TransactionOptions)> =
            joined.iter().filter_map(|one| Some((one.part, one.options.as_ref()?))).collect();
        asked.sort_by_key(|(part, _)| *part);
        let differ = asked.iter().any(|(_, options)| *options != asked[0].1);
        (asked.first().map(|(_, options)| (*options).clone()).unwrap_or_default(), differ)
    }

    fn lead(&self) -> Result<Joined> {
        let lead = self.joined.lock().iter().min_by_key(|one| one.part).cloned();
        lead.ok_or_else(|| Error::bug("transactions that no stage has joined"))
    }

    /// The cluster that all stages are on, and how many brokers it has; else why they cannot share transactions.
    fn cluster(&self) -> Result<Result<(String, usize), String>> {
        let joined = self.joined.lock().clone();
        let mut known: Option<(String, String, usize)> = None;
        for one in &joined {
            if known.as_ref().is_some_and(|(brokers, ..)| *brokers == one.connection.brokers) {
                continue;
            }
            let looker = client::looker(&one.connection.common(), &self.watch)?;
            let (id, brokers) = topics::await_cluster(&looker, &self.watch, &self.given_up)?;
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

    /// Makes sure that there is a topic of commits; else why there cannot be one.
    fn commits(&self, common: &ClientConfig, options: &TransactionOptions, brokers: usize) -> Result<Option<String>> {
        let looker = client::looker(common, &self.watch)?;
        let topic = &options.topic;
        let stopping = || {
            // Why a broker does not answer is told to those who ask.
            let _ = looker.poll(Duration::ZERO);
            self.given_up.load(Ordering::SeqCst)
        };
        match topics::await_topic(looker.client(), &self.watch, topic, true, &stopping)? {
            topics::Waited::Stopped => return Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
            topics::Waited::There(_) => {}
            topics::Waited::Missing => {
                let copies = i32::try_from(brokers.clamp(1, REPLICATION)).unwrap_or(1);
                let replication = options.replication.unwrap_or(copies);
                let set = [("cleanup.policy", "compact"), ("segment.bytes", SEGMENT)];
                let how = CreateTopic { partitions: PARTITIONS, replication };
                if let Err(error) = topics::create(common, topic, how, &set) {
                    return Ok(Some(format!("there is no topic `{topic}` to note commits in, and {error}")));
                }
                tracing::info!(pipeline = &*self.watch.pipeline, "created topic `{topic}` for commits");
            }
        }
        Ok(None)
    }

    /// Where a pipeline's notes are.
    fn place(&self, common: &ClientConfig, topic: &str, pipeline: &str, make: bool) -> Result<Option<Place>> {
        let looker = client::looker(common, &self.watch)?;
        let stopping = || {
            // Why a broker does not answer is told to those who ask.
            let _ = looker.poll(Duration::ZERO);
            self.given_up.load(Ordering::SeqCst)
        };
        match topics::await_topic(looker.client(), &self.watch, topic, !make, &stopping)? {
            topics::Waited::There(partitions) => {
                let partition = notes::partition_of(pipeline, partitions);
                Ok(Some(Place { topic: topic.to_owned(), partition }))
            }
            topics::Waited::Missing => Ok(None),
            topics::Waited::Stopped => Err(Error::new(format!("stopped while waiting for topic `{topic}`"))),
        }
    }

    /// The producer's configuration, and the largest record of each topic that is written.
    fn producer(
        lead: &Joined,
        options: &TransactionOptions,
        limits: Vec<(String, Option<usize>)>,
    ) -> (ClientConfig, HashMap<String, usize>) {
        let mut config = lead.connection.common();
        config.set("partitioner", "murmur2_random");
        config.set("queue.buffering.max.messages", "0");
        config.set("compression.codec", "lz4");
        // After a commit the brokers are busy with it for a moment; the default asks again after 100 ms.
        config.set("retry.backoff.ms", "5").set("retry.backoff.max.ms", "1000");
        if let Some(most) = limits.iter().filter_map(|(_, limit)| *limit).max().filter(|most| *most > LARGEST) {
            // What a topic takes should not fail at a default of the client.
            config.set("message.max.bytes", most.to_string());
        }
        for (name, value) in &lead.own {
            config.set(*name, value);
        }
        if lead.part != Part::Source {
            lead.connection.properties.apply(&mut config);
        }
        // All that a transaction sends is there when it begins, so that nothing is to be waited for.
        config.set("linger.ms", "0");
        config.set("transaction.timeout.ms", (u64::from(options.timeout_secs) * 1_000).to_string());
        let longest = u64::from(options.timeout_secs) * 1_000;
        if config.get("socket.timeout.ms").and_then(|text| text.parse().ok()).is_some_and(|asked: u64| asked > longest)
        {
            // The library takes no longer one beside transactions.
            config.set("socket.timeout.ms", longest.to_string());
        }
        let number =
            |name: &str, default: usize| config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let request = number("message.max.bytes", LARGEST);
        // A batch that a topic refuses fails all its records, the small ones too.
        let least = limits.iter().filter_map(|(_, limit)| *limit).min().unwrap_or(usize::MAX);
        let batch = number("batch.size", 1_000_000).min(least);
        let largest = |limit: Option<usize>| request.min(limit.unwrap_or(usize::MAX)).saturating_sub(FRAMING);
        let limits = limits.into_iter().map(|(topic, limit)| (topic, largest(limit))).collect();
        config.set("batch.size", batch.to_string());
        (config, limits)
    }

    /// Has commits decided by a transactional producer, once all topics that are written are there. The only topic whose
    /// rights can be missing is that of commits.
    fn enter(
        &self,
        lead: &Joined,
        options: &TransactionOptions,
        brokers: usize,
        (pipeline, writer, cluster): (&str, &str, String),
    ) -> Result<OpenOutcome> {
        let common = lead.connection.common();
        let joined = self.joined.lock().clone();
        if let Some(reason) = self.commits(&common, options, brokers)? {
            return Ok(OpenOutcome::Unsupported(reason));
        }
        let Some(place) = self.place(&common, &options.topic, pipeline, true)? else {
            return Err(topics::no_topic(&lead.connection.brokers, &options.topic, false));
        };
        let written: Vec<&str> = joined.iter().filter_map(|one| Some(&*one.writes.as_ref()?.0)).collect();
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
        let (config, largest) = Transactor::producer(lead, options, written.iter().map(limit).collect());
        let (watch, given_up) = (Arc::clone(&self.watch), Arc::clone(&self.given_up));
        let (name, at) = (pipeline.to_owned(), place.clone());
        let timeout = Duration::from_secs(options.timeout_secs.into());
        let another = move |writer: &str| {
            let id = transactional_id(&name, writer);
            let mut config = config.clone();
            config.set("transactional.id", &id);
            TransactionalProducer::new(config, id, at.clone(), (&watch, &given_up), timeout)
        };
        let producer = another(writer)?;
        if let Some(error) = producer.init()? {
            return Ok(OpenOutcome::Unsupported(format!("the user has no right to transactions ({error})")));
        }
        let reader = Reader::new(common, pipeline, place, (&self.watch, &self.given_up), timeout + SCAN);
        let mut session = Session::new((producer, reader), (pipeline, writer, cluster), timeout, Box::new(another));
        session.begin()?;
        *self.largest.lock() = Some(largest);
        Ok(OpenOutcome::Open(Box::new(session)))
    }
}

/// Whether a topic with that `cleanup.policy` drops what is old, be it the last of its key.
fn forgets(policy: &str) -> bool {
    policy.split(',').map(str::trim).ne(["compact"])
}

/// Whether an error is that a right to a topic is missing.
fn is_denied(error: &Error) -> bool {
    let code = error.cause::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    code == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// The transactional id of a writer: the pipeline's where it is alone.
fn transactional_id(pipeline: &str, writer: &str) -> String {
    // No name contains a slash, so that no two of them make the same id.
    if writer.is_empty() { format!("aqpipe.{pipeline}") } else { format!("aqpipe.{pipeline}/{writer}") }
}

impl TransactionalBackend for Transactor {
    fn open(&self, pipeline: &str, writer: &str) -> Result<OpenOutcome> {
        if self.embedded.is_some() {
            return Ok(OpenOutcome::Unsupported("the embedded broker has no transactions".to_owned()));
        }
        let (options, differ) = self.options();
        if differ {
            return Err(Error::config("the stages have different `transactions`, and their commits are one")
                .help("say it once, in the sink or else in the source"));
        }
        let joined = self.joined.lock().clone();
        if let Some(one) =
            joined.iter().find(|one| one.writes.as_ref().is_some_and(|(topic, _)| *topic == options.topic))
        {
            return Err(Error::config(format!("`{}` is the topic in which commits are noted", options.topic))
                .in_stage(&*one.stage)
                .help("write to another one, or name another one in `transactions`"));
        }
        let (cluster, brokers) = match self.cluster()? {
            Ok(found) => found,
            Err(reason) => return Ok(OpenOutcome::Unsupported(reason)),
        };
        let lead = self.lead()?;
        for (one, (topic, create)) in joined.iter().filter_map(|one| Some((one, one.writes.as_ref()?))) {
            topics::ensure(&one.connection.common(), &self.watch, topic, *create, &self.given_up)
                .map_err(|error| error.in_stage(&*one.stage))?;
        }
        match self.enter(&lead, &options, brokers, (pipeline, writer, cluster)) {
            Err(error) if is_denied(&error) => Ok(OpenOutcome::Unsupported(format!(
                "the user may not describe, read and write topic `{}`, in which commits are noted ({error})",
                options.topic
            ))),
            entered => entered,
        }
    }

    fn peek(&self, pipeline: &str) -> Result<Option<(String, CommitMetadata)>> {
        let (options, _) = self.options();
        let Ok((cluster, _)) = self.cluster()? else { return Ok(None) };
        let common = self.lead()?.connection.common();
        let Some(place) = self.place(&common, &options.topic, pipeline, false)? else { return Ok(None) };
        let mut reader = Reader::new(common, pipeline, place, (&self.watch, &self.given_up), self.longest());
        reader.read("", Until::End, None)?;
        Ok(Some((cluster, reader.shelf.into_notes())))
    }

    fn abandon(&self) {
        self.given_up.store(true, Ordering::SeqCst);
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
