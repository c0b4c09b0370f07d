//! The figures of client libraries, and the brokers that do not answer them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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

/// Brokers that are told apart: a bound for addresses that always change.
const BROKERS_MAX: usize = 20;

/// A broker that a client asks and that does not answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerAway {
    /// Its address, or those that were tried where none has answered yet.
    pub broker: String,
    /// Seconds since it was first found so.
    pub seconds: f64,
    /// Why, as far as it is known: `connection refused`.
    pub reason: String,
}

/// The brokers that do not answer, by the part of the pipeline that asks them.
#[derive(Debug, Default)]
pub(super) struct BrokersAway(BTreeMap<(String, String), (Instant, String)>);

impl BrokersAway {
    /// Sets all those of one part.
    pub(super) fn set(&mut self, who: &str, away: impl IntoIterator<Item = (String, Instant, String)>) {
        self.0.retain(|(other, _), _| other != who);
        for (broker, since, reason) in away {
            if self.0.len() < BROKERS_MAX {
                self.0.insert((who.to_owned(), broker), (since, reason));
            }
        }
    }

    /// Each of them once, since the first part noticed it.
    pub(super) fn list(&self, now: Instant) -> Vec<BrokerAway> {
        let mut merged: BTreeMap<&str, (Duration, &str)> = BTreeMap::new();
        for ((_, broker), (since, reason)) in &self.0 {
            let passed = now.saturating_duration_since(*since);
            let entry = merged.entry(broker).or_insert((passed, reason));
            if passed > entry.0 {
                *entry = (passed, reason);
            }
        }
        let away = |(broker, (passed, reason)): (&str, (Duration, &str))| BrokerAway {
            broker: broker.to_owned(),
            seconds: passed.as_secs_f64(),
            reason: reason.to_owned(),
        };
        merged.into_iter().map(away).collect()
    }
}

impl BrokerAway {
    /// `broker 127.0.0.1:9092 has not answered for 12 s (connection refused)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        format!("broker {} has not answered for {:.0} s{reason}", self.broker, self.seconds.floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_away_since_the_first_part_noticed_and_until_the_last_one_reaches_it() {
        let begin = Instant::now();
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let mut away = BrokersAway::default();
        away.set("source", [("a:1".to_owned(), at(5), "timed out".to_owned())]);
        away.set("sink", [("a:1".to_owned(), at(2), "connection refused".to_owned())]);
        let sentences = |away: &BrokersAway| away.list(at(10)).iter().map(BrokerAway::sentence).collect::<Vec<_>>();
        assert_eq!(sentences(&away), ["broker a:1 has not answered for 8 s (connection refused)"]);
        away.set("sink", []);
        assert_eq!(sentences(&away), ["broker a:1 has not answered for 5 s (timed out)"]);
        away.set("source", (0..100).map(|n| (format!("b:{n}"), at(0), String::new())));
        assert_eq!(sentences(&away).len(), BROKERS_MAX);
        assert_eq!(sentences(&away)[0], "broker b:0 has not answered for 10 s");
        away.set("source", []);
        assert!(sentences(&away).is_empty());
    }
}
