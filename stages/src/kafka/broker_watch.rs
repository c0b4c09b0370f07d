//! Which brokers of a cluster do not answer although a client asks them, while others do.
//!
//! The lines of the library say that a broker failed and why, its reports whether it is asked and answers again. An address to start
//! from that is no broker's is neither: nobody needs it once another one has answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::statistics::Broker;

use super::outage::Outage;
use super::outage_teller::{OutageTeller, OutageTellers};

/// How many brokers are watched at once: a bound for addresses that always change.
const BROKERS_MAX: usize = 8;
/// What a report said counts for so long: clients report every five seconds.
const REPORT_VALID: Duration = Duration::from_secs(15);

/// The brokers that failed and have not answered since.
#[derive(Default)]
pub(super) struct BrokerWatch {
    failing: Vec<Failing>,
    /// Those that answered at the time of the last report.
    answering: Vec<String>,
    reported: Option<Instant>,
}

struct Failing {
    broker: String,
    why: String,
    outage: Outage,
    teller: OutageTeller,
    /// When a report last said that it is asked and does not answer.
    confirmed: Option<Instant>,
}

/// What is to be logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Away { broker: String, why: String, waited: Duration },
    Back { broker: String, waited: Duration },
    NotNeeded { broker: String },
}

/// What a report says of a broker of the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Answers,
    IsAsked,
    IsNotNeeded,
}

impl BrokerWatch {
    /// A broker failed. Returns whether others answer.
    pub(super) fn failed(&mut self, broker: &str, why: &str, tellers: &Arc<OutageTellers>, now: Instant) -> bool {
        match self.failing.iter_mut().find(|failing| failing.broker == broker) {
            Some(known) => why.clone_into(&mut known.why),
            None => {
                if self.failing.len() >= BROKERS_MAX {
                    self.failing.remove(0);
                }
                self.failing.push(Failing {
                    broker: broker.to_owned(),
                    why: why.to_owned(),
                    outage: Outage::new(now),
                    teller: OutageTeller::new(tellers, broker),
                    confirmed: None,
                });
            }
        }
        self.others_answer(now)
    }

    /// Whether a broker that did not fail since has answered a moment ago.
    pub(super) fn others_answer(&self, now: Instant) -> bool {
        let fails = |broker: &String| self.failing.iter().any(|failing| failing.broker == *broker);
        self.reported.is_some_and(|reported| now.saturating_duration_since(reported) < REPORT_VALID)
            && self.answering.iter().any(|broker| !fails(broker))
    }

    /// No broker answers.
    pub(super) fn all_failed(&mut self) {
        self.answering.clear();
    }

    /// Takes what a client reports of the brokers. Returns what is to be logged.
    pub(super) fn report<'b>(&mut self, brokers: impl Iterator<Item = &'b Broker>, now: Instant) -> Vec<Change> {
        // A broker that the configuration names is one of the cluster once that has said so; until then it has no number.
        let named = brokers.filter(|broker| broker.nodeid >= 0 && !matches!(&*broker.source, "logical" | "internal"));
        let states: Vec<(&str, State)> = named.map(|broker| (&*broker.nodename, state(&broker.state))).collect();
        let answering = states.iter().filter(|(_, state)| *state == State::Answers);
        self.answering = answering.map(|(broker, _)| (*broker).to_owned()).collect();
        self.reported = Some(now);
        let mut changes = Vec::new();
        let state_of = |broker: &str| states.iter().find(|(other, _)| *other == broker).map(|(_, state)| *state);
        self.failing.retain(|failing| {
            let state = state_of(&failing.broker);
            let is_over = match state {
                Some(State::Answers) => true,
                Some(State::IsAsked) => false,
                // Another client of the stage may ask it.
                Some(State::IsNotNeeded) | None => {
                    let last = failing.confirmed.unwrap_or(failing.outage.since);
                    now.saturating_duration_since(last) >= REPORT_VALID
                }
            };
            if is_over && failing.teller.is_over() && failing.outage.is_reported() {
                let (broker, waited) = (failing.broker.clone(), now.saturating_duration_since(failing.outage.since));
                changes.push(match state {
                    Some(State::Answers) => Change::Back { broker, waited },
                    _ => Change::NotNeeded { broker },
                });
            }
            !is_over
        });
        let others_answer = self.others_answer(now);
        for failing in &mut self.failing {
            if state_of(&failing.broker) != Some(State::IsAsked) {
                continue;
            }
            failing.confirmed = Some(now);
            // Where none answers, that is the line.
            let is_due = failing.outage.is_report_due(now) && others_answer;
            if failing.teller.tells(is_due, now) {
                let waited = now.saturating_duration_since(failing.outage.since);
                changes.push(Change::Away { broker: failing.broker.clone(), why: failing.why.clone(), waited });
            }
        }
        changes
    }

    /// The brokers that a client asks in vain: since when, and why.
    pub(super) fn away(&self, now: Instant) -> Vec<(String, Instant, String)> {
        let is_confirmed = |failing: &&Failing| {
            failing.confirmed.is_some_and(|confirmed| now.saturating_duration_since(confirmed) < REPORT_VALID)
        };
        let away = |failing: &Failing| (failing.broker.clone(), failing.outage.since, failing.why.clone());
        self.failing.iter().filter(is_confirmed).map(away).collect()
    }
}

fn state(state: &str) -> State {
    match state {
        "UP" | "UPDATE" | "REAUTH" => State::Answers,
        // Nobody has asked it yet, or any more.
        "INIT" => State::IsNotNeeded,
        _ => State::IsAsked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(nodename: &str, nodeid: i32, state: &str) -> Broker {
        Broker { nodename: nodename.to_owned(), nodeid, state: state.to_owned(), ..Broker::default() }
    }

    fn seconds(changes: &[Change]) -> Vec<(&str, u64)> {
        let one = |change: &Change| match change {
            Change::Away { waited, .. } => ("away", waited.as_secs()),
            Change::Back { waited, .. } => ("back", waited.as_secs()),
            Change::NotNeeded { .. } => ("not needed", 0),
        };
        changes.iter().map(one).collect()
    }

    #[test]
    fn one_of_several_that_does_not_answer_is_named_until_it_does() {
        let (mut watch, tellers, begin) = (BrokerWatch::default(), Arc::default(), Instant::now());
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let report = |watch: &mut BrokerWatch, state: &str, secs: u64| {
            let bootstrap = Broker { state: "DOWN".to_owned(), ..broker("dead:1", -1, "DOWN") };
            watch.report([broker("a:1", 1, "UP"), broker("b:1", 2, state), bootstrap].iter(), at(secs))
        };
        assert!(report(&mut watch, "UP", 0).is_empty() && watch.away(at(0)).is_empty());
        assert!(watch.failed("b:1", "disconnected", &tellers, at(2)), "the other one answers");
        assert!(watch.away(at(3)).is_empty(), "nobody has said yet that it is needed");
        assert_eq!(seconds(&report(&mut watch, "TRY_CONNECT", 5)), [("away", 3)]);
        assert!(watch.failed("b:1", "connection refused", &tellers, at(6)));
        assert_eq!(watch.away(at(6)), [("b:1".to_owned(), at(2), "connection refused".to_owned())]);
        assert!(report(&mut watch, "CONNECT", 10).is_empty(), "it was told a moment ago");
        assert_eq!(seconds(&report(&mut watch, "DOWN", 15)), [("away", 13)]);
        assert_eq!(seconds(&report(&mut watch, "UP", 20)), [("back", 18)]);
        assert!(watch.away(at(20)).is_empty());
        watch.failed("b:1", "disconnected", &tellers, at(30));
        assert_eq!(seconds(&report(&mut watch, "DOWN", 32)), [("away", 2)]);
        assert!(report(&mut watch, "INIT", 40).is_empty(), "another client may ask it");
        assert_eq!(seconds(&report(&mut watch, "INIT", 50)), [("not needed", 0)]);
    }

    #[test]
    fn one_that_nobody_asks_any_more_is_forgotten_and_a_short_break_is_not_told() {
        let (mut watch, tellers, begin) = (BrokerWatch::default(), Arc::default(), Instant::now());
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let up = || broker("a:1", 1, "UP");
        watch.report([up()].iter(), at(0));
        watch.failed("b:1", "disconnected", &tellers, at(1));
        assert!(watch.report([up(), broker("b:1", 2, "UP")].iter(), at(2)).is_empty(), "it closed an idle connection");
        watch.failed("b:1", "disconnected", &tellers, at(10));
        assert!(watch.report([up(), broker("b:1", 2, "INIT")].iter(), at(11)).is_empty());
        assert!(watch.report([up()].iter(), at(30)).is_empty() && watch.failing.is_empty());
    }

    #[test]
    fn where_the_only_one_fails_or_all_do_no_other_answers() {
        let (mut watch, tellers, now) = (BrokerWatch::default(), Arc::default(), Instant::now());
        watch.report([broker("a:1", 1, "UP")].iter(), now);
        assert!(!watch.failed("a:1", "disconnected", &tellers, now));
        watch.report([broker("a:1", 1, "UP"), broker("b:1", 2, "UP")].iter(), now);
        assert!(watch.failed("b:1", "disconnected", &tellers, now));
        watch.all_failed();
        assert!(!watch.failed("b:1", "disconnected", &tellers, now));
        watch.report([broker("a:1", 1, "UP"), broker("b:1", 2, "DOWN")].iter(), now);
        assert!(!watch.failed("b:1", "disconnected", &tellers, now + REPORT_VALID), "that was long ago");
    }

    #[test]
    fn addresses_that_always_change_take_bounded_memory() {
        let (mut watch, tellers, now) = (BrokerWatch::default(), Arc::default(), Instant::now());
        (0..1_000).for_each(|n| drop(watch.failed(&format!("a:{n}"), "", &tellers, now)));
        assert_eq!(watch.failing.len(), BROKERS_MAX);
    }
}
