//! The plan of a trial: the fault of each round and its timing, derived from the seed.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::faults::{
    CUT_INTERVAL, Fault, FaultKind, Path, PathSpelling, Placement, SESSION_TIMEOUT_SECS, Termination, Timing,
};

/// One round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) timing: Timing,
    pub(crate) fault: Fault,
}

/// Everything that the seed decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) rounds: Vec<Round>,
    pub(crate) sources: u32,
    pub(crate) partitions: i32,
    /// Whether dead letters go to a topic rather than to files, on a path with Kafka.
    pub(crate) dead_letters_to_kafka: bool,
    pub(crate) commit_interval_ms: u64,
    pub(crate) batch_size: u64,
    /// The transaction timeout in seconds. Its smallest value is shorter than a process is frozen or a broker is away.
    pub(crate) transaction_secs: u64,
    /// Whether partitions of a path from Kafka move one by one.
    pub(crate) cooperative: bool,
    /// The seed of the proxy.
    pub(crate) proxy: u64,
}

/// The input of a plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanRequest {
    pub(crate) path: Path,
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    pub(crate) proxy: bool,
    pub(crate) brokers: u16,
    /// The kinds of faults to plan; all of them where it is empty.
    pub(crate) only: Vec<FaultKind>,
    /// How many stations the readings are of, where the seed does not decide it.
    pub(crate) stations: Option<u32>,
}

impl Plan {
    pub(crate) fn new(request: &PlanRequest) -> Plan {
        // Each path has a random sequence of its own, whichever other paths are run.
        let path = Path::ALL.iter().position(|path| *path == request.path).unwrap_or_default() as u64;
        let mut rng = ChaCha8Rng::seed_from_u64(request.seed);
        rng.set_stream(2 * path + u64::from(request.proxy));
        let mut plan = Plan {
            rounds: Vec::with_capacity(request.rounds),
            sources: rng.random_range(5..=9),
            partitions: rng.random_range(3..=5),
            dead_letters_to_kafka: rng.random(),
            commit_interval_ms: [50, 100, 300][rng.random_range(0..3)],
            batch_size: rng.random_range(10..=60),
            transaction_secs: 0,
            cooperative: false,
            proxy: rng.random(),
        };
        let fault_kinds = fault_kinds(request);
        let mut deck: Vec<FaultKind> = Vec::new();
        while plan.rounds.len() < request.rounds {
            if deck.is_empty() {
                deck.clone_from(&fault_kinds);
                deck.shuffle(&mut rng);
            }
            // Where no requested kind applies to the path, the deck is empty.
            let Some(kind) = deck.pop() else { break };
            plan.rounds.push(Round { timing: timing(&mut rng, request.path), fault: fault(&mut rng, kind, request) });
        }
        // Behind the proxy no less than a client's request timeout.
        plan.transaction_secs = [if request.proxy { 6 } else { 3 }, 10, 30][rng.random_range(0..3)];
        plan.cooperative = rng.random();
        plan.sources = request.stations.unwrap_or(plan.sources);
        plan
    }
}

/// About how long a killed broker takes to restart.
const BROKER_RESTART_DURATION: Duration = Duration::from_secs(6);
/// About how long a round takes beside its fault.
const ROUND_OVERHEAD: Duration = Duration::from_millis(300);

impl Plan {
    /// About how long all rounds of a path from a file take; rather too long than too short.
    pub(crate) fn duration(&self) -> Duration {
        let round = |round: &Round| {
            let (Timing::AfterRound(before) | Timing::AfterProgress(before)) = round.timing;
            let during = match round.fault {
                Fault::KillBroker { away, .. } => away + BROKER_RESTART_DURATION,
                Fault::Delay(_, long) | Fault::Stall(long) | Fault::HalfClose(long) => long,
                Fault::CutConnections(times) => CUT_INTERVAL * times,
                // A paced source catches up afterwards.
                Fault::Freeze(_) => Duration::from_secs(2 * SESSION_TIMEOUT_SECS),
                _ => Duration::ZERO,
            };
            before + during + ROUND_OVERHEAD
        };
        self.rounds.iter().map(round).sum::<Duration>().mul_f64(1.3)
    }
}

fn fault_kinds(request: &PlanRequest) -> Vec<FaultKind> {
    let mut fault_kinds = if request.proxy {
        vec![FaultKind::Cut, FaultKind::Cut, FaultKind::Slow, FaultKind::Still, FaultKind::Halve]
    } else {
        signal_faults(request)
    };
    fault_kinds.retain(|kind| request.only.is_empty() || request.only.contains(kind));
    fault_kinds
}

fn signal_faults(request: &PlanRequest) -> Vec<FaultKind> {
    let mut fault_kinds = vec![FaultKind::Kill, FaultKind::Kill, FaultKind::Term, FaultKind::Freeze];
    if request.path.needs_kafka() && request.brokers >= 3 {
        fault_kinds.push(FaultKind::Broker);
    }
    if request.path.reads_kafka() {
        fault_kinds.extend([FaultKind::Second, FaultKind::Second]);
    } else {
        fault_kinds.extend([FaultKind::Refused, FaultKind::Respelt]);
    }
    if request.path.needs_kafka() {
        // From files to files the state directory is the only record of commits.
        fault_kinds.push(FaultKind::Lost);
    }
    fault_kinds
}

fn millis(rng: &mut ChaCha8Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.random_range(from..to))
}

fn timing(rng: &mut ChaCha8Rng, path: Path) -> Timing {
    // A consumer takes seconds until partitions are assigned to it; a file source reads at once.
    let start = if path.reads_kafka() { 3_000 } else { 300 };
    if rng.random_ratio(1, 3) {
        Timing::AfterRound(millis(rng, 0, start))
    } else {
        Timing::AfterProgress(millis(rng, 0, 1_500))
    }
}

fn termination(rng: &mut ChaCha8Rng) -> Termination {
    if rng.random() { Termination::Kill } else { Termination::Terminate }
}

fn placement(rng: &mut ChaCha8Rng) -> Placement {
    if rng.random_ratio(1, 3) { Placement::OtherHost } else { Placement::SameHost }
}

fn fault(rng: &mut ChaCha8Rng, kind: FaultKind, request: &PlanRequest) -> Fault {
    match kind {
        FaultKind::Kill => Fault::Restart(Termination::Kill),
        FaultKind::Term => Fault::Restart(Termination::Terminate),
        FaultKind::Lost => Fault::LoseState,
        FaultKind::Respelt => {
            Fault::RespellInput(PathSpelling::OTHERS[rng.random_range(0..PathSpelling::OTHERS.len())], termination(rng))
        }
        FaultKind::Freeze if request.path.reads_kafka() && rng.random() => {
            Fault::Freeze(Some((placement(rng), termination(rng))))
        }
        FaultKind::Freeze => Fault::Freeze(None),
        FaultKind::Broker => Fault::KillBroker {
            node: rng.random_range(1..=request.brokers),
            away: millis(rng, 0, 3_000),
            killed: rng.random_ratio(1, 3),
        },
        FaultKind::Second => Fault::SecondInstance {
            placement: placement(rng),
            stay: millis(rng, 500, 5_000),
            first_leaves: rng.random(),
            how: termination(rng),
        },
        FaultKind::Refused => Fault::RefusedStart,
        FaultKind::Cut => Fault::CutConnections(rng.random_range(1..=4)),
        FaultKind::Slow => Fault::Delay(millis(rng, 5, 150), millis(rng, 1_000, 6_000)),
        FaultKind::Still => Fault::Stall(millis(rng, 500, 8_000)),
        FaultKind::Halve => Fault::HalfClose(millis(rng, 2_000, 10_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(path: Path, seed: u64, proxy: bool) -> Plan {
        Plan::new(&PlanRequest { path, rounds: 60, seed, proxy, brokers: 3, only: Vec::new(), stations: None })
    }

    #[test]
    fn a_seed_gives_the_same_rounds_again_and_another_one_gives_others() {
        for path in Path::ALL {
            assert_eq!(plan(path, 7, false), plan(path, 7, false));
            assert_ne!(plan(path, 7, false).rounds, plan(path, 8, false).rounds);
        }
    }

    #[test]
    fn brokers_are_killed_on_kafka_paths_only_and_second_instances_join_kafka_sources_only() {
        for (path, seed) in Path::ALL.into_iter().flat_map(|path| (0..5).map(move |seed| (path, seed))) {
            let rounds = plan(path, seed, false).rounds;
            let has = |test: fn(&Fault) -> bool| rounds.iter().any(|round| test(&round.fault));
            assert_eq!(has(|fault| matches!(fault, Fault::KillBroker { node: 1..=3, .. })), path.needs_kafka());
            assert_eq!(has(|fault| matches!(fault, Fault::SecondInstance { .. })), path.reads_kafka());
            assert_eq!(has(|fault| matches!(fault, Fault::RefusedStart)), !path.reads_kafka());
            assert_eq!(has(|fault| matches!(fault, Fault::RespellInput(..))), !path.reads_kafka());
            assert_eq!(has(|fault| *fault == Fault::LoseState), path.needs_kafka());
            for fault in
                [Fault::Restart(Termination::Kill), Fault::Restart(Termination::Terminate), Fault::Freeze(None)]
            {
                assert!(rounds.iter().any(|round| round.fault == fault), "{path:?} {seed}: no {fault}");
            }
        }
    }

    #[test]
    fn only_what_is_wished_is_done() {
        let request =
            |path, only| PlanRequest { path, rounds: 9, seed: 1, proxy: false, brokers: 3, only, stations: None };
        let rounds = Plan::new(&request(Path::FileKafka, vec![FaultKind::Freeze, FaultKind::Second])).rounds;
        assert_eq!(rounds.len(), 9);
        assert!(rounds.iter().all(|round| matches!(round.fault, Fault::Freeze(_))));
        assert!(Plan::new(&request(Path::FileFile, vec![FaultKind::Broker])).rounds.is_empty());
    }

    #[test]
    fn behind_a_proxy_nothing_is_killed() {
        let rounds = plan(Path::KafkaKafka, 3, true).rounds;
        let network = |fault: &Fault| {
            matches!(fault, Fault::CutConnections(_) | Fault::Delay(..) | Fault::Stall(_) | Fault::HalfClose(_))
        };
        assert!(rounds.iter().all(|round| network(&round.fault)));
    }
}
