//! What people look at: metrics, health, the live page, the report, and notifications of alerts.
//!
//! It knows the facts of the engine and no stage. What the report reads, the command opens and hands on as batches.

pub mod exposition;
pub mod names;
pub mod notify;
pub mod numbers;
pub mod page;
pub mod pictures;
pub mod report;
pub mod server;
