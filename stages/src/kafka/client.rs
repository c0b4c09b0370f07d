//! What all our clients have in common: where to connect, and which errors pass by themselves.

use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::stage::{BuildContext, Problem};
use aqpipe_engine::{Error, Result};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, ClientContext};

use super::Embedded;
use super::properties::{Owned, Properties, Side};
use super::security::{self, Security};
pub(crate) use super::watch::{Watch, take_partition_end};

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) brokers: String,
    pub(crate) security: Option<Security>,
    pub(crate) properties: Properties,
    /// How long a start waits for the first broker that answers; absent, for ever.
    pub(crate) connect_timeout: Option<Duration>,
    client_id: String,
}

impl Connection {
    /// The connection of a stage; to the embedded broker where the run has one.
    pub(crate) fn new(brokers: &str, security: Option<&Security>, properties: &Properties, cx: &BuildContext) -> Self {
        let client_id = format!("aqpipe.{}.{}", cx.pipeline(), cx.stage());
        match cx.process_extensions().get::<Embedded>() {
            // Nothing that fits a real cluster's listeners fits this one.
            Some(embedded) => Connection {
                brokers: embedded.bootstrap_servers().to_owned(),
                security: None,
                properties: properties.without_security(),
                connect_timeout: None,
                client_id,
            },
            None => Connection {
                brokers: brokers.to_owned(),
                security: security.cloned(),
                properties: properties.clone(),
                connect_timeout: None,
                client_id,
            },
        }
    }

    /// The same, with an end to how long a start waits for it.
    pub(crate) fn within(mut self, connect_timeout_secs: Option<u32>) -> Self {
        self.connect_timeout = connect_timeout_secs.map(|secs| Duration::from_secs(secs.into()));
        self
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
    problems.extend(check_brokers(brokers));
    problems.extend(security.map(Security::check).unwrap_or_default());
    let owned: Vec<Owned> = owned.iter().chain(security::owned(security)).copied().collect();
    problems.extend(properties.check(side, &owned));
    problems
}

/// The problem of a list of brokers that is none.
fn check_brokers(brokers: &str) -> Option<Problem> {
    let problem = |message: String| Some(Problem::new(["brokers"], message));
    if brokers.trim().is_empty() {
        return problem("no broker is named".to_owned()).map(|problem| problem.help("such as `localhost:9092`"));
    }
    for broker in brokers.split(',').map(str::trim) {
        if broker.is_empty() {
            return problem("there is nothing between two commas".to_owned());
        }
        if broker.contains("://") {
            let help = "leave it out; `security` says how to connect";
            return problem(format!("`{broker}` names a protocol")).map(|problem| problem.help(help));
        }
        let is_host = |host: &str| {
            let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let strange = |c: char| c.is_whitespace() || c.is_control() || "/'\"".contains(c);
            !host.is_empty() && !host.contains(strange) && (inner.is_some() || !host.contains([':', '[', ']']))
        };
        let parts = broker.rsplit_once(':');
        let fits = parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0));
        if !fits {
            let help = "such as `localhost:9092`; several are separated by commas";
            return problem(format!("`{broker}` is not `host:port`")).map(|problem| problem.help(help));
        }
    }
    None
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

/// Whether an error says that a broker was not reached, or did not answer: no record is the cause.
pub(crate) fn is_out_of_reach(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::NetworkException
            | Code::BrokerNotAvailable
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
    fn brokers_are_a_list_of_hosts_and_ports() {
        for good in ["localhost:9092", "a:1,b:2, c.example:65535", "127.0.0.1:9092", "[::1]:9092"] {
            assert_eq!(check_brokers(good), None, "{good}");
        }
        for (bad, part) in [
            ("", "no broker is named"),
            (" ", "no broker is named"),
            ("localhost", "`localhost` is not `host:port`"),
            ("localhost:", "`localhost:` is not"),
            ("a:1,b", "`b` is not"),
            ("a:1,,b:2", "between two commas"),
            ("a:0", "`a:0` is not"),
            ("a:65536", "`a:65536` is not"),
            ("a b:1", "`a b:1` is not"),
            ("::1:9092", "`::1:9092` is not"),
            ("SASL_SSL://a:1", "names a protocol"),
        ] {
            let problem = check_brokers(bad).expect("a problem");
            assert!(problem.message.contains(part), "{bad}: {problem:?}");
        }
    }
}
