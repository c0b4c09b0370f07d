//! What all clients share: where and how to connect.

use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::stage::{BuildContext, Problem};
use aqpipe_engine::{Error, Result};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, ClientContext};

use super::EmbeddedBroker;
pub(crate) use super::client_log::take_partition_end;
pub(crate) use super::connection_monitor::ConnectionMonitor;
pub(crate) use super::error_class::{is_leaderless, is_transient};
use super::properties::{ClientKind, Properties, ReservedProperty};
use super::security::{self, Security};

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
        match cx.process_extensions().get::<EmbeddedBroker>() {
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

    /// The same, with a limit to the wait for the first answer.
    pub(crate) fn with_connect_timeout(mut self, connect_timeout_secs: Option<u32>) -> Self {
        self.connect_timeout = connect_timeout_secs.map(|secs| Duration::from_secs(secs.into()));
        self
    }

    /// A monitor that waits for the first answer no longer than the connection may.
    pub(crate) fn monitor(&self, cx: &BuildContext) -> ConnectionMonitor {
        let monitor = ConnectionMonitor::new(cx);
        monitor.limit_connect_time(self.connect_timeout);
        monitor
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

/// Problems of the options that every stage with a connection has.
pub(crate) fn check(
    brokers: &str,
    security: Option<&Security>,
    properties: &Properties,
    kind: ClientKind,
    reserved: &[ReservedProperty],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(check_brokers(brokers));
    problems.extend(security.map(Security::check).unwrap_or_default());
    let reserved: Vec<ReservedProperty> = reserved.iter().chain(security::reserved(security)).copied().collect();
    problems.extend(properties.check(kind, &reserved));
    problems
}

/// The problem of a text that is no list of brokers.
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

/// Listens to a client that reads metadata and single partitions, and is no member of a group.
pub(crate) struct MetadataContext(pub(crate) Arc<ConnectionMonitor>);

impl ClientContext for MetadataContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.client_error(&error, reason);
    }
}

impl ConsumerContext for MetadataContext {}

/// A client that reads metadata and single partitions.
pub(crate) fn metadata_client(
    config: &ClientConfig,
    monitor: &Arc<ConnectionMonitor>,
) -> Result<BaseConsumer<MetadataContext>> {
    config
        .create_with_context(MetadataContext(Arc::clone(monitor)))
        .map_err(|error| Error::config("cannot create a Kafka client").because(error))
}

/// The first offset of a partition and the one behind its last record.
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
        let monitor = Arc::new(ConnectionMonitor::new(&BuildContext::for_tests()));
        let consumer = metadata_client(&config, &monitor).expect("a consumer");
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
