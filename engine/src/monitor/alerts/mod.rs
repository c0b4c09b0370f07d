//! Alerts: what was measured beside the limits of `[monitor.alerts]`, what fires, and what is said of it.

mod judge;
mod measures;
mod numbers;
mod settings;
mod throughput;
mod trend;
mod window;
mod wording;

pub(super) use judge::Alerts;
pub use judge::{AlertChange, AlertListener};
pub(super) use measures::Measures;
pub use settings::{AlertKind, AlertSettings};
