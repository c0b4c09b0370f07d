//! The settings of `[monitor]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::AlertSettings;
use super::notify_settings::NotifySettings;

/// What is said of a pipeline while it runs, to whom, and when to warn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorSettings {
    /// Whether anything is said at all while the pipeline runs: log lines, alerts, notifications, and what `http` serves. The summary at
    /// its end stays.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Seconds between two log lines with rates, errors and the mean score.
    #[serde(default = "default_every_secs")]
    #[schemars(range(min = 1, max = 86_400))]
    pub every_secs: u64,
    /// An address and a port on which the process serves its page, its metrics and its health: `127.0.0.1:9600`. By default there
    /// is none. Pipelines of one process share the listener.
    #[serde(default)]
    pub http: Option<String>,
    /// Whether `http` may be an address that other machines reach. Whoever reaches it sees values and records.
    #[serde(default)]
    pub http_allow_remote: bool,
    /// The environment variable with the bearer token that requests must carry. By default they need none.
    #[serde(default)]
    #[schemars(
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"),
        extend("patternErrorMessage" = "must be the name of a variable of the environment, such as \"AQPIPE_TOKEN\""),
        length(max = 200)
    )]
    pub http_token_env: Option<String>,
    /// Records that may wait in the source while the pipeline counts as ready. By default their number does not matter. A
    /// source that does not know how many wait (files) never gets ready with it. Ready is a pipeline that runs, waits for nobody, and has
    /// something to read: a member of a consumer group without a partition stands by and is not.
    #[serde(default)]
    pub ready_lag: Option<u64>,
    /// Seconds without a commit, although records were read and a commit was due, after which the pipeline counts as stuck and `/health`
    /// says so. Time in which it waits for a broker, a topic, its consumer group or the transaction of another process does not count, for
    /// a restart would not end such a wait.
    #[serde(default = "default_stuck_after_secs")]
    #[schemars(range(min = 1, max = 604_800))]
    pub stuck_after_secs: u64,
    /// When to warn. Values are those of a sliding window. An alert that fires resolves once its value has been back, by a margin,
    /// for as long as the window, so that a value at its limit gives one alert. Alerts begin anew with each start of the process: one that
    /// fired before says nothing of its end. A run that ends by itself is judged once more at its end, as a whole.
    #[serde(default)]
    pub alerts: AlertSettings,
    /// Whom to tell of alerts: a command or a web hook, one of the two. Each has a thread of its own: one that fails or hangs never stops or
    /// slows the pipeline. At most 100 alerts wait for it, and more are counted and dropped. At the end of a run, what still waits has ten
    /// seconds. Each is called by its `name`, or by its place among them, in the log and in the metric `aqpipe_notifications_total`. The JSON has
    /// the keys `pipeline`, `instance`, `time`, `state` (`firing` or `resolved`), `alert` (the key of its limit),
    /// `subject` (a station or a field, or null), `value`, `limit` and `text`.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub notify: Vec<NotifySettings>,
}

impl Default for MonitorSettings {
    fn default() -> Self {
        MonitorSettings {
            enabled: default_enabled(),
            every_secs: default_every_secs(),
            http: None,
            http_allow_remote: false,
            http_token_env: None,
            ready_lag: None,
            stuck_after_secs: default_stuck_after_secs(),
            alerts: AlertSettings::default(),
            notify: Vec::new(),
        }
    }
}

fn default_enabled() -> bool {
    true
}

fn default_every_secs() -> u64 {
    10
}

fn default_stuck_after_secs() -> u64 {
    300
}
