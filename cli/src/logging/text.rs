//! Log lines as text.

use std::fmt::{self, Write as _};

use aqpipe_engine::printable::Printable;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::pipeline_name::{PIPELINE_FIELD, pipeline_of};

/// `2026-01-31T12:00:00.000000Z  INFO producer: message field=value`
pub(super) struct TextFormat;

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut out)?;
        write!(out, " {:>5} ", event.metadata().level())?;
        if let Some(name) = pipeline_of(context.event_scope(), event) {
            write!(Printable(&mut out), "{name}: ")?;
        }
        let mut fields = TextFields { out: Printable(out.by_ref()), result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        writeln!(out)
    }
}

/// Writes the message and the fields, except for the pipeline's name. Line breaks in them are escaped.
struct TextFields<'w> {
    out: Printable<Writer<'w>>,
    result: fmt::Result,
}

impl Visit for TextFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = match field.name() {
                "message" => write!(self.out, "{value:?}"),
                PIPELINE_FIELD => Ok(()),
                name => write!(self.out, " {name}={value:?}"),
            };
        }
    }
}
