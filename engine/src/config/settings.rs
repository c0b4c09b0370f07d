//! The settings of a pipeline: its keys other than stages.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::log_settings::LogSettings;
use crate::monitor::MonitorSettings;
use crate::stage::Delivery;

/// The form of a name that becomes a directory and a consumer group: never `..`, never a path.
const NAME_PATTERN: &str = r"^[A-Za-z0-9][A-Za-z0-9._-]*$";
const NAME_FORM: &str =
    "must be of letters, digits, `.`, `_` and `-`, and begin with a letter or a digit, such as \"hourly-uci\"";

/// How a pipeline runs, as far as its stages do not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What readers of the output see after a crash. By default the best that source, sink and dead letter can do.
    #[serde(default)]
    pub delivery: Option<Delivery>,
    /// Milliseconds between two commits, for sinks that leave the choice. Readers see output once it is committed.
    #[serde(default = "default_commit_interval_ms")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub commit_interval_ms: u64,
    /// The directory where pipelines keep what they must remember, relative to the working directory.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// The name of this process among those that run the pipeline. By default the first that no running process has:
    /// `0`, `1`, and so on.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_PATTERN), extend("patternErrorMessage" = NAME_FORM), length(max = 100))]
    pub instance: Option<String>,
    /// Seconds that a stop may take to carry and commit what was read.
    #[serde(default = "default_shutdown_timeout_secs")]
    #[schemars(range(min = 0, max = 86_400))]
    pub shutdown_timeout_secs: f64,
    /// What is said of the pipeline while it runs.
    #[serde(default)]
    pub monitor: MonitorSettings,
    /// Where its log goes.
    #[serde(default)]
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            delivery: None,
            commit_interval_ms: default_commit_interval_ms(),
            state_dir: default_state_dir(),
            instance: None,
            shutdown_timeout_secs: default_shutdown_timeout_secs(),
            monitor: MonitorSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// Readers see output after this time: a tenth of a second is soon, and ten commits a second cost half a percent of a core.
fn default_commit_interval_ms() -> u64 {
    100
}

fn default_state_dir() -> PathBuf {
    ".aqpipe".into()
}

fn default_shutdown_timeout_secs() -> f64 {
    30.0
}

/// The JSON Schema of a pipeline's own keys: its name and its settings.
pub(super) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Settings).to_value();
    let name = serde_json::json!({
        "description": "What identifies the pipeline: its consumer group, its transactional id and its directory of \
                        state are called after it. Letters, digits, `.`, `_` and `-`.",
        "type": "string",
        "pattern": NAME_PATTERN,
        "patternErrorMessage": NAME_FORM,
        "maxLength": 200,
    });
    if let Some(object) = schema.as_object_mut() {
        let mut properties = serde_json::Map::new();
        properties.insert("name".to_owned(), name);
        if let Some(serde_json::Value::Object(others)) = object.get_mut("properties").map(serde_json::Value::take) {
            properties.extend(others);
        }
        object.insert("properties".to_owned(), properties.into());
        object.insert("required".to_owned(), serde_json::json!(["name"]));
    }
    schema
}
