//! Logs: to the console, and to a file for each pipeline that names one.
//!
//! Pipelines share a process, and each has a log level of its own. An event belongs to the pipeline whose span it was
//! emitted in, or, on threads of librdkafka, to the one that its field `pipeline` names. tracing-subscriber's `EnvFilter`
//! knows no fields of events, and its JSON nests the name in spans, so filter and formats are written here.

mod filter;
mod json;
mod pipeline_name;
mod setup;
mod text;
mod writer;

pub(crate) use pipeline_name::PIPELINE_SPAN;
pub(crate) use setup::{LogOverrides, start};
