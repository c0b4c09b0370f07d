//! The options of event-time playback. The engine does the pacing.

use std::time::Duration;

use aqpipe_engine::Pace;
use aqpipe_engine::stage::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast records are released.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Playback {
    /// How many times as fast as the clock: 1.0 is real time, 3600.0 makes an hourly reading a second.
    #[serde(default = "real_time")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    speed: f64,
    /// Seconds that each step takes, over `speed`, instead of the time between timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    interval_secs: Option<f64>,
    /// Records that are released together. Absent, those with one timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    records_per_step: Option<u64>,
}

fn real_time() -> f64 {
    1.0
}

impl Playback {
    /// The problems of the options, under the key `replay`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(self.speed.is_finite() && self.speed > 0.0) {
            problems.push(Problem::new(["replay", "speed"], "the speed must be above 0"));
        }
        if let Some(seconds) = self.interval_secs
            && Duration::try_from_secs_f64(seconds).is_err()
        {
            problems.push(Problem::new(["replay", "interval_secs"], "the interval must be 0 or more seconds"));
        }
        if self.records_per_step == Some(0) {
            problems.push(Problem::new(["replay", "records_per_step"], "a step must have at least 1 record"));
        }
        problems
    }

    /// The options as the engine takes them.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            speed: self.speed,
            // `check` has refused all others.
            interval: self.interval_secs.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            records_per_step: self.records_per_step,
        }
    }
}
