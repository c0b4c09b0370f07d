//! When a run stops because its records become dead letters: the engine's own keys of `[dead_letter]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a run stops because its records become dead letters. Nothing is lost then: they are committed, and can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LossLimits {
    /// The run stops when the first so many records since its start all become dead letters for one class of reason: the
    /// configuration hardly fits the input then. A restart reads the next ones, and stops again where they do the same. 0 never
    /// stops.
    #[serde(default = "default_stop_first")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub stop_first: u64,
    /// The run stops when more than this share of its last 1,000 records became dead letters, from 0 to 1. A restart with the same
    /// options stops again where the next 100 do the same; with others it counts anew. 1 never stops.
    #[serde(default = "default_stop_above")]
    #[schemars(range(min = 0, max = 1))]
    pub stop_above: f64,
}

impl Default for LossLimits {
    fn default() -> Self {
        LossLimits { stop_first: default_stop_first(), stop_above: default_stop_above() }
    }
}

impl LossLimits {
    /// Limits that no run reaches.
    pub const NONE: LossLimits = LossLimits { stop_first: 0, stop_above: 1.0 };

    /// The keys.
    pub(super) const KEYS: [&'static str; 2] = ["stop_first", "stop_above"];
}

fn default_stop_first() -> u64 {
    100
}

fn default_stop_above() -> f64 {
    0.5
}
