//! `[source.replay]`: how fast records are released.

use std::time::Duration;

use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

/// Releases records in the pace of their timestamps, or in steps of a fixed length.
///
/// A step is all records of one timestamp, or `records_per_step` of them. The clock starts at the first record after a
/// start; time that goes back does not wait.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// How many times as fast as the clock: 1 is real time, at 3600 an hour takes a second.
    #[serde(default = "one")]
    speed: f64,
    /// Seconds that each step takes, over `speed`, instead of what the timestamps say.
    interval_secs: Option<f64>,
    /// Records in a step. Absent, a step is one timestamp.
    #[schemars(range(min = 1))]
    records_per_step: Option<u64>,
}

const fn one() -> f64 {
    1.0
}

impl Replay {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let mut problems = Vec::new();
        if !positive(self.speed) {
            problems.push(Problem::new(["replay", "speed"], format!("{} is not above 0", self.speed)));
        }
        if let Some(interval) = self.interval_secs.filter(|interval| !positive(*interval)) {
            problems.push(Problem::new(["replay", "interval_secs"], format!("{interval} is not above 0")));
        }
        problems
    }

    pub(super) fn pace(&self) -> Pace {
        let interval = self.interval_secs.map(|secs| Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX));
        Pace { speed: self.speed, interval, records_per_step: self.records_per_step }
    }
}
