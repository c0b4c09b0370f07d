//! The rounds of a trial: each injects a fault, after which the pipeline has to make progress.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::config::TrialConfig;
use crate::faults::{CUT_INTERVAL, Fault, Placement, SESSION_TIMEOUT_SECS, Termination, Timing};
use crate::kafka::Feed;
use crate::monitor::OutputMonitor;
use crate::plan::Round;
use crate::printer;
use crate::proxy::Proxy;
use crate::verify::{ViolationKind, Violations};
use crate::workers::Workers;

/// How long no record may come out before that is a violation: longer than an orphaned transaction stays open.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(120);
/// How often processes and output are checked.
const ROUND_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A trial in progress.
pub(crate) struct Rounds<'a> {
    pub(crate) config: &'a TrialConfig<'a>,
    pub(crate) violations: Arc<Violations>,
    pub(crate) workers: Workers,
    pub(crate) monitor: OutputMonitor,
    pub(crate) feed: Option<Feed>,
    /// The longest wait for a record.
    pub(crate) longest_wait: Duration,
}

impl Rounds<'_> {
    /// Runs the rounds of a plan; returns how many were run.
    pub(crate) fn run(&mut self, rounds: &[Round]) -> Result<usize> {
        let began = Instant::now();
        for (at, round) in rounds.iter().enumerate() {
            let secs = began.elapsed().as_secs_f64();
            printer::say(&format!("  {:>3}  {secs:>6.1} s  {}: {}", at + 1, round.timing, round.fault));
            if let Some(feed) = &self.feed {
                feed.allow(self.config.readings_per_round);
            }
            self.workers.ensure_running()?;
            match round.timing {
                Timing::AfterRound(after) => self.sleep(after)?,
                Timing::AfterProgress(after) => {
                    self.await_progress()?;
                    self.sleep(after)?;
                }
            }
            if self.workers.done {
                printer::say("       the input was at its end before");
                return Ok(at);
            }
            self.fault(round.fault)?;
            if !self.config.keep_going && !self.violations.is_empty() {
                return Ok(at + 1);
            }
        }
        Ok(rounds.len())
    }

    fn fault(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Restart(how) => self.workers.terminate(0, how),
            Fault::LoseState => self.workers.lose_state(),
            Fault::RespellInput(spelling, how) => self.workers.respell_input(spelling, how),
            Fault::Freeze(other) => self.freeze(other),
            Fault::KillBroker { node, away, killed } => {
                let cluster = self.config.cluster.context("no brokers to kill")?;
                cluster.kill(node)?;
                self.sleep(away)?;
                if killed {
                    self.workers.terminate(0, Termination::Kill)?;
                    self.workers.ensure_running()?;
                }
                cluster.restart()
            }
            Fault::SecondInstance { placement, stay, first_leaves, how } => {
                self.workers.join(placement)?;
                self.sleep(stay)?;
                self.workers.terminate(usize::from(!first_leaves), how)
            }
            Fault::RefusedStart => self.workers.expect_refused_start(),
            Fault::CutConnections(times) => (0..times).try_for_each(|_| {
                self.proxy()?.cut();
                self.sleep(CUT_INTERVAL)
            }),
            Fault::Delay(most, long) => {
                self.proxy()?.delay(most);
                self.sleep(long)?;
                self.proxy()?.restore();
                Ok(())
            }
            Fault::Stall(long) => {
                self.proxy()?.stall();
                self.sleep(long)?;
                self.proxy()?.restore();
                Ok(())
            }
            Fault::HalfClose(long) => {
                self.proxy()?.half_close();
                self.sleep(long)?;
                self.proxy()?.cut();
                Ok(())
            }
        }
    }

    fn proxy(&self) -> Result<&Proxy> {
        self.config.proxy.context("no proxy")
    }

    fn freeze(&mut self, other: Option<(Placement, Termination)>) -> Result<()> {
        self.workers.signal(0, Signal::STOP)?;
        if let Some((placement, _)) = other {
            self.workers.join(placement)?;
        }
        self.sleep(Duration::from_secs(2 * SESSION_TIMEOUT_SECS))?;
        self.workers.signal(0, Signal::CONT)?;
        if let Some((_, how)) = other {
            // Both run for a while, or find out that they may not.
            self.sleep(Duration::from_secs(1))?;
            self.workers.terminate(1, how)?;
        }
        Ok(())
    }

    /// Sleeps, and checks the processes meanwhile.
    fn sleep(&mut self, long: Duration) -> Result<()> {
        let until = Instant::now() + long;
        loop {
            self.workers.check_exited()?;
            if self.config.interrupted.load(Ordering::Acquire) {
                bail!("interrupted");
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(ROUND_POLL_INTERVAL));
        }
    }

    /// Waits until a new record comes out.
    fn await_progress(&mut self) -> Result<()> {
        let began = Instant::now();
        let (from, until) = (self.monitor.records(), began + PROGRESS_TIMEOUT);
        while self.monitor.records() == from && !self.workers.done {
            if !self.config.keep_going && !self.violations.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                let tails: String = self.workers.running.iter().map(|worker| worker.process.tail()).collect();
                let long = PROGRESS_TIMEOUT.as_secs();
                self.violations
                    .add(ViolationKind::Stalled, format!("no record came out for {long} s, after {from}:\n{tails}"));
                return Ok(());
            }
            self.sleep(ROUND_POLL_INTERVAL)?;
            self.workers.ensure_running()?;
            self.longest_wait = self.longest_wait.max(began.elapsed());
        }
        Ok(())
    }
}
