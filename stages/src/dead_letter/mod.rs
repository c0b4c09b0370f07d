//! Ends for records that could not be carried.

mod kafka;
mod ndjson;
