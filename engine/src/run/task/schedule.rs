//! When a checkpoint is due.

use std::time::{Duration, Instant};

use crate::stage::CheckpointPolicy;

/// When a split takes a checkpoint by itself.
#[derive(Clone, Copy)]
pub(in crate::run) struct CheckpointSchedule {
    /// After so many records read.
    pub(super) records_max: u64,
    /// When the first of them has waited so long.
    timeout: Duration,
    /// Where all splits take checkpoints at the same times, multiples of the timeout: since when.
    aligned_at: Option<Instant>,
}

impl CheckpointSchedule {
    /// The schedule of a policy. An interval is aligned at `now` for all splits, so that one commit takes all their checkpoints.
    pub(in crate::run) fn of(policy: CheckpointPolicy, interval: Duration, now: Instant) -> CheckpointSchedule {
        match policy {
            CheckpointPolicy::Records { records_max, timeout } => {
                CheckpointSchedule { records_max, timeout, aligned_at: None }
            }
            CheckpointPolicy::Interval => {
                CheckpointSchedule { records_max: u64::MAX, timeout: interval, aligned_at: Some(now) }
            }
        }
    }

    /// Whether all splits take checkpoints at the same times.
    pub(in crate::run) fn is_aligned(&self) -> bool {
        self.aligned_at.is_some()
    }

    /// When a checkpoint is due that was opened at `since`.
    pub(super) fn due(&self, since: Instant) -> Instant {
        let Some(first) = self.aligned_at else { return since + self.timeout };
        let period = self.timeout.as_nanos().max(1);
        let over = since.saturating_duration_since(first).as_nanos() % period;
        since + Duration::from_nanos(u64::try_from(period - over).unwrap_or(u64::MAX))
    }
}
