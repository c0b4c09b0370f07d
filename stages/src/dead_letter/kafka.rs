//! Dead letters to a Kafka topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::{LaneId, Span};
use aqpipe_engine::stage::{
    BuildContext, DeadEnd, DeadLetter, DeadLetterConfig, DeadWriter, Delivery, Descriptor, End, Problem,
};
use parking_lot::Mutex;
use rdkafka::message::{Header, OwnedHeaders};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kafka::Embedded;
use crate::kafka::client::{self, Connection, Watch};
use crate::kafka::outbox::{self, Mailbox, Posted};
use crate::kafka::properties::{Owned, Properties, Side};
use crate::kafka::security::Security;
use crate::kafka::target::Target;
use crate::kafka::topics::CreateTopic;

inventory::submit! { Descriptor::dead_letter::<KafkaDeadLetterConfig>() }

/// How many bytes of dead letters a lane keeps before it is cut.
const FULL: usize = 4 << 20;

/// Writes the records that could not be carried to a Kafka topic: the value is the record's bytes as they were read,
/// and the headers `aqpipe.pipeline`, `aqpipe.lane`, `aqpipe.position`, `aqpipe.place`, `aqpipe.stage` and
/// `aqpipe.reason` say where they come from and what is wrong with them.
///
/// Bytes beyond what the topic takes are cut off; the header `aqpipe.length` then has the whole length.
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
    /// Encryption and identity. Absent, the connection is in plain text.
    #[serde(default)]
    security: Option<Security>,
    /// Any other property of librdkafka by its own name.
    #[serde(default)]
    librdkafka: Properties,
}

const OWNED: &[Owned] = &[
    ("enable.idempotence", "dead letters are always written by an idempotent producer"),
    ("acks", "dead letters are always acknowledged by all replicas"),
    ("allow.auto.create.topics", "set `create_topic`"),
];

impl DeadLetterConfig for KafkaDeadLetterConfig {
    const NAME: &'static str = "kafka";
    const EXAMPLE: &'static str = "\
brokers = \"localhost:9092\"
topic = \"air-quality-dead-letters\"
create_topic = { partitions = 1, replication = 1 }
";

    fn check(&self) -> Result<(), Vec<Problem>> {
        let owned: Vec<Owned> = OWNED.iter().chain(outbox::OWNED).copied().collect();
        let security = self.security.as_ref();
        let mut problems = client::check(&self.brokers, security, &self.librdkafka, Side::Producer, &owned);
        problems.extend(client::check_topic(&["topic"], &self.topic));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    fn writes(&self) -> Vec<String> {
        vec![format!("kafka:{}", self.topic)]
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn DeadEnd>> {
        let embedded = cx.shared.get::<Embedded>();
        if let Some(embedded) = &embedded {
            embedded.create_topic(&self.topic, self.create_topic.unwrap_or_default().partitions)?;
        }
        let own = [("enable.idempotence", "true"), ("acks", "all"), ("compression.codec", "lz4")];
        let target = Target {
            connection: Connection::new(&self.brokers, self.security.as_ref(), &self.librdkafka, cx),
            topic: self.topic.clone(),
            create: self.create_topic,
            own: own.into_iter().map(|(name, value)| (name, value.to_owned())).collect::<BTreeMap<_, _>>(),
            watch: Arc::new(Watch::new(cx)),
            embedded,
            given_up: Arc::default(),
            outbox: Mutex::default(),
        };
        Ok(Arc::new(KafkaDeadLetters { target, pipeline: Arc::clone(&cx.pipeline) }))
    }
}

struct KafkaDeadLetters {
    target: Target,
    pipeline: Arc<str>,
}

impl End for KafkaDeadLetters {
    fn claim(&self) -> Result<()> {
        self.target.outbox().map(drop)
    }

    fn close(&self, until: Instant) -> Result<()> {
        self.target.close(until)
    }
}

impl DeadEnd for KafkaDeadLetters {
    fn open(&self, lane: &LaneId, _: u64) -> Result<Box<dyn DeadWriter>> {
        Ok(Box::new(KafkaDeadWriter {
            mailbox: Mailbox::new(self.target.outbox()?),
            pipeline: Arc::clone(&self.pipeline),
            lane: Arc::clone(lane),
            waiting: Vec::new(),
            bytes: 0,
        }))
    }
}

struct KafkaDeadWriter {
    mailbox: Mailbox,
    pipeline: Arc<str>,
    lane: LaneId,
    waiting: Vec<DeadLetter>,
    bytes: usize,
}

fn header(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

impl KafkaDeadWriter {
    fn headers(&self, letter: &DeadLetter) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(7);
        let headers = header(headers, "aqpipe.pipeline", &self.pipeline);
        let headers = header(headers, "aqpipe.lane", &self.lane);
        let headers = header(headers, "aqpipe.position", &letter.origin.to_string());
        let headers = header(headers, "aqpipe.place", letter.place.as_deref().unwrap_or_default());
        let headers = header(headers, "aqpipe.stage", &letter.stage);
        header(headers, "aqpipe.reason", &letter.reason)
    }

    fn send(&mut self, letter: &DeadLetter) -> Result<()> {
        let mut headers = self.headers(letter);
        // The headers' names and lengths need less than 256 bytes.
        let place = letter.place.as_ref().map_or(0, String::len);
        let known = self.pipeline.len() + self.lane.len() + place + letter.stage.len() + letter.reason.len() + 256;
        let room = self.mailbox.outbox().largest().saturating_sub(known);
        let mut raw = letter.raw.as_deref();
        if let Some(whole) = raw.filter(|raw| raw.len() > room) {
            headers = header(headers, "aqpipe.length", &whole.len().to_string());
            raw = Some(&whole[..room]);
        }
        match self.mailbox.post(None, raw, Some(headers))? {
            Posted::Sent => Ok(()),
            Posted::TooLarge => Err(aqpipe_engine::Error::new("a dead letter is larger than the topic takes")
                .at(letter.place.clone().unwrap_or_else(|| format!("{}@{}", self.lane, letter.origin)))
                .help("raise `max.message.bytes` of the topic")),
        }
    }
}

impl DeadWriter for KafkaDeadWriter {
    fn write(&mut self, letters: Vec<DeadLetter>) -> Result<()> {
        self.bytes += letters.iter().map(|letter| letter.raw.as_ref().map_or(0, Vec::len) + 256).sum::<usize>();
        self.waiting.extend(letters);
        Ok(())
    }

    fn prepare(&mut self, _: Span) -> Result<Vec<u8>> {
        for letter in std::mem::take(&mut self.waiting) {
            self.send(&letter)?;
        }
        self.bytes = 0;
        self.mailbox.drain()?;
        Ok(Vec::new())
    }

    fn is_full(&self) -> bool {
        self.bytes >= FULL
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
        let problems = config.check().expect_err("problems");
        assert_eq!(problems.iter().map(|p| p.path[0].as_str()).collect::<Vec<_>>(), ["brokers", "topic"]);
    }
}
