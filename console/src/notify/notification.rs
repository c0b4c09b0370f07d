//! What is told of an alert.

use aqpipe_engine::monitor::{AlertChange, AlertState};
use serde::Serialize;

/// The characters of a text that came from data: the keys of stations may be long, an environment and a pipe have bounds.
const TEXT_MAX: usize = 2_000;

/// What is told of an alert that begins or ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    /// The pipeline.
    pub pipeline: String,
    /// The name of the process among those that run it, once it has one.
    pub instance: Option<String>,
    /// When the alert began or ended: RFC 3339.
    pub time: String,
    /// Whether it began or ended.
    pub state: AlertState,
    /// Which alert it is, as the key of its limit.
    pub alert: String,
    /// The station or the field that it is about, where it is about one.
    pub subject: Option<String>,
    /// What was measured.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// The measured value, the limit and the key that sets it, and what to do.
    pub text: String,
}

impl From<&AlertChange> for Notification {
    fn from(change: &AlertChange) -> Notification {
        let alert = &change.alert;
        Notification {
            pipeline: change.pipeline.clone(),
            instance: change.instance.clone(),
            time: change.time.clone(),
            state: change.state,
            alert: alert.alert.clone(),
            subject: alert.subject.as_deref().map(shortened),
            value: alert.value,
            limit: alert.limit,
            text: shortened(&alert.text),
        }
    }
}

impl Notification {
    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("{text}\n")
    }

    /// The same as variables of an environment.
    pub(super) fn variables(&self) -> [(&'static str, String); 9] {
        // An environment has no such byte.
        let text = |text: &str| text.replace('\0', "\u{fffd}");
        [
            ("AQPIPE_ALERT", self.alert.clone()),
            ("AQPIPE_STATE", self.state.name().to_owned()),
            ("AQPIPE_SUBJECT", text(self.subject.as_deref().unwrap_or_default())),
            ("AQPIPE_TEXT", text(&self.text)),
            ("AQPIPE_VALUE", self.value.to_string()),
            ("AQPIPE_LIMIT", self.limit.to_string()),
            ("AQPIPE_TIME", self.time.clone()),
            ("AQPIPE_PIPELINE", self.pipeline.clone()),
            ("AQPIPE_INSTANCE", self.instance.clone().unwrap_or_default()),
        ]
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
