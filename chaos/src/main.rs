//! Shows that records come out once, in order and right, whatever is killed, frozen, restarted or cut off.
//!
//! A trial sends a generated [`dataset`] along one path (file or Kafka to file or Kafka) through a transform that holds
//! rows back. It drives nothing but the `aqpipe` binary. The [`plan`] follows from a seed and names a fault for each
//! round: SIGKILL, SIGTERM, SIGSTOP for twice the session timeout, SIGKILL of one of three brokers, a second instance
//! that joins and leaves, a state directory that is lost, an input file under another path; behind the [`proxy`],
//! connections that are cut, delayed, stalled or half closed. At the end the completed pipeline is started again several
//! times, and the topic that it reads is deleted and created anew.
//!
//! Readers [`monitor`] the output during the rounds and once more at the end, and [`verify`] it: each record once, in the
//! order of its key, with the right value and the right fill; each malformed item one dead letter; each visible file
//! whole and never changed; ranges of files without an overlap and without a gap that lost a record, and in each file the
//! records of its range. A process may end only when it is told to.
//!
//! ```text
//! cargo build --release && cargo build --release -p aqpipe-chaos
//! target/release/chaos --path all --rounds 20
//! target/release/chaos --path kafka-file --rounds 20 --seed 7     # the same rounds again
//! target/release/chaos --path kafka-kafka --rounds 20 --proxy     # the network instead of signals
//! ```
//!
//! The seed decides the faults and their timing, not the instruction at which they strike. After a violation the working
//! directory is kept: the pipeline, the logs of all its processes, the output, the brokers' logs.

mod args;
mod brokers;
mod config;
mod dataset;
mod faults;
mod input;
mod kafka;
mod monitor;
mod pipeline;
mod plan;
mod printer;
mod process;
mod proxy;
mod rounds;
mod trial;
mod verify;
mod workers;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use args::Args;
use brokers::Brokers;
use config::TrialConfig;
use plan::{Plan, PlanRequest};
use trial::Verdict;

/// Readings for each round, unless `--records` is given.
const READINGS_PER_ROUND: u64 = 800;

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

/// Runs all trials; returns whether none of them found a violation.
fn run(args: &Args) -> Result<bool> {
    let aqpipe = binary(args)?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let paths = args.path.paths();
    if args.proxy && !paths.iter().any(|path| path.needs_kafka()) {
        bail!("--proxy needs a path with Kafka");
    }
    let dir = tempfile::Builder::new().prefix("aqpipe-chaos-").tempdir().context("no directory to work in")?;
    printer::say(&format!("seed {seed}, {} in {}", aqpipe.display(), dir.path().display()));
    let outcome = trials(args, &aqpipe, &paths, seed, dir.path());
    let kept = args.keep || !matches!(outcome, Ok(true));
    if kept {
        printer::out(&format!("the working directory is kept: {}", dir.keep().display()));
    }
    outcome
}

fn trials(args: &Args, aqpipe: &Path, paths: &[faults::Path], seed: u64, dir: &Path) -> Result<bool> {
    let interrupted = interrupt_flag()?;
    let mut passed = true;
    let brokers = paths.iter().any(|path| path.needs_kafka());
    let brokers = brokers.then(|| Brokers::start(args, aqpipe, dir, seed)).transpose()?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    for path in paths.iter().copied().filter(|path| path.needs_kafka() || !args.proxy) {
        let cluster = brokers.as_ref().map(|brokers| &brokers.cluster);
        let plan = Plan::new(&PlanRequest {
            path,
            rounds: args.rounds,
            seed,
            proxy: args.proxy,
            brokers: cluster.map_or(0, kafka::Cluster::brokers),
            only: args.only.clone(),
            stations: args.stations,
        });
        if plan.rounds.is_empty() && args.rounds > 0 {
            bail!("no fault of --only applies to the path {}", path.name());
        }
        let rounds = args.rounds.max(1) as u64;
        let config = TrialConfig {
            aqpipe: aqpipe.to_owned(),
            cluster,
            proxy: brokers.as_ref().and_then(|brokers| brokers.proxy.as_ref()),
            readings_per_round: args.records.map_or(READINGS_PER_ROUND, |records| records.div_ceil(rounds)).max(1),
            keep_going: args.keep_going,
            unique: format!("{seed}-{now:x}"),
            interrupted: Arc::clone(&interrupted),
        };
        printer::say(&format!("{}:", path.name()));
        let verdict = trial::run(&config, path, &plan, &dir.join(path.name()));
        let verdict = verdict.with_context(|| format!("{} with seed {seed}", path.name()))?;
        passed &= print_verdict(&verdict, seed);
        if !verdict.violations.is_empty() {
            printer::say(&verdict.log_tails);
            brokers.iter().for_each(|brokers| printer::say(&brokers.cluster.log_tails()));
        }
    }
    Ok(passed)
}

/// Prints the verdict; returns whether it is a pass.
fn print_verdict(verdict: &Verdict, seed: u64) -> bool {
    let Verdict { violations, summary, .. } = verdict;
    let passed = violations.is_empty();
    printer::out(&format!("{} {summary} (seed {seed})", if passed { "GOOD" } else { "BAD " }));
    for (kind, count) in violations.counts() {
        printer::out(&format!("     {count} × {kind:?}"));
    }
    for violation in violations.first() {
        printer::out(&format!("     {violation}"));
    }
    passed
}

/// The binary under test.
fn binary(args: &Args) -> Result<PathBuf> {
    let beside = || {
        let own = std::env::current_exe().context("the path of this program is unknown")?;
        Ok::<_, anyhow::Error>(own.with_file_name("aqpipe"))
    };
    let path = args.aqpipe.clone().map_or_else(beside, Ok)?;
    let path = std::path::absolute(&path)?;
    if !path.is_file() {
        bail!("there is no {}: build it, or name one with --aqpipe", path.display());
    }
    Ok(path)
}

/// A flag that the first Ctrl-C or SIGTERM sets, so that all processes and brokers are ended in order.
fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
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
            flag.store(true, Ordering::Release);
        });
    })?;
    Ok(interrupted)
}
