//! How a run went over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::Snapshot;

/// The time between two points.
const STEP: Duration = Duration::from_secs(5);
/// The points that are kept: 15 minutes, as far as a person looks back on a live page.
const POINTS_MAX: usize = 180;

/// A pipeline over one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryPoint {
    /// The end of the interval: milliseconds since 1970.
    pub unix_ms: u64,
    /// Records a second: read, committed or not.
    pub read_per_second: f64,
    /// Records a second: written and committed.
    pub written_per_second: f64,
    /// The mean score of the records that were committed in the interval, where there were any with a score.
    pub mean_score: Option<f64>,
    /// Records that waited in the source at its end, where it knows.
    pub lag: Option<u64>,
    /// Dead letters that were committed in the interval.
    pub dead_letters: u64,
}

/// The last points, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<HistoryPoint>,
    before: Totals,
}

/// The sums at the end of the last interval.
#[derive(Debug, Default)]
struct Totals {
    uptime: Duration,
    read: u64,
    written: u64,
    dead: u64,
    scored: u64,
    score_sum: f64,
}

impl History {
    /// Adds a point, where its time has come or the run has come to its end.
    pub(super) fn observe(&mut self, now: &Snapshot, unix_ms: u64) {
        let passed = now.uptime.saturating_sub(self.before.uptime);
        if passed < STEP && !(now.phase.is_over() && passed > Duration::ZERO) {
            return;
        }
        let counts = &now.counts;
        let sums = Totals {
            uptime: now.uptime,
            read: now.read,
            written: counts.written,
            dead: counts.dead,
            scored: counts.scored,
            score_sum: counts.score_sum,
        };
        let before = std::mem::replace(&mut self.before, sums);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / passed.as_secs_f64();
        let scored = counts.scored.saturating_sub(before.scored);
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(HistoryPoint {
            unix_ms,
            read_per_second: rate(now.read, before.read),
            written_per_second: rate(counts.written, before.written),
            mean_score: (scored > 0).then(|| (counts.score_sum - before.score_sum) / scored as f64),
            lag: now.lag,
            dead_letters: counts.dead.saturating_sub(before.dead),
        });
    }

    pub(super) fn points(&self) -> Vec<HistoryPoint> {
        self.points.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counts, Phase};

    fn at(second: u64, read: u64, phase: Phase) -> Snapshot {
        let counts = Counts { written: read / 2, dead: read / 10, scored: 4, score_sum: 3.0, ..Counts::default() };
        Snapshot { read, counts, phase, uptime: Duration::from_secs(second), ..Snapshot::default() }
    }

    #[test]
    fn points_have_the_figures_of_their_interval_and_only_the_last_ones_are_kept() {
        let mut history = History::default();
        history.observe(&at(5, 100, Phase::Running), 5_000);
        history.observe(&at(6, 110, Phase::Running), 6_000);
        history.observe(&at(7, 120, Phase::Done), 7_000);
        let points = history.points();
        assert_eq!(points.len(), 2, "a second after the last one is too early, but for the end");
        assert_eq!((points[0].read_per_second, points[0].dead_letters), (20.0, 10));
        assert_eq!((points[0].mean_score, points[1].mean_score), (Some(0.75), None), "no record has a new score");
        assert_eq!((points[1].read_per_second, points[1].written_per_second, points[1].unix_ms), (10.0, 5.0, 7_000));
        (2..400).for_each(|i| history.observe(&at(i * 5, 0, Phase::Running), i));
        assert_eq!((history.points().len(), history.points()[POINTS_MAX - 1].unix_ms), (POINTS_MAX, 399));
    }
}
