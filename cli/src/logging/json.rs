//! Log lines as JSON.

use std::fmt;

use aqpipe_engine::printable;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event_text::{ALIKE_FIELD, NUMBERS_FIELD};
use super::pipeline_name::{INSTANCE_FIELD, Instances, PIPELINE_FIELD, pipeline_of};

/// `{"timestamp":"…","level":"INFO","pid":…,"pipeline":"producer","message":"…","field":…}`, with numbers as numbers. Where several
/// instances of the pipeline can run, `instance` follows `pipeline`. The numbers of a status are called as in `/api/status`.
pub(super) struct JsonFormat(pub(super) Instances);

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = JsonFields(Map::new());
        fields.put("timestamp", time);
        fields.put("level", event.metadata().level().as_str());
        fields.put("pid", std::process::id());
        if let Some(name) = pipeline_of(context.event_scope(), event) {
            let instance = self.0.of(&name);
            fields.put(PIPELINE_FIELD, name);
            if let Some(instance) = instance {
                fields.put(INSTANCE_FIELD, instance);
            }
        }
        event.record(&mut fields);
        writeln!(out, "{}", printable::json(&Value::Object(fields.0).to_string()))
    }
}

/// Collects fields as JSON; the first value of a name stays.
struct JsonFields(Map<String, Value>);

impl JsonFields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.entry(name).or_insert_with(|| value.into());
    }
}

impl Visit for JsonFields {
    /// What is no finite number becomes `null`: nothing was measured.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.put(field.name(), value),
            Err(_) => self.put(field.name(), value as f64),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.put(field.name(), value),
            Err(_) => self.put(field.name(), value as f64),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            ALIKE_FIELD => {}
            NUMBERS_FIELD => {
                let numbers: Map<String, Value> = serde_json::from_str(value).unwrap_or_default();
                numbers.into_iter().for_each(|(name, value)| self.put(&name, value));
            }
            name => self.put(name, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}
