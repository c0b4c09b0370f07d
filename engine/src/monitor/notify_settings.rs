//! The settings of `[[monitor.notify]]`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, Serializer};

use super::alerts::AlertKind;

/// Somebody to tell of alerts: a command or a web hook, one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// What the log and the metrics call it. By default its place among the tables, from 1.
    #[serde(default)]
    #[schemars(
        regex(pattern = r"^[A-Za-z][A-Za-z0-9._-]*$"),
        extend("patternErrorMessage" = "must be of letters, digits, `.`, `_` and `-`, and begin with a letter, such as \"on-call\""),
        length(max = 100)
    )]
    pub name: Option<String>,
    /// A program and its arguments, without a shell. It gets the alert as one line of JSON on its standard input, and in its environment
    /// as `AQPIPE_ALERT`, `AQPIPE_STATE`, `AQPIPE_SUBJECT`, `AQPIPE_TEXT`, `AQPIPE_VALUE`, `AQPIPE_LIMIT`, `AQPIPE_TIME`, `AQPIPE_PIPELINE` and
    /// `AQPIPE_INSTANCE`. It is killed after `timeout_secs`, and not tried again.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub command: Option<Vec<String>>,
    /// An address to which the alert is posted as JSON, up to five times where it does not answer, or answers that it is busy or
    /// broken (408, 425, 429, 5xx). Redirects are not followed. It counts as a secret: logs show its host alone.
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
    /// What metrics call it, by its place among the others, from 0.
    #[must_use]
    pub fn label(&self, place: usize) -> String {
        self.name.clone().unwrap_or_else(|| (place + 1).to_string())
    }

    /// Its name in messages, without a secret: what it is called, and the program or the host of the address.
    #[must_use]
    pub fn title(&self, place: usize) -> String {
        let label = match &self.name {
            Some(name) => format!("`{name}`"),
            None => (place + 1).to_string(),
        };
        match (&self.command, &self.webhook) {
            (Some(command), _) => format!("command {label} (`{}`)", command.first().map_or("", String::as_str)),
            (None, Some(webhook)) => format!("web hook {label} (at `{}`)", host(webhook.reveal())),
            (None, None) => format!("{label}, which is nobody"),
        }
    }

    /// Whether it wants to know of a change.
    #[must_use]
    pub fn wants(&self, kind: AlertKind, state: AlertState) -> bool {
        self.on.contains(&state) && self.alerts.as_ref().is_none_or(|alerts| alerts.contains(&kind))
    }
}

/// The host of an address, and its port where it has one.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_told_apart_by_their_names_or_their_places() {
        let of = |json| serde_json::from_value::<NotifySettings>(json).expect("settings");
        let named = of(serde_json::json!({ "name": "on-call", "webhook": "https://h/a" }));
        assert_eq!((named.label(4), named.title(4)), ("on-call".to_owned(), "web hook `on-call` (at `h`)".to_owned()));
        let other = of(serde_json::json!({ "command": ["mail", "secret"] }));
        assert_eq!((other.label(0), other.title(0)), ("1".to_owned(), "command 1 (`mail`)".to_owned()));
    }

    #[test]
    fn the_title_of_a_web_hook_shows_its_host_alone() {
        for (url, name) in [
            ("https://hooks.example.org/T0/secret?token=x#y", "hooks.example.org"),
            ("http://user:pass@host:8080", "host:8080"),
            ("http://user:p@ss@host/a@b", "host"),
            ("http://[::1]:80/x", "[::1]:80"),
        ] {
            let settings: NotifySettings =
                serde_json::from_value(serde_json::json!({ "webhook": url })).expect("settings");
            assert_eq!(settings.title(1), format!("web hook 2 (at `{name}`)"));
            assert!(!format!("{settings:?}").contains("://"), "{settings:?}");
            assert!(!serde_json::to_string(&settings).expect("JSON").contains("://"));
        }
    }
}
