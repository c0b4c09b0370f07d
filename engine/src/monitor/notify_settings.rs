//! The settings of `[[monitor.notify]]`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};

use super::alert_settings::AlertKind;

/// Whom to tell of alerts: a command or a web hook, one of the two. They are told one after the other, on a thread of their own: one
/// that fails or hangs never stops or slows the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// A program and its arguments. It gets the alert as one line of JSON on its standard input, and as `AQPIPE_ALERT` (its name),
    /// `AQPIPE_STATE` (`firing` or `resolved`), `AQPIPE_SUBJECT`, `AQPIPE_TEXT`, `AQPIPE_VALUE`, `AQPIPE_LIMIT` and `AQPIPE_PIPELINE` in its
    /// environment. No shell takes part.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub command: Option<Vec<String>>,
    /// An address to which the alert is posted as JSON. It counts as a secret: logs show its host alone.
    #[serde(default)]
    pub webhook: Option<SecretText>,
    /// Headers of the request, such as `{ Authorization = "Bearer ${ALERT_TOKEN}" }`. Their values count as secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretText>,
    /// What to tell of.
    #[serde(default = "default_on")]
    #[schemars(length(min = 1))]
    pub on: Vec<AlertState>,
    /// The alerts to tell of, by the keys of their limits. By default all of them.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub alerts: Option<Vec<AlertKind>>,
    /// Seconds that the command, or one request, may take.
    #[serde(default = "default_timeout_secs")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_secs: u64,
}

impl NotifySettings {
    /// Whether it wants to know of a change.
    #[must_use]
    pub fn wants(&self, kind: AlertKind, state: AlertState) -> bool {
        self.on.contains(&state) && self.alerts.as_ref().is_none_or(|alerts| alerts.contains(&kind))
    }
}

/// Whether an alert began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It fires.
    Firing,
    /// It is resolved.
    Resolved,
}

impl AlertState {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// A text that no message, no snippet and no other output repeats.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> SecretText {
        SecretText(text.to_owned())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl JsonSchema for SecretText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

fn default_on() -> Vec<AlertState> {
    vec![AlertState::Firing, AlertState::Resolved]
}

fn default_timeout_secs() -> u64 {
    10
}
