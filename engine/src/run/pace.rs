//! Replay in event time.

use std::time::Duration;

/// How fast records are released.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How many times as fast as the clock.
    pub speed: f64,
    /// Instead of event time: each step takes this long, over `speed`.
    pub interval: Option<Duration>,
    /// Records in a step; absent, a step is one distinct timestamp.
    pub records_per_step: Option<u64>,
}
