//! The name of the pipeline that an event belongs to, and of its instance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

const PIPELINE_SPAN: &str = "pipeline";
/// The field by which an event outside that span (on a thread of librdkafka) names its pipeline.
pub(super) const PIPELINE_FIELD: &str = "pipeline";

/// The field of a span, and of a line of JSON, that names the instance of the pipeline.
pub(super) const INSTANCE_FIELD: &str = "instance";

/// The span that a pipeline runs in.
pub(crate) fn pipeline_span(name: &str) -> tracing::Span {
    // The engine fills in the instance.
    tracing::info_span!(PIPELINE_SPAN, name, instance = tracing::field::Empty)
}

/// The instances that the pipelines of this process run as, by the pipelines' names, where there can be several.
#[derive(Clone, Default)]
pub(super) struct Instances(Arc<Mutex<BTreeMap<String, String>>>);

impl Instances {
    /// The instance of a pipeline, once it is known.
    pub(super) fn of(&self, pipeline: &str) -> Option<String> {
        self.0.lock().ok()?.get(pipeline).cloned()
    }
}

/// The name of a pipeline, stored in the extensions of its span.
struct PipelineName(String);

/// A layer that stores the names of pipelines in their spans, and notes their instances.
pub(super) struct StorePipelineNames(pub(super) Instances);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StorePipelineNames {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == PIPELINE_SPAN
            && let Some(span) = context.span(id)
        {
            let mut visitor = FieldVisitor { field: "name", value: None };
            attributes.record(&mut visitor);
            span.extensions_mut().insert(PipelineName(visitor.value.unwrap_or_default()));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut visitor = FieldVisitor { field: INSTANCE_FIELD, value: None };
        values.record(&mut visitor);
        let (Some(span), Some(instance)) = (context.span(id), visitor.value) else { return };
        if let Some(PipelineName(name)) = span.extensions().get()
            && let Ok(mut instances) = self.0.0.lock()
        {
            instances.insert(name.clone(), instance);
        }
    }

    /// This layer needs no events. Without a hint it would enable all levels, and libraries trace every message.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }
}

/// Returns the pipeline of an event in these spans.
pub(super) fn pipeline_of<'a, S: LookupSpan<'a>>(scope: Option<Scope<'a, S>>, event: &Event<'_>) -> Option<String> {
    let name = |mut scope: Scope<'a, S>| {
        scope.find_map(|span| span.extensions().get::<PipelineName>().map(|name| name.0.clone()))
    };
    scope.and_then(name).or_else(|| value_of(event, PIPELINE_FIELD))
}

/// Returns the value of a field of an event.
pub(super) fn value_of(event: &Event<'_>, field: &'static str) -> Option<String> {
    let mut visitor = FieldVisitor { field, value: None };
    event.record(&mut visitor);
    visitor.value
}

/// Extracts the value of one field.
struct FieldVisitor {
    field: &'static str,
    value: Option<String>,
}

impl Visit for FieldVisitor {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.field {
            self.value = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.field {
            self.value = Some(format!("{value:?}"));
        }
    }
}
