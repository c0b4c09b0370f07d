//! The words of an event.

use std::fmt;

use tracing::Event;
use tracing::field::{Field, Visit};

use super::pipeline_name::PIPELINE_FIELD;

/// The target of the line that says at intervals how a pipeline does, and of alerts. Their fields are the numbers of the message.
pub(super) const MONITOR_TARGET: &str = "aqpipe::monitor";
/// The field by which an alert is told from the periodic line.
pub(super) const ALERT_FIELD: &str = "alert";
/// The target of the last line of a pipeline, for those that read numbers: people have the summary.
pub(super) const SUMMARY_TARGET: &str = "aqpipe::summary";
/// The field with the numbers of a message, an object of JSON: events have no fields of fields.
pub(super) const NUMBERS_FIELD: &str = "numbers";
/// The field that messages have in common which differ only in what they are about. It is not written.
pub(super) const ALIKE_FIELD: &str = "alike";
/// The target of what logs say of themselves. Its fields are the numbers of its message.
pub(super) const LOG_TARGET: &str = "aqpipe::log";

/// Whether the fields of an event say in numbers what its message says in words, so that only JSON needs them.
fn has_numbers_of_message(event: &Event<'_>) -> bool {
    [MONITOR_TARGET, SUMMARY_TARGET, LOG_TARGET].contains(&event.metadata().target())
}

/// Writes the message of an event and its fields, except for the pipeline's name: `message field=value`.
pub(super) fn write_event(out: &mut dyn fmt::Write, event: &Event<'_>) -> fmt::Result {
    let mut fields = TextFields { out, message_only: has_numbers_of_message(event), result: Ok(()) };
    event.record(&mut fields);
    fields.result
}

struct TextFields<'w> {
    out: &'w mut dyn fmt::Write,
    message_only: bool,
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
                PIPELINE_FIELD | ALIKE_FIELD => Ok(()),
                _ if self.message_only => Ok(()),
                name => write!(self.out, " {name}={value:?}"),
            };
        }
    }
}
