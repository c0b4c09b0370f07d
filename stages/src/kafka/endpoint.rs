//! The brokers of a stage, and how its clients connect: real brokers, or the embedded one of the run.

use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::Result;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::stage::{BuildContext, Problem};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::connection_monitor::ConnectionMonitor;
use super::embedded::EmbeddedBroker;
use super::metadata_client::{MetadataClient, metadata_client};
use super::properties::{ClientKind, Properties, ReservedProperty};
use super::security::{self, Security};
use super::topic_options::CreateTopic;
use super::{admin, topics};

/// The options of a stage that say where its brokers are and how to connect.
pub(crate) struct EndpointOptions<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) security: Option<&'a Security>,
    pub(crate) properties: &'a Properties,
    pub(crate) connect_timeout_secs: Option<u32>,
}

impl EndpointOptions<'_> {
    /// Problems of the options, for clients of that kind; `reserved` are properties that the stage sets itself.
    pub(crate) fn check(&self, kind: ClientKind, reserved: &[ReservedProperty]) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(check_brokers(self.brokers));
        problems.extend(self.security.map(Security::check).unwrap_or_default());
        let reserved: Vec<_> = reserved.iter().chain(security::reserved(self.security)).copied().collect();
        problems.extend(self.properties.check(kind, &reserved));
        problems
    }
}

/// The brokers that a stage talks to.
///
/// The embedded broker has no transactions, tells no ids, keeps nothing beyond the run and drops old records; every
/// difference to a real one is a method here.
#[derive(Clone, Debug)]
pub(crate) struct KafkaEndpoint {
    brokers: String,
    security: Option<Security>,
    properties: Properties,
    connect_timeout: Option<Duration>,
    client_id: String,
    embedded: Option<Arc<EmbeddedBroker>>,
}

impl KafkaEndpoint {
    /// The endpoint of a stage: the embedded broker where the run has one, whatever the options say.
    pub(crate) fn new(options: &EndpointOptions<'_>, cx: &BuildContext) -> KafkaEndpoint {
        let client_id = format!("aqpipe.{}.{}", cx.pipeline(), cx.stage());
        match cx.process_extensions().get::<EmbeddedBroker>() {
            // Security for a real cluster's listeners does not fit this one.
            Some(embedded) => KafkaEndpoint {
                brokers: embedded.bootstrap_servers().to_owned(),
                security: None,
                properties: options.properties.without_security(),
                connect_timeout: None,
                client_id,
                embedded: Some(embedded),
            },
            None => KafkaEndpoint {
                brokers: options.brokers.to_owned(),
                security: options.security.cloned(),
                properties: options.properties.clone(),
                connect_timeout: options.connect_timeout_secs.map(|secs| Duration::from_secs(secs.into())),
                client_id,
                embedded: None,
            },
        }
    }

    /// The brokers to connect to first: `host:port`, separated by commas.
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The properties of librdkafka that the user has set.
    pub(crate) fn properties(&self) -> &Properties {
        &self.properties
    }

    /// How long a start waits for the first broker that answers; `None` for ever.
    pub(crate) fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// A monitor that waits for the first answer no longer than the endpoint may.
    pub(crate) fn monitor(&self, cx: &BuildContext) -> ConnectionMonitor {
        let monitor = ConnectionMonitor::new(cx, &self.brokers);
        monitor.limit_connect_time(self.connect_timeout);
        monitor
    }

    /// The configuration of any client: without properties that only one kind of client heeds.
    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", &self.client_id);
        config.set("allow.auto.create.topics", "false");
        // The library lets half of this pass between two connections, and every client makes two or three. Further tries in a row
        // wait longer each.
        config.set("reconnect.backoff.ms", "20");
        config.set_log_level(RDKafkaLogLevel::Info);
        security::apply(self.security.as_ref(), &self.properties, &mut config);
        self.properties.apply_common(&mut config);
        config
    }

    /// Makes a client that reads metadata.
    pub(crate) fn metadata_client(&self, monitor: &Arc<ConnectionMonitor>) -> Result<MetadataClient> {
        metadata_client(&self.client_config(), monitor)
    }

    /// Whether both connect in the same way, and as the same user.
    pub(crate) fn connects_as(&self, other: &KafkaEndpoint) -> bool {
        let config = |endpoint: &KafkaEndpoint| {
            let mut config = endpoint.client_config();
            config.remove("client.id");
            config
        };
        config(self).config_map() == config(other).config_map()
    }

    /// Whether topics, groups and offsets outlive the run.
    pub(crate) fn is_durable(&self) -> bool {
        self.embedded.is_none()
    }

    /// Whether the brokers have transactions.
    pub(crate) fn has_transactions(&self) -> bool {
        self.embedded.is_none()
    }

    /// Whether sources have to report their reads (see [`report_reads`](Self::report_reads)).
    pub(crate) fn wants_reports(&self) -> bool {
        self.embedded.is_some()
    }

    /// Creates a topic on the embedded broker; does nothing on a real one.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub(crate) fn create_embedded_topic(&self, topic: &str, how: Option<CreateTopic>) -> Result<()> {
        match &self.embedded {
            Some(embedded) => embedded.create_topic(topic, how.unwrap_or_default().partitions),
            None => Ok(()),
        }
    }

    /// Waits until a topic to write to exists; creates it where it is missing and `create_as` says how. Returns how many partitions it
    /// has, where brokers were asked.
    ///
    /// # Errors
    /// Where the topic is missing, or a stop came first.
    pub(crate) fn ensure_topic(
        &self,
        client: &MetadataClient,
        monitor: &ConnectionMonitor,
        topic: &str,
        create_as: Option<CreateTopic>,
        cancellation: &CancellationToken,
    ) -> Result<Option<usize>> {
        match self.embedded {
            Some(_) => Ok(None),
            None => topics::ensure((client, &self.client_config()), monitor, topic, create_as, cancellation).map(Some),
        }
    }

    /// The largest batch of records that a topic takes, in bytes; `None` where the brokers do not say.
    pub(crate) fn batch_bytes_max(&self, client: &MetadataClient, topic: &str) -> Option<usize> {
        if self.embedded.is_some() { None } else { topics::batch_bytes_max(client, topic) }
    }

    /// The id of the cluster; `None` for a cluster that ends with the run.
    ///
    /// # Errors
    /// Where a stop ended the wait for a broker.
    pub(crate) fn cluster_id(
        &self,
        monitor: &Arc<ConnectionMonitor>,
        cancellation: &CancellationToken,
    ) -> Result<Option<String>> {
        if self.embedded.is_some() {
            return Ok(None);
        }
        topics::await_cluster(&self.metadata_client(monitor)?, monitor, cancellation).map(|(id, _)| Some(id))
    }

    /// Deletes a consumer group with its offsets.
    ///
    /// # Errors
    /// Where the group has members, or the brokers refuse.
    pub(crate) fn delete_group(&self, group: &str) -> Result<()> {
        if self.embedded.is_some() { Ok(()) } else { admin::delete_group(&self.client_config(), group) }
    }

    /// Waits until a topic of the embedded broker has room for a record of so many bytes. Returns false where
    /// `is_cancelled` came first.
    pub(crate) fn wait_for_readers(&self, topic: &str, bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool {
        self.embedded.as_ref().is_none_or(|embedded| embedded.flow_control.send(topic, bytes, is_cancelled))
    }

    /// A group of this run reads the topics: writers to the embedded broker wait for it.
    pub(crate) fn register_reader(&self, topics: &[String], group: &str) {
        if let Some(embedded) = &self.embedded {
            topics.iter().for_each(|topic| embedded.register_reader(topic, group));
        }
    }

    /// The group has stopped reading the topics.
    pub(crate) fn forget_reader(&self, topics: &[String], group: &str) {
        if let Some(embedded) = &self.embedded {
            topics.iter().for_each(|topic| embedded.forget_reader(topic, group));
        }
    }

    /// Reports records that a group has read, each by offset and bytes, so that writers to the embedded broker go on.
    pub(crate) fn report_reads(&self, topic: &str, group: &str, partition: i32, reads: &[(u64, u64)]) {
        if let Some(embedded) = self.embedded.as_ref().filter(|_| !reads.is_empty()) {
            embedded.flow_control.read(topic, group, partition, reads);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
