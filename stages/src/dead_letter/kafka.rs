//! Dead letters to a Kafka topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::record::{Fields, OffsetRange, SplitId};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, DeadLetterReader, DeadLetterSink, DeadLetters, Descriptor, Prepared, Problem, SinkConfig,
    Writer,
};
use aqpipe_engine::{Error, Result};
use rdkafka::message::{Header, OwnedHeaders};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kafka::dead_letter_topic::{DeadLetterTopicReader, RECORDS_HEADER, join_records};
use crate::kafka::endpoint::{EndpointOptions, KafkaEndpoint};
use crate::kafka::producer::{SendOutcome, SplitProducer};
use crate::kafka::producer_config;
use crate::kafka::properties::{ClientKind, Properties, ReservedProperty};
use crate::kafka::security::Security;
use crate::kafka::target::{KafkaTarget, RecordFormat, TargetOptions, TransactionalTopic};
use crate::kafka::topic_options::{CreateTopic, check_topic};
use crate::kafka::transactions::{ParticipantKind, TransactionOptions};

const EXAMPLE: &str = "\
brokers = \"localhost:9092\"
topic = \"air-quality-dead-letters\"
create_topic = { partitions = 1, replication = 1 }
";

inventory::submit! { Descriptor::dead_letter::<KafkaDeadLetterConfig>("kafka", EXAMPLE) }

/// So many bytes of dead letters in a split end its checkpoint.
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
///
/// Of a row that a transform made of a part of a record, the header `aqpipe.part` names it (`H03`), and a replay sends that part
/// alone. Of a row that a transform merged of several records, the value has all of them, one after the other with a line end
/// between, and the header `aqpipe.records` is a list in JSON of their positions and lengths.
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

/// The most bytes of a record that the names and lengths of its headers take.
const HEADERS_BYTES_MAX: usize = 256;

impl SinkConfig<DeadLetters> for KafkaDeadLetterConfig {
    fn check(&self, _input: &Fields) -> Result<(), Vec<Problem>> {
        let reserved: Vec<_> =
            RESERVED_PROPERTIES.iter().chain(producer_config::RESERVED_PROPERTIES).copied().collect();
        let mut problems = self.endpoint_options().check(ClientKind::Producer, &reserved);
        problems.extend(check_topic(&["topic"], &self.topic));
        problems.extend(self.transactions.as_ref().and_then(TransactionOptions::check));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn writes(&self) -> Vec<String> {
        vec![format!("kafka:{}", self.topic)]
    }

    fn dead_letter_reader(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterReader>>> {
        let endpoint = KafkaEndpoint::new(&self.endpoint_options(), cx);
        Ok(Some(Box::new(DeadLetterTopicReader::new(endpoint, &self.topic, cx))))
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<DeadLetterSink>> {
        let endpoint = KafkaEndpoint::new(&self.endpoint_options(), cx);
        let properties = [("enable.idempotence", "true"), ("acks", "all"), ("compression.codec", "lz4")];
        let options = TargetOptions {
            topic: self.topic.clone(),
            create_topic: self.create_topic,
            transactions: self.transactions.clone(),
            producer_properties: BTreeMap::from(properties.map(|(name, value)| (name, value.to_owned()))),
        };
        let format = DeadLetterRecords { pipeline: Arc::clone(cx.pipeline()) };
        Ok(Arc::new(KafkaTarget::new(cx, endpoint, options, format)?))
    }
}

impl KafkaDeadLetterConfig {
    fn endpoint_options(&self) -> EndpointOptions<'_> {
        EndpointOptions {
            brokers: &self.brokers,
            security: self.security.as_ref(),
            properties: &self.librdkafka,
            connect_timeout_secs: self.connect_timeout_secs,
        }
    }
}

/// Dead letters as records: the value is the bytes of the dead letter, and headers hold the rest.
struct DeadLetterRecords {
    pipeline: Arc<str>,
}

impl DeadLetterRecords {
    fn writer(&self, split: &SplitId, delivery: DeliveryPath) -> Box<dyn Writer<DeadLetters>> {
        let (pipeline, split) = (Arc::clone(&self.pipeline), Arc::clone(split));
        Box::new(DeadLetterWriter { delivery, pipeline, split, waiting: Vec::new(), bytes: 0 })
    }
}

impl RecordFormat for DeadLetterRecords {
    type Rows = DeadLetters;
    const KIND: ParticipantKind = ParticipantKind::DeadLetter;

    fn transactional_writer(&self, split: &SplitId, topic: TransactionalTopic) -> Box<dyn Writer<DeadLetters>> {
        self.writer(split, DeliveryPath::Transactional(topic))
    }

    fn at_least_once_writer(&self, split: &SplitId, producer: SplitProducer) -> Box<dyn Writer<DeadLetters>> {
        self.writer(split, DeliveryPath::AtLeastOnce(producer))
    }
}

/// How dead letters get to the topic.
enum DeliveryPath {
    /// By a producer of their own, at the barrier.
    AtLeastOnce(SplitProducer),
    /// In the transaction that decides the checkpoint.
    Transactional(TransactionalTopic),
}

struct DeadLetterWriter {
    delivery: DeliveryPath,
    pipeline: Arc<str>,
    split: SplitId,
    waiting: Vec<DeadLetter>,
    bytes: usize,
}

fn header(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

impl DeadLetterWriter {
    fn headers(&self, letter: &DeadLetter) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(8);
        let headers = header(headers, "aqpipe.pipeline", &self.pipeline);
        let headers = header(headers, "aqpipe.split", &self.split);
        let headers = header(headers, "aqpipe.position", &letter.source_offset.to_string());
        let headers = header(headers, "aqpipe.place", letter.place.as_deref().unwrap_or_default());
        let headers = header(headers, "aqpipe.stage", &letter.stage);
        let headers = header(headers, "aqpipe.reason", &letter.reason);
        let headers = match &letter.part {
            Some(part) => header(headers, "aqpipe.part", part),
            None => headers,
        };
        let headers = match records_header(letter) {
            Some(records) => header(headers, RECORDS_HEADER, &records),
            None => headers,
        };
        match &letter.raw_schema {
            Some(raw_schema) => header(headers, "aqpipe.form", raw_schema),
            None => headers,
        }
    }

    /// The headers of a dead letter, and as many of its bytes as a record of at most `record_bytes_max` bytes has room for.
    fn fit<'a>(&self, letter: &'a DeadLetter, record_bytes_max: usize) -> (OwnedHeaders, Option<&'a [u8]>) {
        let headers = self.headers(letter);
        let place = letter.place.as_ref().map_or(0, String::len);
        let raw_schema = letter.raw_schema.as_ref().map_or(0, |raw_schema| raw_schema.len());
        let origin = letter.part.as_ref().map_or(0, String::len) + records_header(letter).map_or(0, |text| text.len());
        let texts = self.pipeline.len()
            + self.split.len()
            + place
            + letter.stage.len()
            + letter.reason.len()
            + raw_schema
            + origin;
        let room = record_bytes_max.saturating_sub(texts + HEADERS_BYTES_MAX);
        let raw = letter.raw.as_deref();
        match raw.filter(|raw| raw.len() > room) {
            Some(whole) => (header(headers, "aqpipe.length", &whole.len().to_string()), Some(&whole[..room])),
            None => (headers, raw),
        }
    }
}

/// What tells the records of a merged row apart.
fn records_header(letter: &DeadLetter) -> Option<String> {
    (!letter.records.is_empty()).then(|| join_records(&letter.records).0)
}

fn too_large(letter: &DeadLetter, split: &SplitId) -> Error {
    Error::new("a dead letter is larger than the topic takes")
        .at(letter.place.clone().unwrap_or_else(|| format!("{split}@{}", letter.source_offset)))
        .help("raise `max.message.bytes` of the topic")
}

impl Writer<DeadLetters> for DeadLetterWriter {
    fn write(&mut self, mut letters: DeadLetters, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        for letter in letters.iter_mut().filter(|letter| !letter.records.is_empty()) {
            letter.raw = Some(join_records(&letter.records).1);
        }
        let bytes = |letter: &DeadLetter| letter.raw.as_ref().map_or(0, Vec::len) + HEADERS_BYTES_MAX;
        self.bytes += letters.iter().map(bytes).sum::<usize>();
        self.waiting.extend(letters);
        Ok(())
    }

    fn prepare(&mut self, _: OffsetRange) -> Result<Prepared> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let record_bytes_max = match &self.delivery {
            DeliveryPath::AtLeastOnce(producer) => producer.record_bytes_max(),
            DeliveryPath::Transactional(topic) => topic.record_bytes_max,
        };
        let fitted: Vec<_> = waiting.iter().map(|letter| self.fit(letter, record_bytes_max)).collect();
        match &mut self.delivery {
            DeliveryPath::AtLeastOnce(producer) => {
                for (letter, (headers, raw)) in waiting.iter().zip(fitted) {
                    if producer.send(None, raw, Some(headers))? == SendOutcome::TooLarge {
                        return Err(too_large(letter, &self.split));
                    }
                }
                producer.drain()?;
                Ok(Prepared::Nothing)
            }
            DeliveryPath::Transactional(_) if waiting.is_empty() => Ok(Prepared::Nothing),
            DeliveryPath::Transactional(topic) => {
                // Without a wait for memory: dead letters have a bound of their own, and the checkpoint that they belong
                // to may be the one that frees memory.
                let mut buffer = topic.unbudgeted_buffer();
                for (headers, raw) in fitted {
                    topic.count_written(raw.map_or(0, <[u8]>::len));
                    buffer.add_value(None, raw, Some(headers));
                }
                Ok(Prepared::Transactional(Box::new(buffer)))
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
