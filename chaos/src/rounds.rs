//! The rounds of a trial: what the plan says is done, and the pipeline has to go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::acts::{Act, CUT, Home, Leave, Moment};
use crate::crew::Crew;
use crate::kafka::Feed;
use crate::pipeline::SESSION_SECS;
use crate::plan::Round;
use crate::printer;
use crate::proxy::Proxy;
use crate::trial::Setting;
use crate::verify::{Kind, Violations};
use crate::watch::Watch;

/// How long nothing may come out: longer than a transaction that nobody ends stays open.
const WORK: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);

/// A trial under way.
pub(crate) struct Rounds<'a> {
    pub(crate) setting: &'a Setting<'a>,
    pub(crate) violations: Arc<Violations>,
    pub(crate) crew: Crew,
    pub(crate) watch: Watch,
    pub(crate) feed: Option<Feed>,
    /// The longest time in which nothing came out that was waited for.
    pub(crate) longest: Duration,
}

impl Rounds<'_> {
    /// Does what is planned; returns how many rounds there were.
    pub(crate) fn run(&mut self, rounds: &[Round]) -> Result<usize> {
        let began = Instant::now();
        for (at, round) in rounds.iter().enumerate() {
            let secs = began.elapsed().as_secs_f64();
            printer::say(&format!("  {:>3}  {secs:>6.1} s  {}: {}", at + 1, round.moment, round.act));
            if let Some(feed) = &self.feed {
                feed.allow(self.setting.share);
            }
            self.crew.at_work()?;
            match round.moment {
                Moment::Soon(after) => self.pass(after)?,
                Moment::Working(after) => {
                    self.await_work()?;
                    self.pass(after)?;
                }
            }
            if self.crew.done {
                printer::say("       everything was carried before");
                return Ok(at);
            }
            self.act(round.act)?;
            if !self.setting.keep_going && !self.violations.is_empty() {
                return Ok(at + 1);
            }
        }
        Ok(rounds.len())
    }

    fn act(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Leave(how) => self.crew.leave(0, how),
            Act::Lost => self.crew.lose_state(),
            Act::Respelt(spelling, how) => self.crew.respell(spelling, how),
            Act::Freeze(other) => self.freeze(other),
            Act::Broker { node, away, killed } => {
                let cluster = self.setting.cluster.context("no brokers to kill")?;
                cluster.kill(node)?;
                self.pass(away)?;
                if killed {
                    self.crew.leave(0, Leave::Killed)?;
                    self.crew.at_work()?;
                }
                cluster.restart()
            }
            Act::Second { home, stay, first_leaves, how } => {
                self.crew.join(home)?;
                self.pass(stay)?;
                self.crew.leave(usize::from(!first_leaves), how)
            }
            Act::Refused => self.crew.be_refused(),
            Act::Cut(times) => (0..times).try_for_each(|_| {
                self.proxy()?.cut();
                self.pass(CUT)
            }),
            Act::Slow(most, long) => {
                self.proxy()?.slow(most);
                self.pass(long)?;
                self.proxy()?.fine();
                Ok(())
            }
            Act::Still(long) => {
                self.proxy()?.still();
                self.pass(long)?;
                self.proxy()?.fine();
                Ok(())
            }
            Act::Halve(long) => {
                self.proxy()?.halve();
                self.pass(long)?;
                self.proxy()?.cut();
                Ok(())
            }
        }
    }

    fn proxy(&self) -> Result<&Proxy> {
        self.setting.proxy.context("no proxy")
    }

    fn freeze(&mut self, other: Option<(Home, Leave)>) -> Result<()> {
        self.crew.signal(0, Signal::STOP)?;
        if let Some((home, _)) = other {
            self.crew.join(home)?;
        }
        self.pass(Duration::from_secs(2 * SESSION_SECS))?;
        self.crew.signal(0, Signal::CONT)?;
        if let Some((_, how)) = other {
            // Both are at work for a while, or find out that they cannot be.
            self.pass(Duration::from_secs(1))?;
            self.crew.leave(1, how)?;
        }
        Ok(())
    }

    /// Lets time pass, and looks after the processes meanwhile.
    fn pass(&mut self, long: Duration) -> Result<()> {
        let until = Instant::now() + long;
        loop {
            self.crew.look_after()?;
            if self.setting.interrupted.load(Ordering::Acquire) {
                bail!("interrupted");
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Waits until records come out.
    fn await_work(&mut self) -> Result<()> {
        let began = Instant::now();
        let (from, until) = (self.watch.records(), began + WORK);
        while self.watch.records() == from && !self.crew.done {
            if !self.setting.keep_going && !self.violations.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                let tails: String = self.crew.members.iter().map(|member| member.process.tail()).collect();
                let long = WORK.as_secs();
                self.violations.add(Kind::Stalled, format!("no record came out for {long} s, after {from}:\n{tails}"));
                return Ok(());
            }
            self.pass(LOOK)?;
            self.crew.at_work()?;
            self.longest = self.longest.max(began.elapsed());
        }
        Ok(())
    }
}
