//! Which events a log takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::event_text::{ALERT_FIELD, MONITOR_TARGET, SUMMARY_TARGET};
use super::pipeline_name::pipeline_of;
use super::repeats;

/// Takes the events of one pipeline, or of all, each from the level of its pipeline up.
pub(super) struct PipelineFilter {
    /// The only pipeline to take; all of them where it is `None`.
    pub(super) pipeline: Option<String>,
    pub(super) levels: Arc<BTreeMap<String, LevelFilter>>,
    /// The most verbose of all levels.
    pub(super) max_level: LevelFilter,
    /// Whether the periodic lines are left out: a terminal has a status line instead.
    pub(super) has_status_line: bool,
    /// Whether the numbers at the end of a run are taken.
    pub(super) takes_summary: bool,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for PipelineFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        let is_periodic = metadata.target() == MONITOR_TARGET && metadata.fields().field(ALERT_FIELD).is_none();
        let is_left_out =
            (self.has_status_line && is_periodic) || (!self.takes_summary && metadata.target() == SUMMARY_TARGET);
        // What the client library's wrapper says of its own queues, of which nobody has to know.
        let is_inner = metadata.target() == "rdkafka::consumer::base_consumer";
        metadata.is_span() || (*metadata.level() <= self.max_level && !is_left_out && !is_inner)
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        if repeats::is_held_back() {
            return false;
        }
        let pipeline = pipeline_of(context.event_scope(event), event);
        if self.pipeline.is_some() && self.pipeline != pipeline {
            return false;
        }
        let level = pipeline.and_then(|name| self.levels.get(&name).copied()).unwrap_or(LevelFilter::INFO);
        *event.metadata().level() <= level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level)
    }
}
