//! The throughput of a run beside its own past.

use std::collections::VecDeque;
use std::time::Duration;

/// The steps of one window.
const STEPS: u32 = 6;
/// The windows before the current one that make the comparison.
const WINDOWS_BEFORE: u32 = 10;

/// How much work waits in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::monitor) enum Backlog {
    /// Nobody knows.
    Unknown,
    /// No more than what is read in a second.
    CaughtUp,
    /// More than that.
    Behind,
}

/// The rates of a run in steps of a sixth of the window.
#[derive(Debug)]
pub(in crate::monitor) struct Throughput {
    step: Duration,
    /// `None` for a step without records: an idle source has no throughput.
    rates: VecDeque<Option<f64>>,
    step_began: Option<(Duration, u64)>,
    behind_since: Option<Duration>,
    /// The rate before the fall, for as long as the alert fires: a fall that lasts is no new standard.
    before_fall: Option<f64>,
}

impl Throughput {
    pub(in crate::monitor) fn new(window: Duration) -> Throughput {
        let step = (window / STEPS).max(Duration::from_secs(1));
        Throughput { step, rates: VecDeque::new(), step_began: None, behind_since: None, before_fall: None }
    }

    /// Takes the records read up to a moment. `is_firing` says whether the alert fires.
    pub(in crate::monitor) fn observe(&mut self, at: Duration, read: u64, backlog: Backlog, is_firing: bool) {
        match backlog {
            Backlog::Behind => self.behind_since = self.behind_since.or(Some(at)),
            Backlog::CaughtUp | Backlog::Unknown => self.behind_since = None,
        }
        if !is_firing {
            self.before_fall = None;
        } else if self.before_fall.is_none() {
            self.before_fall = self.mean_before();
        }
        let Some((began, read_before)) = self.step_began else {
            self.step_began = Some((at, read));
            return;
        };
        let passed = at.saturating_sub(began);
        if passed < self.step {
            return;
        }
        self.step_began = Some((at, read));
        if is_firing {
            return;
        }
        let came = read.saturating_sub(read_before);
        self.rates.push_back((came > 0).then(|| came as f64 / passed.as_secs_f64()));
        if self.rates.len() > (STEPS * (WINDOWS_BEFORE + 1)) as usize {
            self.rates.pop_front();
        }
    }

    /// The mean rate before the current window, where the source was behind for all of that window. One that was not reads as fast
    /// as records come, which is no matter of throughput.
    pub(in crate::monitor) fn before(&self, at: Duration, window: Duration) -> Option<f64> {
        let is_behind = self.behind_since.is_some_and(|since| at.saturating_sub(since) >= window);
        self.before_fall.or_else(|| self.mean_before()).filter(|_| is_behind)
    }

    fn mean_before(&self) -> Option<f64> {
        let earlier = self.rates.len().checked_sub(STEPS as usize)?;
        let rates: Vec<f64> = self.rates.iter().take(earlier).flatten().copied().collect();
        // One window at least, else it is noise.
        (rates.len() >= STEPS as usize).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }
}
