//! How fast a source releases its records where it does not do so as fast as it can.

use std::time::Duration;

/// How fast records are released.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// How many times as fast as the clock: 3600 makes an hour of event time a second.
    pub speed: f64,
    /// Instead of event time: each step takes this long, over `speed`.
    pub interval: Option<Duration>,
    /// Records in a step; absent, a step is one distinct timestamp.
    pub records_per_step: Option<u64>,
}
