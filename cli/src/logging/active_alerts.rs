//! The alerts that are active, as the log tells them: for the status line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::pipeline_name::{pipeline_of, value_of};

/// The field that names an alert, in the warning with which it begins and in the line with which it ends.
const ALERT_FIELD: &str = "alert";

/// The names of the alerts that are active, by pipeline.
#[derive(Clone, Default)]
pub(crate) struct ActiveAlerts(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl ActiveAlerts {
    /// `, alerts: error_rate, quality`, or nothing where there is none.
    pub(crate) fn of(&self, pipeline: &str) -> String {
        let Ok(active) = self.0.lock() else { return String::new() };
        match active.get(pipeline) {
            Some(names) if !names.is_empty() => {
                format!(", alerts: {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            _ => String::new(),
        }
    }

    fn set(&self, pipeline: String, name: String, is_active: bool) {
        let Ok(mut active) = self.0.lock() else { return };
        let names = active.entry(pipeline).or_default();
        if is_active {
            names.insert(name);
        } else {
            names.remove(&name);
        }
    }
}

/// A layer that notes the alerts that begin and end.
pub(super) struct NoteAlerts(pub(super) ActiveAlerts);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for NoteAlerts {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().fields().field(ALERT_FIELD).is_none() {
            return;
        }
        if let (Some(pipeline), Some(name)) =
            (pipeline_of(context.event_scope(event), event), value_of(ALERT_FIELD, event))
        {
            self.0.set(pipeline, name, *event.metadata().level() <= Level::WARN);
        }
    }

    /// It enables nothing.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }
}
