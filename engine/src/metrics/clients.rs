//! The figures of client libraries, and the brokers that do not answer them.

use std::collections::BTreeMap;
use std::time::Instant;

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
    /// Whether it is still asked. Where others lead its partitions, or nobody does, it is not, and nobody notices that it is back.
    #[serde(default)]
    pub is_asked: bool,
}

/// What a part of the pipeline knows of a broker that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerOutage {
    /// Its address.
    pub broker: String,
    /// When it was first found so.
    pub since: Instant,
    /// Why.
    pub reason: String,
    /// Whether it is still asked.
    pub is_asked: bool,
}

/// The brokers that do not answer, by the part of the pipeline that asks them.
#[derive(Debug, Default)]
pub(super) struct BrokersAway(BTreeMap<(String, String), BrokerOutage>);

impl BrokersAway {
    /// Sets all those of one part.
    pub(super) fn set(&mut self, who: &str, away: impl IntoIterator<Item = BrokerOutage>) {
        self.0.retain(|(other, _), _| other != who);
        for outage in away {
            if self.0.len() < BROKERS_MAX {
                self.0.insert((who.to_owned(), outage.broker.clone()), outage);
            }
        }
    }

    /// Each of them once, since the first part noticed it.
    pub(super) fn list(&self, now: Instant) -> Vec<BrokerAway> {
        let mut merged: BTreeMap<&str, BrokerAway> = BTreeMap::new();
        for outage in self.0.values() {
            let seconds = now.saturating_duration_since(outage.since).as_secs_f64();
            let away = merged.entry(&outage.broker).or_insert_with(|| BrokerAway {
                broker: outage.broker.clone(),
                seconds,
                reason: outage.reason.clone(),
                is_asked: false,
            });
            away.is_asked |= outage.is_asked;
            if seconds > away.seconds {
                (away.seconds, away.reason) = (seconds, outage.reason.clone());
            }
        }
        merged.into_values().collect()
    }
}

impl BrokerAway {
    /// `broker 127.0.0.1:9092 has not answered for 12 s (connection refused)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        let (broker, seconds) = (&self.broker, self.seconds.floor());
        match self.is_asked {
            true => format!("broker {broker} has not answered for {seconds:.0} s{reason}"),
            false => {
                format!("broker {broker} stopped answering {seconds:.0} s ago{reason}, and has not been asked since")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outage(broker: &str, since: Instant, reason: &str, is_asked: bool) -> BrokerOutage {
        BrokerOutage { broker: broker.to_owned(), since, reason: reason.to_owned(), is_asked }
    }

    #[test]
    fn a_broker_is_away_since_the_first_part_noticed_and_until_the_last_one_reaches_it() {
        let begin = Instant::now();
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let mut away = BrokersAway::default();
        away.set("source", [outage("a:1", at(5), "timed out", false)]);
        away.set("sink", [outage("a:1", at(2), "connection refused", true)]);
        let sentences = |away: &BrokersAway| away.list(at(10)).iter().map(BrokerAway::sentence).collect::<Vec<_>>();
        assert_eq!(sentences(&away), ["broker a:1 has not answered for 8 s (connection refused)"]);
        away.set("sink", []);
        assert_eq!(
            sentences(&away),
            ["broker a:1 stopped answering 5 s ago (timed out), and has not been asked since"]
        );
        away.set("source", (0..100).map(|n| outage(&format!("b:{n}"), at(0), "", true)));
        assert_eq!(sentences(&away).len(), BROKERS_MAX);
        assert_eq!(sentences(&away)[0], "broker b:0 has not answered for 10 s");
        away.set("source", []);
        assert!(sentences(&away).is_empty());
    }
}
