//! What a cell is worth.

use aqpipe_engine::record::{CellQuality, Flag, Provenance};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a flag is worth, 0 to 1.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Values {
    /// Every check that ran passed.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) good: f64,
    /// No check evaluated it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) unknown: f64,
    /// Out of the usual.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) suspect: f64,
    /// Wrong.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) fail: f64,
    /// There was no value, and nothing filled it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) missing: f64,
}

impl Default for Values {
    fn default() -> Self {
        Values { good: 1.0, unknown: 1.0, suspect: 0.5, fail: 0.0, missing: 0.0 }
    }
}

/// What a value is worth by where it came from, 0 to 1. What `derive` computed counts as 1.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fills {
    /// From the source.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) observed: f64,
    /// From the source, as below or above a limit (`<0.5`).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) censored: f64,
    /// Forward or backward fill, for each record between the value and its donor.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) fill: f64,
    /// Between the values around it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) interpolated: f64,
    /// A median.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) median: f64,
    /// A constant of the configuration.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) constant: f64,
}

impl Default for Fills {
    fn default() -> Self {
        Fills { observed: 1.0, censored: 0.9, fill: 0.9, interpolated: 0.85, median: 0.2, constant: 0.2 }
    }
}

impl Values {
    fn of(&self, flag: Flag) -> f64 {
        match flag {
            Flag::Good => self.good,
            Flag::Unknown => self.unknown,
            Flag::Suspect => self.suspect,
            Flag::Fail => self.fail,
            Flag::Missing => self.missing,
        }
    }
}

impl Fills {
    fn of(&self, provenance: Provenance, distance: u8) -> f64 {
        match provenance {
            Provenance::Observed => self.observed,
            Provenance::ForwardFill | Provenance::BackwardFill => self.fill.powi(i32::from(distance)),
            Provenance::Interpolated => self.interpolated,
            Provenance::Median => self.median,
            Provenance::Constant => self.constant,
            Provenance::Censored => self.censored,
            Provenance::Derived => 1.0,
        }
    }
}

/// The bits of a cell's quality that its worth depends on: flag, provenance, distance.
pub(super) const WORTH_BITS_MASK: u32 = 0xffff;

/// The worth of a cell by those bits of its quality. Half a megabyte, of which a run reads a few cache lines.
pub(super) fn worth_table(values: &Values, fills: &Fills) -> Vec<f64> {
    (0..=WORTH_BITS_MASK)
        .map(CellQuality)
        .map(|quality| values.of(quality.flag()) * fills.of(quality.provenance(), quality.distance()))
        .collect()
}
