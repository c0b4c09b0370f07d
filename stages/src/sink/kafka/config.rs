//! The configuration of the Kafka sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{BuildContext, Delivery, Descriptor, Problem, Sink, SinkConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::writer::JsonRecords;
use crate::codec::json::reserved_name;
use crate::kafka::endpoint::{EndpointOptions, KafkaEndpoint};
use crate::kafka::producer_config;
use crate::kafka::properties::{ClientKind, Properties, ReservedProperty};
use crate::kafka::security::Security;
use crate::kafka::target::{KafkaTarget, TargetOptions};
use crate::kafka::topic_options::{CreateTopic, check_topic};
use crate::kafka::transactions::TransactionOptions;

const EXAMPLE: &str = "\
brokers = \"localhost:9092\"
topic = \"air-quality-data\"
compression = \"lz4\"
create_topic = { partitions = 3, replication = 1 }
";

inventory::submit! { Descriptor::sink::<KafkaSinkConfig>("kafka", EXAMPLE).beside_content(&[
    "brokers",
    "topic",
    "key",
    "compression",
    "acks",
    "linger_ms",
    "batch_bytes",
    "create_topic",
    "transactions",
    "connect_timeout_secs",
    "security",
    "librdkafka",
]) }

/// Writes records to a Kafka topic, each as one JSON object: `timestamp`, the key, the fields by name and what is
/// known of their quality.
///
/// Records become visible to readers of committed records (`isolation.level=read_committed`) at each commit, together
/// with the position of what was read, so that each is there once however often the pipeline is killed. Without
/// transactions (`delivery = "at_least_once"`, or no right to them) the producer is idempotent: what the network loses is
/// sent again, once and in order. A record waits for as long as the brokers are away; none is dropped because it waited
/// too long. Records of one key go to one partition, the same
/// that Java clients choose. A record that is larger than the topic takes becomes a dead letter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaSinkConfig {
    /// The brokers to ask first, separated by commas: `host:port`.
    brokers: String,
    /// The topic.
    topic: String,
    /// The field that is the message key. Absent, the record's key is; records without one are spread over the partitions.
    #[serde(default)]
    key: Option<String>,
    /// How batches are compressed: `none`, `gzip`, `lz4`, `zstd` or `snappy`. `lz4` costs least; `gzip` limits a
    /// producer to about a seventh of its speed.
    #[serde(default)]
    compression: Compression,
    /// When a record counts as written: `"all"` in-sync replicas have it, the leader alone has it (`"1"`), or it was
    /// sent (`"0"`). Other than `"all"` switches transactions and the idempotent producer off: what is sent again may be
    /// there twice.
    #[serde(default)]
    acks: Acks,
    /// Milliseconds that a batch waits to be filled; within a transaction none does, for it sends all that it has at once.
    #[serde(default = "linger_ms")]
    #[schemars(range(min = 0, max = 900_000))]
    linger_ms: u32,
    /// The most bytes in a batch.
    #[serde(default = "batch_bytes")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    batch_bytes: u32,
    /// Creates the topic where it is missing. Absent, a missing topic is an error.
    #[serde(default)]
    create_topic: Option<CreateTopic>,
    /// Where commits are noted, and how long brokers wait for a process that has died in the middle of one.
    #[serde(default)]
    transactions: Option<TransactionOptions>,
    /// Seconds after which a start gives up where no broker has answered. Absent, it waits for one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    connect_timeout_secs: Option<u32>,
    /// Encryption and identity. Absent, the connection is in plain text.
    #[serde(default)]
    security: Option<Security>,
    /// Any other property of librdkafka by its own name, such as `"message.max.bytes" = 2000000`.
    #[serde(default)]
    librdkafka: Properties,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Compression {
    None,
    Gzip,
    #[default]
    Lz4,
    Zstd,
    Snappy,
}

impl Compression {
    fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
            Compression::Snappy => "snappy",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Acks {
    #[default]
    #[serde(rename = "all")]
    All,
    #[serde(rename = "1")]
    Leader,
    #[serde(rename = "0")]
    Nobody,
}

impl Acks {
    fn name(self) -> &'static str {
        match self {
            Acks::All => "all",
            Acks::Leader => "1",
            Acks::Nobody => "0",
        }
    }
}

const fn linger_ms() -> u32 {
    5
}

const fn batch_bytes() -> u32 {
    1_000_000
}

const RESERVED_PROPERTIES: &[ReservedProperty] = &[
    ("enable.idempotence", "it follows from `acks`"),
    ("acks", "set `acks`"),
    ("compression.codec", "set `compression`"),
    ("linger.ms", "set `linger_ms`"),
    ("batch.size", "set `batch_bytes`"),
    ("allow.auto.create.topics", "set `create_topic`"),
];

impl SinkConfig for KafkaSinkConfig {
    fn check(&self, input: &Fields) -> Result<(), Vec<Problem>> {
        let reserved: Vec<_> =
            RESERVED_PROPERTIES.iter().chain(producer_config::RESERVED_PROPERTIES).copied().collect();
        let mut problems = self.endpoint_options().check(ClientKind::Producer, &reserved);
        problems.extend(check_topic(&["topic"], &self.topic));
        problems.extend(self.transactions.as_ref().and_then(TransactionOptions::check));
        if let Some(key) = self.key.as_deref().filter(|key| input.key.as_deref() != Some(key)) {
            problems.extend(Problem::unknown_field(["key"], key, input));
        }
        if let Some(name) = reserved_name(input) {
            problems.push(
                Problem::new([""; 0], format!("a field is called `{name}`, as another part of a message is"))
                    .help("rename the field in the source"),
            );
        }
        if self.acks != Acks::All {
            let acks = self.acks.name();
            problems.push(
                Problem::new(["acks"], format!("with acks = \"{acks}\" the producer is not idempotent"))
                    .help("records may be lost with a broker or be there twice; `acks = \"all\"` prevents that")
                    .warning(),
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn delivery(&self) -> Delivery {
        if self.acks == Acks::All { Delivery::ExactlyOnce } else { Delivery::AtLeastOnce }
    }

    fn writes(&self) -> Vec<String> {
        vec![format!("kafka:{}", self.topic)]
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        let endpoint = KafkaEndpoint::new(&self.endpoint_options(), cx);
        let options = TargetOptions {
            topic: self.topic.clone(),
            create_topic: self.create_topic,
            transactions: self.transactions.clone(),
            producer_properties: self.producer_properties(),
        };
        let format = JsonRecords { key: self.key.clone(), qc_tests: Arc::clone(cx.qc_tests()) };
        Ok(Arc::new(KafkaTarget::new(cx, endpoint, options, format)?))
    }
}

impl KafkaSinkConfig {
    fn endpoint_options(&self) -> EndpointOptions<'_> {
        EndpointOptions {
            brokers: &self.brokers,
            security: self.security.as_ref(),
            properties: &self.librdkafka,
            connect_timeout_secs: self.connect_timeout_secs,
        }
    }

    /// The properties of the producer that follow from the options.
    fn producer_properties(&self) -> BTreeMap<&'static str, String> {
        let idempotent = self.acks == Acks::All;
        BTreeMap::from([
            ("enable.idempotence", idempotent.to_string()),
            ("acks", self.acks.name().to_owned()),
            ("compression.codec", self.compression.name().to_owned()),
            ("linger.ms", self.linger_ms.to_string()),
            ("batch.size", self.batch_bytes.to_string()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(value: serde_json::Value) -> Vec<Problem> {
        let config: KafkaSinkConfig = serde_json::from_value(value).expect("a configuration");
        config.check(&Fields { open: true, ..Fields::default() }).err().unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_safe_and_librdkafka_takes_them() {
        let config: KafkaSinkConfig =
            serde_json::from_value(json!({"brokers": "localhost:9092", "topic": "t"})).expect("a configuration");
        let producer_properties = config.producer_properties();
        assert_eq!(
            (producer_properties["enable.idempotence"].as_str(), producer_properties["acks"].as_str()),
            ("true", "all")
        );
        let sink = config.build(&BuildContext::for_tests());
        assert!(sink.is_ok());
    }

    #[test]
    fn a_field_called_as_another_part_of_a_message_is_a_mistake_of_the_configuration() {
        let config: KafkaSinkConfig =
            serde_json::from_value(json!({"brokers": "b:1", "topic": "t"})).expect("a configuration");
        let fields = Fields { list: vec![aqpipe_engine::record::Field::text("quality")], ..Fields::default() };
        let problems = config.check(&fields).expect_err("taken");
        assert!(problems[0].message.contains("a field is called `quality`"), "{problems:?}");
    }

    #[test]
    fn fewer_acknowledgements_are_a_warning() {
        let problems = problems(json!({"brokers": "b:1", "topic": "t", "acks": "1"}));
        assert!(matches!(&problems[..], [one] if one.warning && one.path == ["acks"]), "{problems:?}");
    }

    #[test]
    fn properties_with_a_key_of_their_own_are_refused_beside_it() {
        let problems = problems(json!({
            "brokers": "b:1", "topic": "t",
            "librdkafka": {"compression.type": "gzip", "delivery.timeout.ms": 5, "message.max.bytes": 2_000_000},
        }));
        let paths: Vec<&str> = problems.iter().filter_map(|p| p.path.last()).map(String::as_str).collect();
        assert_eq!(paths, ["compression.type", "delivery.timeout.ms"]);
    }
}
