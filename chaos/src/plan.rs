//! What is done in each round, and when: all of it follows from the seed.

use std::time::Duration;

use clap::ValueEnum;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::acts::{Act, CUT, Home, Leave, Moment, Path, Spelling};
use crate::pipeline::SESSION_SECS;

/// One round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) moment: Moment,
    pub(crate) act: Act,
}

/// All that follows from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) rounds: Vec<Round>,
    pub(crate) sources: u32,
    pub(crate) partitions: i32,
    /// Whether dead letters go to a topic rather than to files, on a path with Kafka.
    pub(crate) letters_to_kafka: bool,
    pub(crate) commit_interval_ms: u64,
    pub(crate) batch_size: u64,
    /// How long brokers let a transaction last, in seconds: at the least shorter than a process is frozen or a broker
    /// is away.
    pub(crate) transaction_secs: u64,
    /// For the proxy.
    pub(crate) proxy: u64,
}

/// What is to be planned.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) path: Path,
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
    pub(crate) proxy: bool,
    pub(crate) brokers: u16,
    /// Nothing but these, of what can be done; everything where it is empty.
    pub(crate) only: Vec<Card>,
}

/// The kinds of acts, dealt like cards so that all of them come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Card {
    /// SIGKILL
    Kill,
    /// SIGTERM
    Term,
    /// SIGKILL, and the state directory is lost
    Lost,
    /// The input of a pipeline that reads a file has another path
    Respelt,
    /// SIGSTOP, then SIGCONT
    Freeze,
    /// SIGKILL of a broker
    Broker,
    /// A second instance of a pipeline that reads Kafka
    Second,
    /// A second instance of one that reads a file
    Refused,
    /// Behind the proxy: connections are cut
    Cut,
    /// Behind the proxy: bytes are delayed
    Slow,
    /// Behind the proxy: bytes are held
    Still,
    /// Behind the proxy: half a connection is lost
    Halve,
}

impl Plan {
    pub(crate) fn new(wish: &Wish) -> Plan {
        // Each path has a sequence of its own, whichever others are run.
        let path = Path::ALL.iter().position(|path| *path == wish.path).unwrap_or_default() as u64;
        let mut dice = ChaCha8Rng::seed_from_u64(wish.seed);
        dice.set_stream(2 * path + u64::from(wish.proxy));
        let mut plan = Plan {
            rounds: Vec::with_capacity(wish.rounds),
            sources: dice.random_range(5..=9),
            partitions: dice.random_range(3..=5),
            letters_to_kafka: dice.random(),
            commit_interval_ms: [50, 100, 300][dice.random_range(0..3)],
            batch_size: dice.random_range(10..=60),
            transaction_secs: 0,
            proxy: dice.random(),
        };
        let cards = cards(wish);
        let mut hand: Vec<Card> = Vec::new();
        while plan.rounds.len() < wish.rounds {
            if hand.is_empty() {
                hand.clone_from(&cards);
                hand.shuffle(&mut dice);
            }
            // There are none where none of those that are wished fits the path.
            let Some(card) = hand.pop() else { break };
            plan.rounds.push(Round { moment: moment(&mut dice, wish.path), act: act(&mut dice, card, wish) });
        }
        // No less than a client behind the proxy waits for an answer.
        plan.transaction_secs = [if wish.proxy { 6 } else { 3 }, 10, 30][dice.random_range(0..3)];
        plan
    }
}

/// How long a broker that was killed takes to be back, about.
const BACK: Duration = Duration::from_secs(6);
/// How long other things take in each round, about.
const ELSE: Duration = Duration::from_millis(300);

impl Plan {
    /// How long a run from a file is at work in all rounds together, about; rather more than less.
    pub(crate) fn work(&self) -> Duration {
        let round = |round: &Round| {
            let (Moment::Soon(before) | Moment::Working(before)) = round.moment;
            let during = match round.act {
                Act::Broker { away, .. } => away + BACK,
                Act::Slow(_, long) | Act::Still(long) | Act::Halve(long) => long,
                Act::Cut(times) => CUT * times,
                // A pace catches up with what it missed.
                Act::Freeze(_) => Duration::from_secs(2 * SESSION_SECS),
                _ => Duration::ZERO,
            };
            before + during + ELSE
        };
        self.rounds.iter().map(round).sum::<Duration>().mul_f64(1.3)
    }
}

fn cards(wish: &Wish) -> Vec<Card> {
    let mut cards =
        if wish.proxy { vec![Card::Cut, Card::Cut, Card::Slow, Card::Still, Card::Halve] } else { signals(wish) };
    cards.retain(|card| wish.only.is_empty() || wish.only.contains(card));
    cards
}

fn signals(wish: &Wish) -> Vec<Card> {
    let mut cards = vec![Card::Kill, Card::Kill, Card::Term, Card::Freeze];
    if wish.path.needs_kafka() && wish.brokers >= 3 {
        cards.push(Card::Broker);
    }
    if wish.path.reads_kafka() {
        cards.extend([Card::Second, Card::Second]);
    } else {
        cards.extend([Card::Refused, Card::Respelt]);
    }
    if wish.path.needs_kafka() {
        // From files to files the state directory is the only memory.
        cards.push(Card::Lost);
    }
    cards
}

fn millis(dice: &mut ChaCha8Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(dice.random_range(from..to))
}

fn moment(dice: &mut ChaCha8Rng, path: Path) -> Moment {
    // A member of a group takes seconds to be given its partitions, a run on files is at work at once.
    let start = if path.reads_kafka() { 3_000 } else { 300 };
    if dice.random_ratio(1, 3) { Moment::Soon(millis(dice, 0, start)) } else { Moment::Working(millis(dice, 0, 1_500)) }
}

fn leave(dice: &mut ChaCha8Rng) -> Leave {
    if dice.random() { Leave::Killed } else { Leave::Asked }
}

fn home(dice: &mut ChaCha8Rng) -> Home {
    if dice.random_ratio(1, 3) { Home::Far } else { Home::Near }
}

fn act(dice: &mut ChaCha8Rng, card: Card, wish: &Wish) -> Act {
    match card {
        Card::Kill => Act::Leave(Leave::Killed),
        Card::Term => Act::Leave(Leave::Asked),
        Card::Lost => Act::Lost,
        Card::Respelt => Act::Respelt(Spelling::OTHERS[dice.random_range(0..Spelling::OTHERS.len())], leave(dice)),
        Card::Freeze if wish.path.reads_kafka() && dice.random() => Act::Freeze(Some((home(dice), leave(dice)))),
        Card::Freeze => Act::Freeze(None),
        Card::Broker => Act::Broker {
            node: dice.random_range(1..=wish.brokers),
            away: millis(dice, 0, 3_000),
            killed: dice.random_ratio(1, 3),
        },
        Card::Second => Act::Second {
            home: home(dice),
            stay: millis(dice, 500, 5_000),
            first_leaves: dice.random(),
            how: leave(dice),
        },
        Card::Refused => Act::Refused,
        Card::Cut => Act::Cut(dice.random_range(1..=4)),
        Card::Slow => Act::Slow(millis(dice, 5, 150), millis(dice, 1_000, 6_000)),
        Card::Still => Act::Still(millis(dice, 500, 8_000)),
        Card::Halve => Act::Halve(millis(dice, 2_000, 10_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(path: Path, seed: u64, proxy: bool) -> Plan {
        Plan::new(&Wish { path, rounds: 60, seed, proxy, brokers: 3, only: Vec::new() })
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
            let has = |test: fn(&Act) -> bool| rounds.iter().any(|round| test(&round.act));
            assert_eq!(has(|act| matches!(act, Act::Broker { node: 1..=3, .. })), path.needs_kafka());
            assert_eq!(has(|act| matches!(act, Act::Second { .. })), path.reads_kafka());
            assert_eq!(has(|act| matches!(act, Act::Refused)), !path.reads_kafka());
            assert_eq!(has(|act| matches!(act, Act::Respelt(..))), !path.reads_kafka());
            assert_eq!(has(|act| *act == Act::Lost), path.needs_kafka());
            for act in [Act::Leave(Leave::Killed), Act::Leave(Leave::Asked), Act::Freeze(None)] {
                assert!(rounds.iter().any(|round| round.act == act), "{path:?} {seed}: no {act}");
            }
        }
    }

    #[test]
    fn only_what_is_wished_is_done() {
        let wish = |path, only| Wish { path, rounds: 9, seed: 1, proxy: false, brokers: 3, only };
        let rounds = Plan::new(&wish(Path::FileKafka, vec![Card::Freeze, Card::Second])).rounds;
        assert_eq!(rounds.len(), 9);
        assert!(rounds.iter().all(|round| matches!(round.act, Act::Freeze(_))));
        assert!(Plan::new(&wish(Path::FileFile, vec![Card::Broker])).rounds.is_empty());
    }

    #[test]
    fn behind_a_proxy_nothing_is_killed() {
        let rounds = plan(Path::KafkaKafka, 3, true).rounds;
        let network = |act: &Act| matches!(act, Act::Cut(_) | Act::Slow(..) | Act::Still(_) | Act::Halve(_));
        assert!(rounds.iter().all(|round| network(&round.act)));
    }
}
