//! The figures of client libraries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client library measured of its connections, at its last report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientFigures {
    /// The stage that the client belongs to, and its kind: `kafka consumer`, `kafka producer`.
    pub client: String,
    /// Mean round trip to the brokers in seconds, over the last interval.
    pub round_trip_seconds: Option<f64>,
    /// Requests that were sent again, since the client was made.
    pub request_retries: u64,
    /// Requests and responses that ran into a timeout, since the client was made.
    pub request_timeouts: u64,
    /// Messages that wait in the client to be sent.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Messages that were fetched and wait to be read.
    pub fetched_messages: u64,
    /// Brokers that the client is connected to.
    pub brokers_up: u64,
}
