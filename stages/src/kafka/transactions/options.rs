//! `transactions = { … }`: the commit topic and the transaction timeout, for stages that can be part of a transaction.

use schemars::JsonSchema;
use serde::Deserialize;

use aqpipe_engine::stage::Problem;

use crate::kafka::topic_options::check_topic;

/// How commits are decided.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct TransactionOptions {
    /// The compacted topic that keeps positions and the state of transforms. It is created where it is missing; many
    /// pipelines can share it.
    #[serde(default = "topic")]
    pub(crate) topic: String,
    /// Copies of each record of that topic where it is created. Absent, 3, or as many as there are brokers.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) replication: Option<i32>,
    /// Seconds after which brokers undo a transaction whose process has died or is frozen. Until then others cannot go
    /// on with its partitions, unless it starts again.
    #[serde(default = "timeout_secs")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) timeout_secs: u32,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        TransactionOptions { topic: topic(), replication: None, timeout_secs: timeout_secs() }
    }
}

impl TransactionOptions {
    pub(crate) fn check(&self) -> Option<Problem> {
        check_topic(&["transactions", "topic"], &self.topic)
    }
}

fn topic() -> String {
    "aqpipe-commits".to_owned()
}

const fn timeout_secs() -> u32 {
    30
}
