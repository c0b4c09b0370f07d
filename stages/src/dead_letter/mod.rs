//! Sinks of dead letters.

mod kafka;
mod ndjson;
