//! Log lines as text.

use std::fmt::{self, Write as _};

use aqpipe_engine::printable::Printable;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event_text::write_event;
use super::pipeline_name::{Instances, pipeline_of};

/// `2026-01-31T12:00:00.000000Z  INFO producer: message field=value`. Line breaks are escaped. In a file, the id of the process stands
/// before the level: `…Z [4711]  INFO producer: …`.
pub(super) struct TextFormat {
    /// The instances that are named behind their pipeline (`consumer/1: …`), for a file that several may share.
    pub(super) instances: Option<Instances>,
}

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut out)?;
        if self.instances.is_some() {
            // Another process may run the same pipeline and write to the same file, before it finds that it must not.
            write!(out, " [{}]", std::process::id())?;
        }
        write!(out, " {:>5} ", event.metadata().level())?;
        let mut printable = Printable(out.by_ref());
        if let Some(name) = pipeline_of(context.event_scope(), event) {
            match self.instances.as_ref().and_then(|instances| instances.of(&name)) {
                Some(instance) => write!(printable, "{name}/{instance}: ")?,
                None => write!(printable, "{name}: ")?,
            }
        }
        write_event(&mut printable, event)?;
        writeln!(out)
    }
}
