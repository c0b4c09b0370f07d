//! Whether a pipeline is alive, and ready.
//!
//! A probe that finds a process dead restarts it. That helps where the process itself is at fault: a run that has failed while others
//! of its process go on, or one that reads and commits nothing. It does not help against bad data (alerts are for these), nor
//! where the process waits for others: a broker that is away, a topic that is missing, a group that gives partitions to
//! somebody else, a transaction of another process that is open. All of these are *waits*, and no wait makes a process dead.
//! A source that waits for data, or keeps a pace of its own, has read nothing that it has to commit.

use std::time::Duration;

use super::monitored::Monitored;
use super::status::Health;
use crate::metrics::{BrokerAway, Phase, Snapshot};
use crate::plural::clause;

/// What was read and not committed.
#[derive(Debug, Default)]
pub(super) struct HealthWatch {
    read: u64,
    commits: u64,
    rebalances: u64,
    /// Since when something has been read that no commit came after.
    uncommitted_since: Option<Duration>,
}

impl HealthWatch {
    pub(super) fn observe(&mut self, monitored: &Monitored, now: &Snapshot) -> Health {
        let commits = now.commit_seconds.count();
        let has_split = now.splits.iter().any(|split| split.is_open);
        // Who takes a split over reads again what was not committed.
        let waits_for_others = !now.waits.is_empty() || now.brokers_away.iter().any(|away| away.is_asked);
        let is_excused = now.phase != Phase::Running || !has_split || waits_for_others;
        if is_excused || commits != self.commits || now.rebalances != self.rebalances {
            self.uncommitted_since = None;
        } else if now.read > self.read || now.checkpoints_waiting > 0 {
            self.uncommitted_since = self.uncommitted_since.or(Some(now.uptime));
        }
        (self.read, self.commits, self.rebalances) = (now.read, commits, now.rebalances);
        let mut reasons = Vec::new();
        if now.phase == Phase::Failed {
            let why = now.failure.as_deref().unwrap_or("its log says why");
            reasons.push(format!("the run failed: {why}"));
        }
        // Before the next commit is due, there is nothing to wait for.
        let allowed = Duration::from_secs(monitored.settings.stuck_after_secs) + monitored.commit_interval;
        if let Some(passed) = self.uncommitted_since.map(|since| now.uptime.saturating_sub(since))
            && passed >= allowed
        {
            reasons.push(format!(
                "it is stuck: records were read {} s ago, and nothing has been committed since (`stuck_after_secs` in [monitor] \
                 is {}); {} were read and {} committed",
                passed.as_secs(),
                monitored.settings.stuck_after_secs,
                now.read,
                now.counts.read
            ));
        }
        let ready_reasons = ready_reasons(monitored, now, has_split);
        Health { alive: reasons.is_empty(), reasons, ready: ready_reasons.is_empty(), ready_reasons }
    }
}

fn ready_reasons(monitored: &Monitored, now: &Snapshot, has_split: bool) -> Vec<String> {
    let waits = now.waits.iter().map(|wait| format!("it waits for {}", what(wait)));
    // One that is not asked keeps nothing from this pipeline, as far as it can know.
    let away = now.brokers_away.iter().filter(|away| away.is_asked).map(BrokerAway::sentence);
    let mut reasons: Vec<String> = waits.chain(away).collect();
    match now.phase {
        Phase::Running => {}
        Phase::Starting => {
            reasons.insert(0, "it starts: it has not read anything yet".to_owned());
            return reasons;
        }
        Phase::Stopping => return vec!["it stops: it commits what was read".to_owned()],
        Phase::Done => return vec!["it is done: all input is carried".to_owned()],
        Phase::Stopped => return vec!["it was stopped".to_owned()],
        Phase::Failed => return vec!["it failed".to_owned()],
    }
    if !has_split {
        reasons.push("it has no partition and no file to read: it stands by until it gets one".to_owned());
    }
    if let Some(most) = monitored.settings.ready_lag.filter(|_| has_split) {
        match now.lag {
            Some(lag) if lag <= most => {}
            Some(lag) => {
                reasons.push(format!(
                    "{} in the source, and `ready_lag` in [monitor] allows {most}",
                    clause(lag, "record", "waits", "wait")
                ));
            }
            None => reasons
                .push("it is not known how many records wait in the source, and `ready_lag` asks for it".to_owned()),
        }
    }
    reasons
}

/// A wait without the name of the part that waits.
fn what(wait: &str) -> &str {
    wait.split_once(": ").map_or(wait, |(_, what)| what)
}
