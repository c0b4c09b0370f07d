//! Dead letters to a Kafka topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Fields, OffsetRange, SplitId};
use aqpipe_engine::stage::{
    Acquire, BuildContext, DeadLetter, DeadLetterReader, DeadLetterSink, DeadLetters, Descriptor, Prepared, Problem,
    Sink, SinkConfig, TransactionalBackend, Writer,
};
use parking_lot::Mutex;
use rdkafka::message::{Header, OwnedHeaders};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kafka::EmbeddedBroker;
use crate::kafka::client::{self, Connection, ConnectionMonitor};
use crate::kafka::dead_letter_topic::DeadLetterTopicReader;
use crate::kafka::producer::{self, SendOutcome, SplitProducer};
use crate::kafka::properties::{ClientKind, Properties, ReservedProperty};
use crate::kafka::security::Security;
use crate::kafka::target::KafkaTarget;
use crate::kafka::topics::CreateTopic;
use crate::kafka::transactions::{Participant, ParticipantKind, RecordBuffer, TransactionManager, TransactionOptions};

const EXAMPLE: &str = "\
brokers = \"localhost:9092\"
topic = \"air-quality-dead-letters\"
create_topic = { partitions = 1, replication = 1 }
";

inventory::submit! { Descriptor::dead_letter::<KafkaDeadLetterConfig>("kafka", EXAMPLE) }

/// How many bytes of dead letters a split keeps before it is cut.
const DEAD_LETTERS_FULL_BYTES: usize = 4 << 20;

/// Writes the records that could not be carried to a Kafka topic: the value is the record's bytes as they were read,
/// and the headers `aqpipe.pipeline`, `aqpipe.split`, `aqpipe.position`, `aqpipe.place`, `aqpipe.stage` and
/// `aqpipe.reason` say where they come from and what is wrong with them.
///
/// They become visible to readers of committed records together with what was committed beside them.
///
/// Bytes beyond what the topic takes are cut off; the header `aqpipe.length` then has the whole length. Where bytes alone
/// are not enough to read the record once more (a row of a CSV file), the header `aqpipe.form` has the rest as JSON: the
/// names of its columns, and how cells are told apart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaDeadLetterConfig {
    /// The brokers to ask first, separated by commas: `host:port`.
    brokers: String,
    /// The topic.
    topic: String,
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
    /// Any other property of librdkafka by its own name.
    #[serde(default)]
    librdkafka: Properties,
}

const RESERVED_PROPERTIES: &[ReservedProperty] = &[
    ("enable.idempotence", "dead letters are always written by an idempotent producer"),
    ("acks", "dead letters are always acknowledged by all replicas"),
    ("allow.auto.create.topics", "set `create_topic`"),
];

impl SinkConfig<DeadLetters> for KafkaDeadLetterConfig {
    fn check(&self, _input: &Fields) -> Result<(), Vec<Problem>> {
        let reserved: Vec<ReservedProperty> =
            RESERVED_PROPERTIES.iter().chain(producer::RESERVED_PROPERTIES).copied().collect();
        let security = self.security.as_ref();
        let mut problems = client::check(&self.brokers, security, &self.librdkafka, ClientKind::Producer, &reserved);
        problems.extend(client::check_topic(&["topic"], &self.topic));
        problems.extend(self.transactions.as_ref().and_then(TransactionOptions::check));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn writes(&self) -> Vec<String> {
        vec![format!("kafka:{}", self.topic)]
    }

    fn dead_letter_reader(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
        let connection = Connection::new(&self.brokers, self.security.as_ref(), &self.librdkafka, cx)
            .with_connect_timeout(self.connect_timeout_secs);
        Ok(Some(Box::new(DeadLetterTopicReader {
            connection,
            topic: self.topic.clone(),
            monitor: Arc::new(ConnectionMonitor::new(cx)),
        })))
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<DeadLetterSink>> {
        let embedded = cx.process_extensions().get::<EmbeddedBroker>();
        if let Some(embedded) = &embedded {
            embedded.create_topic(&self.topic, self.create_topic.unwrap_or_default().partitions)?;
        }
        let producer_properties = [("enable.idempotence", "true"), ("acks", "all"), ("compression.codec", "lz4")];
        let producer_properties: BTreeMap<_, _> =
            producer_properties.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let connection = Connection::new(&self.brokers, self.security.as_ref(), &self.librdkafka, cx)
            .with_connect_timeout(self.connect_timeout_secs);
        let transaction_manager = TransactionManager::join(
            cx,
            Participant {
                kind: ParticipantKind::DeadLetter,
                stage: Arc::clone(cx.stage()),
                connection: connection.clone(),
                producer_properties: producer_properties.clone(),
                output_topic: Some((self.topic.clone(), self.create_topic)),
                options: self.transactions.clone(),
            },
        );
        let monitor = connection.monitor(cx);
        let target = KafkaTarget {
            connection,
            topic: self.topic.clone(),
            create: self.create_topic,
            producer_properties,
            monitor: Arc::new(monitor),
            embedded,
            is_abandoned: Arc::default(),
            producer: Mutex::default(),
        };
        Ok(Arc::new(KafkaDeadLetters { target, transaction_manager, pipeline: Arc::clone(cx.pipeline()) }))
    }
}

struct KafkaDeadLetters {
    target: KafkaTarget,
    transaction_manager: Arc<TransactionManager>,
    pipeline: Arc<str>,
}

impl Acquire for KafkaDeadLetters {
    fn acquire(&self) -> Result<()> {
        // Where transactions commit, the topic was looked for already, and another producer writes to it.
        if self.transaction_manager.record_bytes_max(&self.target.topic).is_some() {
            Ok(())
        } else {
            self.target.producer().map(drop)
        }
    }
}

impl Sink<DeadLetters> for KafkaDeadLetters {
    fn open(&self, split: &SplitId, _: u64) -> Result<Box<dyn Writer<DeadLetters>>> {
        let path = match self.transaction_manager.record_bytes_max(&self.target.topic) {
            Some(most) => DeliveryPath::Transactional {
                transaction_manager: Arc::clone(&self.transaction_manager),
                topic: (*self.target.topic).into(),
                most,
            },
            None => DeliveryPath::AtLeastOnce(SplitProducer::new(self.target.producer()?)),
        };
        Ok(Box::new(KafkaDeadWriter {
            path,
            pipeline: Arc::clone(&self.pipeline),
            split: Arc::clone(split),
            waiting: Vec::new(),
            bytes: 0,
        }))
    }

    fn acquire(&self) -> Option<&dyn Acquire> {
        Some(self)
    }

    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        Some(Arc::clone(&self.transaction_manager) as Arc<dyn TransactionalBackend>)
    }

    fn close(&self, until: Instant) -> Result<()> {
        self.target.close(until)
    }
}

/// How letters get to the topic.
enum DeliveryPath {
    /// By a producer of their producer_properties, at the barrier.
    AtLeastOnce(SplitProducer),
    /// In the transaction that decides the checkpoint.
    Transactional { transaction_manager: Arc<TransactionManager>, topic: Arc<str>, most: usize },
}

struct KafkaDeadWriter {
    path: DeliveryPath,
    pipeline: Arc<str>,
    split: SplitId,
    waiting: Vec<DeadLetter>,
    bytes: usize,
}

fn header(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

impl KafkaDeadWriter {
    fn headers(&self, letter: &DeadLetter) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(8);
        let headers = header(headers, "aqpipe.pipeline", &self.pipeline);
        let headers = header(headers, "aqpipe.split", &self.split);
        let headers = header(headers, "aqpipe.position", &letter.source_offset.to_string());
        let headers = header(headers, "aqpipe.place", letter.place.as_deref().unwrap_or_default());
        let headers = header(headers, "aqpipe.stage", &letter.stage);
        let headers = header(headers, "aqpipe.reason", &letter.reason);
        match &letter.raw_schema {
            Some(form) => header(headers, "aqpipe.form", form),
            None => headers,
        }
    }

    /// The headers of a letter, and as much of its bytes as there is room for where a record may have `most`.
    fn fit<'a>(&self, letter: &'a DeadLetter, most: usize) -> (OwnedHeaders, Option<&'a [u8]>) {
        let headers = self.headers(letter);
        // The headers' names and lengths need less than 256 bytes.
        let place = letter.place.as_ref().map_or(0, String::len);
        let form = letter.raw_schema.as_ref().map_or(0, |form| form.len());
        let known =
            self.pipeline.len() + self.split.len() + place + letter.stage.len() + letter.reason.len() + form + 256;
        let room = most.saturating_sub(known);
        let raw = letter.raw.as_deref();
        match raw.filter(|raw| raw.len() > room) {
            Some(whole) => (header(headers, "aqpipe.length", &whole.len().to_string()), Some(&whole[..room])),
            None => (headers, raw),
        }
    }
}

fn too_large(letter: &DeadLetter, split: &SplitId) -> aqpipe_engine::Error {
    aqpipe_engine::Error::new("a dead letter is larger than the topic takes")
        .at(letter.place.clone().unwrap_or_else(|| format!("{split}@{}", letter.source_offset)))
        .help("raise `max.message.bytes` of the topic")
}

impl Writer<DeadLetters> for KafkaDeadWriter {
    fn write(&mut self, letters: DeadLetters, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        self.bytes += letters.iter().map(|letter| letter.raw.as_ref().map_or(0, Vec::len) + 256).sum::<usize>();
        self.waiting.extend(letters);
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let most = match &self.path {
            DeliveryPath::AtLeastOnce(producer) => producer.producer().largest(),
            DeliveryPath::Transactional { most, .. } => *most,
        };
        let fitted: Vec<_> = waiting.iter().map(|letter| self.fit(letter, most)).collect();
        match &mut self.path {
            DeliveryPath::AtLeastOnce(producer) => {
                for (letter, (headers, raw)) in waiting.iter().zip(fitted) {
                    if producer.send(None, raw, Some(headers))? == SendOutcome::TooLarge {
                        return Err(too_large(letter, &self.split));
                    }
                }
                producer.drain()?;
                Ok(Prepared::Nothing)
            }
            DeliveryPath::Transactional { transaction_manager, topic, .. } => {
                if waiting.is_empty() {
                    return Ok(Prepared::Nothing);
                }
                // Not counted against the budget: they are bounded by themselves, and the checkpoint that they are part of
                // may be what makes room.
                let mut record_buffer = RecordBuffer::unbudgeted(topic, &transaction_manager.budget);
                for (headers, raw) in fitted {
                    record_buffer.add_value(raw, Some(headers));
                }
                Ok(Prepared::Transactional(Box::new(record_buffer)))
            }
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= DEAD_LETTERS_FULL_BYTES
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dead_letter_needs_brokers_and_a_topic() {
        let parsed = serde_json::from_value::<KafkaDeadLetterConfig>(json!({"topic": "t"}));
        assert!(parsed.expect_err("no brokers").to_string().contains("brokers"));
        let config: KafkaDeadLetterConfig =
            serde_json::from_value(json!({"topic": "a b", "brokers": " "})).expect("a configuration");
        let problems = config.check(&Fields::default()).expect_err("problems");
        assert_eq!(problems.iter().map(|p| p.path[0].as_str()).collect::<Vec<_>>(), ["brokers", "topic"]);
    }
}
