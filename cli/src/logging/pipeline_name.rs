//! The name of the pipeline that an event belongs to.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

/// The span that a pipeline runs in; its field `name` holds the pipeline's name.
pub(crate) const PIPELINE_SPAN: &str = "pipeline";
/// The field by which an event outside that span (on a thread of librdkafka) names its pipeline.
pub(super) const PIPELINE_FIELD: &str = "pipeline";

/// The name of a pipeline, stored in the extensions of its span.
struct PipelineName(String);

/// A layer that stores the names of pipelines in their spans.
pub(super) struct StorePipelineNames;

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
    scope.and_then(name).or_else(|| {
        let mut visitor = FieldVisitor { field: PIPELINE_FIELD, value: None };
        event.record(&mut visitor);
        visitor.value
    })
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
