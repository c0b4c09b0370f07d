//! What the metrics are taken from.

use aqpipe_engine::metrics::Snapshot;

/// The facts of a process at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The version of aqpipe.
    pub version: &'static str,
    /// Memory that the process occupies, where the system tells.
    pub memory_bytes: Option<u64>,
    /// When the process began to serve: seconds since 1970.
    pub started: f64,
    /// Its pipelines.
    pub pipelines: Vec<PipelineFacts>,
}

/// The facts of one pipeline.
#[derive(Clone, Debug, Default)]
pub struct PipelineFacts {
    /// Its name.
    pub name: String,
    /// Whether it is alive.
    pub alive: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// The alerts that can fire, and for how many subjects each does.
    pub alerts: Vec<(String, u64)>,
    /// What was counted.
    pub snapshot: Snapshot,
    /// When that was: seconds since 1970.
    pub now: f64,
}
