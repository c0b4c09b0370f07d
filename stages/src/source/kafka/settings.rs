//! The settings of a source, and the configuration of its consumer.

use std::sync::Arc;

use aqpipe_engine::stage::Latch;
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message_decoder::MessageOptions;
use crate::kafka::endpoint::KafkaEndpoint;
use crate::kafka::transactions::TransactionManager;
use crate::reading::SampleRules;

/// Where a partition starts that the group has read nothing of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum StartOffset {
    #[default]
    Earliest,
    Latest,
}

/// How the group distributes partitions among its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Assignment {
    #[default]
    Eager,
    Cooperative,
}

/// What becomes of a message without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Tombstones {
    #[default]
    Skip,
    DeadLetter,
}

/// The settings of a source.
pub(super) struct Settings {
    pub(super) endpoint: KafkaEndpoint,
    pub(super) transactions: Arc<TransactionManager>,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) start: StartOffset,
    pub(super) assignment: Assignment,
    /// The identity of a static member; `None` for a dynamic one.
    pub(super) static_member: Option<String>,
    pub(super) until_end: bool,
    pub(super) session_timeout_secs: u32,
    pub(super) messages: MessageOptions,
    pub(super) sample: Arc<SampleRules>,
    /// The fields that are declared.
    pub(super) declared: Vec<Arc<str>>,
    pub(super) tombstones: Tombstones,
    pub(super) upstream: Arc<Latch>,
}

impl Settings {
    pub(super) fn topics(&self) -> Vec<&str> {
        self.topics.iter().map(String::as_str).collect()
    }

    pub(super) fn consumer_config(&self) -> ClientConfig {
        let mut config = self.endpoint.client_config();
        let session = u64::from(self.session_timeout_secs) * 1_000;
        config.set("group.id", &self.group);
        config.set("session.timeout.ms", session.to_string());
        config.set("heartbeat.interval.ms", (session / 3).clamp(100, 3_000).to_string());
        config.set("max.poll.interval.ms", session.max(300_000).to_string());
        let strategy = match self.assignment {
            Assignment::Eager => "range",
            Assignment::Cooperative => "cooperative-sticky",
        };
        config.set("partition.assignment.strategy", strategy);
        if let Some(member) = &self.static_member {
            config.set("group.instance.id", member);
        }
        // The engine keeps positions: it says where a split starts, and when its records are committed.
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed");
        // A fetch for a full partition waits until one for partitions at their end has returned, which takes so long. A full queue
        // is work for longer than that; with the default of 500 ms the split would wait. Where the run ends with its splits, the end of
        // the last partition is heard of so late.
        config.set("fetch.wait.max.ms", if self.until_end { "20" } else { "50" });
        // New partitions are seen within half a minute.
        config.set("topic.metadata.refresh.interval.ms", "30000");
        // The pause before a full queue is fetched for again; the default of a second stalls the split for that long.
        config.set("fetch.queue.backoff.ms", "10");
        // For the queue of each partition, of which there is one a split.
        config.set("queued.min.messages", "50000");
        config.set("queued.max.messages.kbytes", "16384");
        self.endpoint.properties().apply(&mut config);
        aqpipe_librdkafka::configure(&mut config);
        config
    }
}
