//! What is served of a process: its pipelines as facts and as a status, made at most a few times a second.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use aqpipe_engine::clock::rfc3339;
use aqpipe_engine::monitor::{AlertKind, Monitor, Status};

use super::fresh::Fresh;
use crate::exposition::{Facts, PipelineFacts};

/// The version of aqpipe: all crates share it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The pipelines that a listener serves.
#[derive(Debug)]
pub(super) struct Process {
    monitors: Vec<Monitor>,
    started: Instant,
    started_unix: f64,
    facts: Fresh<Arc<Facts>>,
    status: Fresh<Arc<Status>>,
}

impl Process {
    pub(super) fn new(monitors: Vec<Monitor>) -> Process {
        for monitor in &monitors {
            monitor.metrics().keep_recent_output();
        }
        let started_unix = unix_seconds();
        Process { monitors, started: Instant::now(), started_unix, facts: Fresh::default(), status: Fresh::default() }
    }

    pub(super) fn monitors(&self) -> &[Monitor] {
        &self.monitors
    }

    /// The facts for `/metrics`.
    pub(super) fn facts(&self) -> Arc<Facts> {
        self.facts.get(|| {
            Arc::new(Facts {
                version: VERSION,
                memory_bytes: memory_bytes(),
                started: self.started_unix,
                pipelines: self.monitors.iter().map(facts).collect(),
            })
        })
    }

    /// The status for everything else.
    pub(super) fn status(&self) -> Arc<Status> {
        self.status.get(|| {
            Arc::new(Status {
                version: VERSION.to_owned(),
                time: rfc3339((unix_seconds() * 1e3) as i64),
                uptime_seconds: self.started.elapsed().as_secs_f64(),
                memory_bytes: memory_bytes(),
                pipelines: self.monitors.iter().map(|monitor| monitor.status().as_ref().clone()).collect(),
            })
        })
    }
}

fn facts(monitor: &Monitor) -> PipelineFacts {
    let status = monitor.status();
    let firing = |kind: &AlertKind| {
        let alerts = status.alerts.iter().filter(|alert| alert.firing && alert.alert == kind.key());
        (kind.key().to_owned(), alerts.map(|alert| alert.subjects).sum::<u64>())
    };
    PipelineFacts {
        name: status.name.clone(),
        alive: status.health.alive,
        ready: status.health.ready,
        alerts: AlertKind::ALL.iter().map(firing).collect(),
        snapshot: monitor.metrics().snapshot(),
        now: unix_seconds(),
    }
}

fn memory_bytes() -> Option<u64> {
    memory_stats::memory_stats().map(|memory| memory.physical_mem as u64)
}

fn unix_seconds() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
}
