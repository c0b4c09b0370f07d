//! Logs: to the console, and to a file for each pipeline that names one.
//!
//! Pipelines share a process, and each has a log level of its own. An event belongs to the pipeline whose span it was
//! emitted in, or, on threads of librdkafka, to the one that its field `pipeline` names. tracing-subscriber's `EnvFilter`
//! knows no fields of events, and its JSON nests the name in spans, so filter and formats are written here.

mod console;
mod event_text;
mod file;
mod filter;
mod json;
mod notice_thread;
mod notices;
mod pipeline_name;
mod repeats;
mod rotation;
mod setup;
mod terminal_text;
mod text;

pub(crate) use pipeline_name::pipeline_span;
pub(crate) use setup::{LogFiles, LogOverrides, start};

#[cfg(test)]
mod tests;
