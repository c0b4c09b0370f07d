//! Which brokers of a cluster do not answer although a client asks them, while others do.
//!
//! The lines of the library say that a broker failed and why, its reports whether it is asked and answers again. An address to start
//! from that is no broker's is neither: nobody needs it once another one has answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::metrics::BrokerOutage;
use rdkafka::statistics::Broker;

use super::outage::Outage;
use super::outage_teller::{OutageTeller, OutageTellers};

/// How many brokers are watched at once: a bound for addresses that always change.
const BROKERS_MAX: usize = 8;
/// What a report said counts for so long: clients report every five seconds.
const REPORT_VALID: Duration = Duration::from_secs(15);
/// How long one that is not asked any more is remembered: nobody would notice that it is back.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
/// Failures that say more than that a broker closed a connection that was idle.
const FAILURES_MIN: u32 = 2;

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
    failures: u32,
    /// When a report last said that it is asked and does not answer.
    confirmed: Option<Instant>,
    is_given_up: bool,
}

impl Failing {
    fn is_asked(&self, now: Instant) -> bool {
        self.confirmed.is_some_and(|confirmed| now.saturating_duration_since(confirmed) < REPORT_VALID)
    }
}

/// What is to be logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Away { broker: String, why: String, waited: Duration },
    Back { broker: String, waited: Duration },
    GivenUp { broker: String, why: String },
}

impl Change {
    pub(super) fn log(&self, pipeline: &str) {
        match self {
            Change::Away { broker, why, waited } => {
                let waited = waited.as_secs();
                tracing::warn!(
                    pipeline,
                    "broker {broker} does not answer ({why}), others do; still trying, {waited} s"
                );
            }
            Change::Back { broker, waited } => {
                tracing::info!(pipeline, "broker {broker} answers again, after {} s", waited.as_secs());
            }
            Change::GivenUp { broker, why } => {
                tracing::warn!(
                    pipeline,
                    "broker {broker} does not answer ({why}), and is not asked any more; others answer"
                );
            }
        }
    }
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
            Some(known) => {
                known.failures += 1;
                why.clone_into(&mut known.why);
            }
            None => {
                if self.failing.len() >= BROKERS_MAX {
                    self.failing.remove(0);
                }
                self.failing.push(Failing {
                    broker: broker.to_owned(),
                    why: why.to_owned(),
                    outage: Outage::new(now),
                    // Of one broker among several: that none answers is told by itself, also where there is only one.
                    teller: OutageTeller::new(tellers, &format!("broker {broker}")),
                    failures: 1,
                    confirmed: None,
                    is_given_up: false,
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
        let others_answer = self.others_answer(now);
        let mut changes = Vec::new();
        let state_of = |broker: &str| states.iter().find(|(other, _)| *other == broker).map(|(_, state)| *state);
        self.failing.retain_mut(|failing| {
            let (broker, since) = (failing.broker.clone(), failing.outage.since);
            let waited = now.saturating_duration_since(since);
            let told =
                |failing: &Failing| failing.teller.is_over() && (failing.is_given_up || failing.outage.is_reported());
            match state_of(&failing.broker) {
                Some(State::Answers) => {
                    changes.extend(told(failing).then_some(Change::Back { broker, waited }));
                    false
                }
                Some(State::IsAsked) => true,
                // Another client of the stage may ask it.
                Some(State::IsNotNeeded) if failing.is_asked(now) || waited < REPORT_VALID / 3 => true,
                // Where none answers, that is the line.
                Some(State::IsNotNeeded) if failing.failures >= FAILURES_MIN && others_answer => {
                    if !std::mem::replace(&mut failing.is_given_up, true) && failing.teller.tells(true, now) {
                        changes.push(Change::GivenUp { broker, why: failing.why.clone() });
                    }
                    waited < FORGOTTEN_AFTER
                }
                // The cluster has it no more, or another client knows it.
                Some(State::IsNotNeeded) | None => waited < REPORT_VALID,
            }
        });
        let others_answer = self.others_answer(now);
        for failing in &mut self.failing {
            if state_of(&failing.broker) != Some(State::IsAsked) {
                continue;
            }
            (failing.confirmed, failing.is_given_up) = (Some(now), false);
            // Where none answers, that is the line.
            let is_due = failing.outage.is_report_due(now) && others_answer;
            if failing.teller.tells(is_due, now) {
                let waited = now.saturating_duration_since(failing.outage.since);
                changes.push(Change::Away { broker: failing.broker.clone(), why: failing.why.clone(), waited });
            }
        }
        changes
    }

    /// The brokers that a client asks in vain, and those that it asked until they failed.
    pub(super) fn away(&self, now: Instant) -> Vec<BrokerOutage> {
        let away = |failing: &Failing| BrokerOutage {
            broker: failing.broker.clone(),
            since: failing.outage.since,
            reason: failing.why.clone(),
            is_asked: failing.is_asked(now),
        };
        self.failing.iter().filter(|failing| failing.is_given_up || failing.is_asked(now)).map(away).collect()
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
            Change::GivenUp { .. } => ("given up", 0),
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
        let away = |is_asked: bool, since: u64| BrokerOutage {
            broker: "b:1".to_owned(),
            since: at(since),
            reason: "connection refused".to_owned(),
            is_asked,
        };
        assert_eq!(watch.away(at(6)), [away(true, 2)]);
        assert!(report(&mut watch, "CONNECT", 10).is_empty(), "it was told a moment ago");
        assert_eq!(seconds(&report(&mut watch, "DOWN", 15)), [("away", 13)]);
        assert_eq!(seconds(&report(&mut watch, "UP", 20)), [("back", 18)]);
        assert!(watch.away(at(20)).is_empty());
        watch.failed("b:1", "disconnected", &tellers, at(30));
        watch.failed("b:1", "connection refused", &tellers, at(31));
        assert_eq!(seconds(&report(&mut watch, "DOWN", 32)), [("away", 2)]);
        assert!(report(&mut watch, "INIT", 40).is_empty(), "another client may ask it");
        assert_eq!(seconds(&report(&mut watch, "INIT", 50)), [("given up", 0)]);
        assert!(report(&mut watch, "INIT", 60).is_empty() && watch.away(at(60)) == [away(false, 30)]);
        assert_eq!(seconds(&report(&mut watch, "UP", 70)), [("back", 40)]);
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
        for secs in [11, 20, 30] {
            assert!(
                watch.report([up(), broker("b:1", 2, "INIT")].iter(), at(secs)).is_empty(),
                "one failure says nothing"
            );
        }
        assert!(watch.failing.is_empty());
        assert!((0..2).all(|_| watch.failed("b:1", "timed out", &tellers, at(40))));
        assert_eq!(seconds(&watch.report([up(), broker("b:1", 2, "INIT")].iter(), at(50))), [("given up", 0)]);
        assert_eq!(watch.away(at(50)).len(), 1);
        watch.report([up(), broker("b:1", 2, "INIT")].iter(), at(40) + FORGOTTEN_AFTER);
        assert!(watch.failing.is_empty(), "nobody knows whether it is still so");
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
    fn the_only_broker_that_nobody_asks_for_a_moment_is_not_one_of_several() {
        let (mut watch, tellers, begin) = (BrokerWatch::default(), Arc::<OutageTellers>::default(), Instant::now());
        let at = |secs: u64| begin + Duration::from_secs(secs);
        watch.report([broker("a:1", 1, "UP")].iter(), at(0));
        assert!((1..=3).all(|secs| !watch.failed("a:1", "connection refused", &tellers, at(secs))));
        assert!(watch.report([broker("a:1", 1, "INIT")].iter(), at(7)).is_empty());
        assert!(OutageTeller::new(&tellers, "a:1").tells(true, at(8)), "another client tells that none answers");
    }

    #[test]
    fn addresses_that_always_change_take_bounded_memory() {
        let (mut watch, tellers, now) = (BrokerWatch::default(), Arc::default(), Instant::now());
        assert!((0..1_000).all(|n| !watch.failed(&format!("a:{n}"), "", &tellers, now)));
        assert_eq!(watch.failing.len(), BROKERS_MAX);
    }
}
