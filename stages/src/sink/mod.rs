//! Sinks: where records go.

mod csv;
mod kafka;
mod null;
mod stdout;
