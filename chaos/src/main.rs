//! Shows that records come out once, in their order and right, whatever is killed, frozen, restarted or cut off.
//!
//! A trial carries generated [`records`] along one path (file or Kafka to file or Kafka) through a transform that holds
//! rows back, and drives nothing but the `aqpipe` binary. The [`plan`] says what is done to it, round by round, and
//! follows from a seed: SIGKILL, SIGTERM, SIGSTOP for twice the session timeout, SIGKILL of one of three brokers, a
//! second instance that joins and leaves, a state directory that is lost, an input file by another path; behind the
//! [`proxy`], connections that are cut, delayed, held or halved. At the end a completed pipeline is started again and
//! again, and the topic that it reads is made anew under its name.
//!
//! Readers [`watch`] the output all the time and look once more at the end, and [`verify`] what they see: each record
//! once, in the order of its key, with the right value and the right fill; each malformed one a dead letter, once; each
//! visible file whole and never changed; the ranges of files without an overlap, without a gap that lost something, and
//! in each file what belongs to its range. A process may end only when it is told to.
//!
//! ```text
//! cargo build --release && cargo build --release -p aqpipe-chaos
//! target/release/chaos --path all --rounds 20
//! target/release/chaos --path kafka-file --rounds 20 --seed 7     # the same rounds again
//! target/release/chaos --path kafka-kafka --rounds 20 --proxy     # the network instead of signals
//! ```
//!
//! The seed decides what is done, to whom and how long after what; not at which instruction. Where something was found,
//! the working directory stays: the pipeline, the logs of all its processes, the output, the brokers' logs.

mod acts;
mod args;
mod brokers;
mod crew;
mod input;
mod kafka;
mod pipeline;
mod plan;
mod printer;
mod process;
mod proxy;
mod records;
mod rounds;
mod trial;
mod verify;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use args::Args;
use brokers::Brokers;
use plan::{Plan, Wish};
use trial::{Setting, Verdict};

/// Readings for each round, unless a number is given.
const SHARE: u64 = 800;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            printer::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs all trials; returns whether nothing was found.
fn run(args: &Args) -> Result<bool> {
    let aqpipe = binary(args)?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let paths = args.path.paths();
    if args.proxy && !paths.iter().any(|path| path.needs_kafka()) {
        bail!("there is no Kafka on this path for a proxy to stand before");
    }
    let dir = tempfile::Builder::new().prefix("aqpipe-chaos-").tempdir().context("no directory to work in")?;
    printer::say(&format!("seed {seed}, {} in {}", aqpipe.display(), dir.path().display()));
    let outcome = trials(args, &aqpipe, &paths, seed, dir.path());
    let kept = args.keep || !matches!(outcome, Ok(true));
    if kept {
        printer::out(&format!("everything is kept in {}", dir.keep().display()));
    }
    outcome
}

fn trials(args: &Args, aqpipe: &Path, paths: &[acts::Path], seed: u64, dir: &Path) -> Result<bool> {
    let interrupted = interrupts()?;
    let mut good = true;
    let brokers = paths.iter().any(|path| path.needs_kafka());
    let brokers = brokers.then(|| Brokers::start(args, aqpipe, dir, seed)).transpose()?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    for path in paths.iter().copied().filter(|path| path.needs_kafka() || !args.proxy) {
        let cluster = brokers.as_ref().map(|brokers| &brokers.cluster);
        let plan = Plan::new(&Wish {
            path,
            rounds: args.rounds,
            seed,
            proxy: args.proxy,
            brokers: cluster.map_or(0, kafka::Cluster::brokers),
            only: args.only.clone(),
        });
        if plan.rounds.is_empty() && args.rounds > 0 {
            bail!("nothing of what --only names can be done on the path {}", path.name());
        }
        let rounds = args.rounds.max(1) as u64;
        let setting = Setting {
            aqpipe: aqpipe.to_owned(),
            cluster,
            proxy: brokers.as_ref().and_then(|brokers| brokers.proxy.as_ref()),
            share: args.records.map_or(SHARE, |records| records.div_ceil(rounds)).max(1),
            keep_going: args.keep_going,
            unique: format!("{seed}-{now:x}"),
            interrupted: Arc::clone(&interrupted),
        };
        printer::say(&format!("{}:", path.name()));
        let verdict = trial::run(&setting, path, &plan, &dir.join(path.name()));
        let verdict = verdict.with_context(|| format!("{} with seed {seed}", path.name()))?;
        good &= tell(&verdict, seed);
        if !verdict.violations.is_empty() {
            printer::say(&verdict.tails);
            brokers.iter().for_each(|brokers| printer::say(&brokers.cluster.tails()));
        }
    }
    Ok(good)
}

/// Says what was found; returns whether that was nothing.
fn tell(verdict: &Verdict, seed: u64) -> bool {
    let Verdict { violations, summary, .. } = verdict;
    let good = violations.is_empty();
    printer::out(&format!("{} {summary} (seed {seed})", if good { "GOOD" } else { "BAD " }));
    for (kind, count) in violations.counts() {
        printer::out(&format!("     {count} × {kind:?}"));
    }
    for violation in violations.first() {
        printer::out(&format!("     {violation}"));
    }
    good
}

/// The binary to test.
fn binary(args: &Args) -> Result<PathBuf> {
    let beside = || {
        let own = std::env::current_exe().context("where this program is")?;
        Ok::<_, anyhow::Error>(own.with_file_name("aqpipe"))
    };
    let path = args.aqpipe.clone().map_or_else(beside, Ok)?;
    let path = std::path::absolute(&path)?;
    if !path.is_file() {
        bail!("there is no {}: build it, or name one with --aqpipe", path.display());
    }
    Ok(path)
}

/// Set at the first Ctrl-C or SIGTERM, so that everything that was started is ended.
fn interrupts() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.store(true, Ordering::Release);
        });
    })?;
    Ok(interrupted)
}
