//! What all our clients have in common: where to connect, where their log lines go, and how trouble with brokers is
//! told.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::monitor::Facts;
use aqpipe_engine::stage::{BuildContext, Problem};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, ClientContext};

use super::Embedded;
use super::properties::{Owned, Properties, Side};
use super::security::{self, Security};

/// How often trouble that goes on is told again.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// The same error within so short a time is the same report.
const TWICE: Duration = Duration::from_millis(20);

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) brokers: String,
    pub(crate) security: Option<Security>,
    pub(crate) properties: Properties,
    client_id: String,
}

impl Connection {
    /// The connection of a stage; to the embedded broker where the run has one.
    pub(crate) fn new(brokers: &str, security: Option<&Security>, properties: &Properties, cx: &BuildContext) -> Self {
        let client_id = format!("aqpipe.{}.{}", cx.pipeline, cx.stage);
        match cx.shared.get::<Embedded>() {
            // Nothing that fits a real cluster's listeners fits this one.
            Some(embedded) => Connection {
                brokers: embedded.bootstrap_servers().to_owned(),
                security: None,
                properties: properties.without_security(),
                client_id,
            },
            None => Connection {
                brokers: brokers.to_owned(),
                security: security.cloned(),
                properties: properties.clone(),
                client_id,
            },
        }
    }

    /// What any client needs, without what only one kind of client heeds.
    pub(crate) fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", &self.client_id);
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Info);
        security::apply(self.security.as_ref(), &self.properties, &mut config);
        self.properties.apply_common(&mut config);
        config
    }
}

/// The problems of what every stage that connects is configured by.
pub(crate) fn check(
    brokers: &str,
    security: Option<&Security>,
    properties: &Properties,
    side: Side,
    owned: &[Owned],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if brokers.split(',').all(|broker| broker.trim().is_empty()) {
        problems.push(Problem::new(["brokers"], "no broker is named").help("such as `localhost:9092`"));
    }
    problems.extend(security.map(Security::check).unwrap_or_default());
    let owned: Vec<Owned> = owned.iter().chain(security::owned(security)).copied().collect();
    problems.extend(properties.check(side, &owned));
    problems
}

/// The problem of a name that no topic can have.
pub(crate) fn check_topic(path: &[&str], topic: &str) -> Option<Problem> {
    let fits = (1..=249).contains(&topic.len())
        && topic != "."
        && topic != ".."
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (!fits).then(|| {
        Problem::new(path.iter().copied(), format!("`{topic}` is not a name that a topic can have"))
            .help("letters, digits, `.`, `_` and `-`, at most 249 of them")
    })
}

thread_local! {
    static END: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The offset at which the end of a partition was reached, said by the poll of this thread that has just returned
/// `PartitionEOF`: the library tells it in words only.
pub(crate) fn take_partition_end() -> Option<u64> {
    END.take()
}

/// How much of an error says what kind it is: what follows counts attempts and milliseconds.
const KIND: usize = 30;
/// How many kinds of errors are told at once: a bound for what changes with every word.
const KINDS: usize = 8;

/// Listens to a client: its log lines and its errors.
pub(crate) struct Watch {
    pub(crate) pipeline: Arc<str>,
    pub(crate) stage: Arc<str>,
    pub(crate) facts: Arc<Facts>,
    trouble: Mutex<Trouble>,
    in_trouble: AtomicBool,
    troubles: AtomicU64,
}

#[derive(Default)]
struct Trouble {
    /// When it was told last.
    told: Option<Instant>,
    /// How many errors there were since.
    since: u64,
    /// The last error and its time: for messages, and because a producer reports each error twice.
    last: Option<(Instant, String)>,
    /// The beginnings of those that were told: another kind is told at once, for it may be the cause.
    kinds: Vec<String>,
    /// An error that waiting does not mend.
    fatal: Option<String>,
}

impl Watch {
    pub(crate) fn new(cx: &BuildContext) -> Watch {
        Watch {
            pipeline: Arc::clone(&cx.pipeline),
            stage: Arc::clone(&cx.stage),
            facts: Arc::clone(&cx.facts),
            trouble: Mutex::default(),
            in_trouble: AtomicBool::new(false),
            troubles: AtomicU64::new(0),
        }
    }

    /// Trouble that may pass: each kind is told the first time, then any every ten seconds.
    pub(crate) fn trouble(&self, what: &str) {
        let mut trouble = self.trouble.lock();
        let now = Instant::now();
        if trouble.last.as_ref().is_some_and(|(at, last)| now - *at < TWICE && last == what) {
            return;
        }
        self.facts.errors.fetch_add(1, Ordering::Relaxed);
        self.troubles.fetch_add(1, Ordering::Relaxed);
        trouble.last = Some((now, what.to_owned()));
        trouble.since += 1;
        self.tell(&mut trouble, what);
        self.in_trouble.store(true, Ordering::Release);
    }

    fn tell(&self, trouble: &mut Trouble, what: &str) {
        let kind: String = what.chars().take(KIND).collect();
        let is_new = trouble.kinds.len() < KINDS && !trouble.kinds.contains(&kind);
        if is_new {
            trouble.kinds.push(kind);
        }
        if is_new || trouble.told.is_none_or(|told| told.elapsed() >= SAY_AGAIN) {
            let (pipeline, stage, errors) = (&*self.pipeline, &*self.stage, trouble.since);
            if errors > 1 {
                tracing::warn!(pipeline, stage, "still in trouble with Kafka, {errors} errors since: {what}");
            } else {
                tracing::warn!(pipeline, stage, "trouble with Kafka, trying on: {what}");
            }
            trouble.told = Some(Instant::now());
            trouble.since = 0;
        }
    }

    /// The broker answered. Cheap where there was no trouble.
    pub(crate) fn fine(&self) {
        if self.in_trouble.load(Ordering::Relaxed) && self.in_trouble.swap(false, Ordering::AcqRel) {
            *self.trouble.lock() = Trouble::default();
            tracing::info!(pipeline = &*self.pipeline, stage = &*self.stage, "Kafka answers again");
        }
    }

    /// The last trouble, for a message.
    pub(crate) fn last_trouble(&self) -> Option<String> {
        self.trouble.lock().last.as_ref().map(|(_, last)| last.clone())
    }

    /// The error that waiting does not mend, where there was one.
    pub(crate) fn fatal(&self) -> Option<Error> {
        let what = self.trouble.lock().fatal.clone()?;
        Some(Error::new("Kafka refuses this client").because(what).help("look at `brokers` and `security`"))
    }

    /// Logs a line of librdkafka's. What it says of lost connections comes as an error as well, and is told there.
    pub(crate) fn line(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (pipeline, stage) = (&*self.pipeline, &*self.stage);
        let lost = matches!(facility, "FAIL" | "ERROR");
        match level {
            _ if lost => {
                tracing::debug!(target: "librdkafka", pipeline, stage, "{facility}: {message}");
                // The line names the broker and what it said, which the error that follows may not.
                let what = message.split_once("]: ").map_or(message, |(_, what)| what);
                self.tell(&mut self.trouble.lock(), what);
            }
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", pipeline, stage, "{facility}: {message}");
            }
            RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", pipeline, stage, "{facility}: {message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", pipeline, stage, "{facility}: {message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", pipeline, stage, "{facility}: {message}"),
        }
    }

    /// Takes an error that a transactional producer reports on its own: one that makes it useless is mended by another
    /// producer.
    pub(crate) fn heard_of_transactions(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::Fatal) => self.trouble(reason),
            _ => self.heard(error, reason),
        }
    }

    /// How much trouble there was so far.
    pub(crate) fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// Takes an error that a client reports on its own.
    pub(crate) fn heard(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::PartitionEOF) => END.set(offset_in(reason)),
            Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::Fatal) => {
                self.trouble(reason);
                self.trouble.lock().fatal.get_or_insert_with(|| reason.to_owned());
            }
            _ => self.trouble(reason),
        }
    }
}

/// The number behind "at offset".
fn offset_in(reason: &str) -> Option<u64> {
    let (_, rest) = reason.split_once("at offset ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Listens to a client that only looks: at topics, at what is in them.
pub(crate) struct Looker(pub(crate) Arc<Watch>);

impl ClientContext for Looker {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.heard(&error, reason);
    }
}

impl ConsumerContext for Looker {}

/// A client that only looks.
pub(crate) fn looker(config: &ClientConfig, watch: &Arc<Watch>) -> Result<BaseConsumer<Looker>> {
    config
        .create_with_context(Looker(Arc::clone(watch)))
        .map_err(|error| Error::config("cannot create a Kafka client").because(error))
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}, {})", self.pipeline, self.stage)
    }
}

/// Whether an error passes by itself: a connection lost, a leader or a coordinator that moves.
pub(crate) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
            | Code::ReplicaNotAvailable
            | Code::BrokerNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::NotEnoughReplicas
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::UnstableOffsetCommit
            | Code::NodeUpdate
            | Code::Retry
            | Code::DestroyBroker
            | Code::SSL
    )
}

/// Where a partition begins and ends.
///
/// After an error that may come from what the client last heard of the topic it asks for news, for the next try: by itself
/// it keeps an answer in which a partition was missing or had no leader, and gives the same error for minutes. So it takes
/// up to twice the time.
pub(crate) fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    consumer.fetch_watermarks(topic, partition, timeout).inspect_err(|error| {
        if is_leaderless(error) {
            // Where this fails too, the next try does.
            let _ = consumer.fetch_metadata(Some(topic), timeout);
        }
    })
}

/// Whether an error says that nobody leads a partition right now, which the client library tells in several ways while a
/// broker that led it is gone: of a partition that is known to be there, it passes.
pub(crate) fn is_leaderless(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        passes(code) || matches!(code, Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_partition_is_read_from_the_words_of_the_library() {
        let reason = "Fetch from broker 1 reached end of partition at offset 1042 (HighwaterMark 1050)";
        assert_eq!(offset_in(reason), Some(1042));
        assert_eq!(offset_in("at offset END"), None);
        assert_eq!(offset_in("something else"), None);
    }

    #[test]
    fn a_partition_that_had_no_leader_is_found_once_it_has_one() {
        use rdkafka::mocking::MockCluster;
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        cluster.partition_leader("t", 0, None).expect("no leader");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        let watch = Arc::new(Watch::new(&BuildContext::for_tests()));
        let consumer = looker(&config, &watch).expect("a consumer");
        let short = Duration::from_secs(2);
        let error = watermarks(&consumer, "t", 0, short).expect_err("nobody leads it");
        assert!(is_leaderless(&error), "{error}");
        cluster.partition_leader("t", 0, Some(1)).expect("a leader");
        // One try may still go by the old answer; it asks for a new one.
        let found = watermarks(&consumer, "t", 0, short).or_else(|_| watermarks(&consumer, "t", 0, short));
        assert_eq!(found.expect("found"), (0, 0));
    }

    #[test]
    fn names_that_no_topic_can_have_are_problems() {
        assert_eq!(check_topic(&["topic"], "air-quality_data.v1"), None);
        for bad in ["", "a/b", "..", "füllstand", &"x".repeat(250)] {
            assert!(check_topic(&["topic"], bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn trouble_that_goes_on_counts_as_errors_and_ends_once() {
        let cx = BuildContext::for_tests();
        let watch = Watch::new(&cx);
        watch.trouble("one");
        watch.trouble("two");
        watch.trouble("two");
        assert_eq!(cx.facts.snapshot().errors, 2);
        assert_eq!(watch.last_trouble().as_deref(), Some("two"));
        watch.fine();
        assert_eq!(watch.last_trouble(), None);
    }
}
