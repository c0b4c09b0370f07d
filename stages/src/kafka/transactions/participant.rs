//! The stages that take part in a pipeline's transactions, and the configuration of the producer that follows from them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rdkafka::ClientConfig;

use super::options::TransactionOptions;
use crate::kafka::endpoint::KafkaEndpoint;
use crate::kafka::producer_config;
use crate::kafka::topic_options::CreateTopic;

/// The role of a stage in transactions. The first of a pipeline's stages configures the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParticipantKind {
    Sink,
    DeadLetter,
    Source,
}

/// A stage that can be part of transactions.
#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) kind: ParticipantKind,
    /// Its name in messages.
    pub(crate) stage: Arc<str>,
    pub(crate) endpoint: KafkaEndpoint,
    /// Properties of the producer that follow from the stage's options.
    pub(crate) producer_properties: BTreeMap<&'static str, String>,
    /// The topic that it writes, and how that is created where it is missing.
    pub(crate) output_topic: Option<(String, Option<CreateTopic>)>,
    pub(crate) options: Option<TransactionOptions>,
}

impl Participant {
    /// The configuration of the producer that this stage leads, and the most bytes of a record by topic. `topics` are those
    /// that are written, with the largest batch of each where that is known.
    pub(super) fn producer_config(
        &self,
        options: &TransactionOptions,
        topics: &[(String, Option<usize>)],
    ) -> (ClientConfig, HashMap<String, usize>) {
        let batch_bytes_max = || topics.iter().filter_map(|(_, limit)| *limit);
        let timeout_ms = u64::from(options.timeout_secs) * 1_000;
        let mut config = self.endpoint.client_config();
        producer_config::set_defaults(&mut config, batch_bytes_max());
        config.set("compression.codec", "lz4");
        // After a commit the brokers are busy with it for a moment; the default asks again after 100 ms.
        config.set("retry.backoff.ms", "5").set("retry.backoff.max.ms", "1000");
        for (name, value) in &self.producer_properties {
            config.set(*name, value);
        }
        if self.kind != ParticipantKind::Source {
            self.endpoint.properties().apply(&mut config);
        }
        // All records of a transaction are there when it begins, and the end of it is flushed. Without this time, a thread of the
        // library turns in a loop while a record waits for the batch before it.
        config.set("linger.ms", "20");
        // That a record has arrived is known by the commit.
        config.set("delivery.report.only.error", "true");
        config.set("transaction.timeout.ms", timeout_ms.to_string());
        let socket_timeout_ms = config.get("socket.timeout.ms").and_then(|text| text.parse::<u64>().ok());
        if socket_timeout_ms.is_some_and(|asked| asked > timeout_ms) {
            // The library takes no longer one beside transactions.
            config.set("socket.timeout.ms", timeout_ms.to_string());
        }
        producer_config::limit_batches(&mut config, batch_bytes_max());
        let record_bytes_max = |(topic, limit): &(String, Option<usize>)| {
            (topic.clone(), producer_config::record_bytes_max(&config, *limit))
        };
        let record_bytes_max = topics.iter().map(record_bytes_max).collect();
        (config, record_bytes_max)
    }
}
