//! The configuration that all trials of a command share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::kafka::Cluster;
use crate::proxy::Proxy;

/// The configuration that all trials of a command share.
pub(crate) struct TrialConfig<'a> {
    pub(crate) aqpipe: PathBuf,
    pub(crate) cluster: Option<&'a Cluster>,
    pub(crate) proxy: Option<&'a Proxy>,
    /// Readings for each round.
    pub(crate) readings_per_round: u64,
    pub(crate) keep_going: bool,
    /// The unique part of topic and pipeline names.
    pub(crate) unique: String,
    pub(crate) interrupted: Arc<AtomicBool>,
}
