//! What readers of the output see after a crash.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What readers of the output see after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Nothing is lost; what was under way may be there twice.
    AtLeastOnce,
    /// Nothing is lost and nothing is there twice.
    ExactlyOnce,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivery::AtLeastOnce => "at_least_once",
            Delivery::ExactlyOnce => "exactly_once",
        })
    }
}
