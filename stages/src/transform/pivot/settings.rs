//! The options, with their defaults.

use std::sync::Arc;
use std::time::Duration;

use aqpipe_engine::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a pivot does.
pub(super) struct Settings {
    pub(super) names: String,
    pub(super) values: String,
    pub(super) expect: Option<Vec<String>>,
    pub(super) keep: Option<Vec<String>>,
    pub(super) max_wait: Option<Duration>,
    /// In microseconds.
    pub(super) allowed_lateness: u64,
    pub(super) late: Late,
    pub(super) max_rows: u64,
}

/// Names of an example in a message.
const NAMES_SHOWN: usize = 20;

impl Settings {
    /// The error of input that is held as a whole and has too many records for that.
    pub(super) fn too_many(&self, names: &[Arc<str>]) -> Error {
        let names: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("{name:?}")).collect();
        let message = format!(
            "it holds more than {} records (`max_rows`): without `expect` all of the input is held",
            self.max_rows
        );
        Error::config(message).help(format!(
            "set `expect = [{}]`, so that rows leave when they are complete, or raise `max_rows`",
            names.join(", ")
        ))
    }
}

/// What becomes of a value that comes late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Late {
    /// Its record becomes a dead letter.
    #[default]
    DeadLetter,
    /// It becomes a row of its own, with the same key and time.
    Row,
}
