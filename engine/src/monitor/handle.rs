//! The thread that watches a pipeline, and the handle on what it saw.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use super::alerts::{AlertChange, AlertListener};
use super::history::HistoryPoint;
use super::line::{LOG_TARGET, log_line, log_summary};
use super::monitored::Monitored;
use super::notify_settings::AlertState;
use super::status::PipelineStatus;
use super::watch::Watch;
use crate::clock::Clock;
use crate::metrics::{Metrics, Snapshot};

/// How often the thread looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A handle on what is known of a pipeline, from before its run to after its end. Clones share it.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

struct Shared {
    monitored: Monitored,
    metrics: Arc<Metrics>,
    clock: Clock,
    listener: Option<Arc<dyn AlertListener>>,
    watch: Mutex<Watch>,
    published: RwLock<Arc<PipelineStatus>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("pipeline", &self.0.monitored.about.name).finish_non_exhaustive()
    }
}

impl Monitor {
    /// A monitor of a pipeline that is counted by these metrics, with somebody who gets to know of alerts. It looks once, and after
    /// that from [`start`](Self::start) on.
    #[must_use]
    pub fn new(
        monitored: Monitored,
        metrics: Arc<Metrics>,
        clock: Clock,
        listener: Option<Arc<dyn AlertListener>>,
    ) -> Monitor {
        if let Some(limit) = monitored.settings.alerts.silent_after {
            metrics.count_silent_after(limit.get());
        }
        let watch = Mutex::new(Watch::new(monitored.clone()));
        let published = RwLock::new(Arc::default());
        let monitor = Monitor(Arc::new(Shared { monitored, metrics, clock, listener, watch, published }));
        monitor.0.look();
        monitor
    }

    /// The pipeline as it was at the last look, which is a second ago at most while it runs.
    #[must_use]
    pub fn status(&self) -> Arc<PipelineStatus> {
        if !self.0.monitored.settings.enabled || self.0.published.read().phase.is_over() {
            // Nobody looks otherwise, and ages go on after the end.
            self.0.look();
        }
        Arc::clone(&self.0.published.read())
    }

    /// The last 15 minutes, the oldest point first.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryPoint> {
        self.0.watch.lock().history()
    }

    /// Logs what the run came to, after its end: all its numbers, as they are called in `/api/status`.
    pub fn log_summary(&self) {
        log_summary(&self.0.metrics.snapshot(), &self.status());
    }

    /// What counts for the pipeline: [`recent_output`](Metrics::recent_output) is there.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// What the monitor knew before the run.
    #[must_use]
    pub fn monitored(&self) -> &Monitored {
        &self.0.monitored
    }

    /// Starts the thread that looks and logs, within the tracing span of the caller. The last look is when what is returned is
    /// dropped, after the run. There is no thread where the settings say so.
    #[must_use]
    pub fn start(&self) -> MonitorThread {
        let stopped = Arc::new((Mutex::new(false), Condvar::new()));
        if !self.0.monitored.settings.enabled {
            return MonitorThread { stopped, thread: None };
        }
        let (shared, signal, span) = (Arc::clone(&self.0), Arc::clone(&stopped), tracing::Span::current());
        let began = self.0.clock.now();
        let watch = move || span.in_scope(|| shared.run(&signal, began));
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(watch);
        if let Err(error) = &thread {
            tracing::warn!("the pipeline runs without a monitor: the system starts no thread for it: {error}");
        }
        MonitorThread { stopped, thread: thread.ok() }
    }
}

impl Shared {
    fn look(&self) -> (Snapshot, Vec<AlertChange>) {
        let mut watch = self.watch.lock();
        let now = self.metrics.snapshot();
        let (status, changes) = watch.observe(&now, self.clock.unix_ms());
        *self.published.write() = Arc::new(status);
        (now, changes)
    }

    fn run(&self, signal: &(Mutex<bool>, Condvar), began: Instant) {
        let every = Duration::from_secs(self.monitored.settings.every_secs.max(1));
        let mut before = self.metrics.snapshot();
        let (mut look_at, mut line_at) = (began + LOOK_INTERVAL, began + every);
        while !wait(signal, &self.clock, look_at) {
            let time = self.clock.now();
            look_at = time + LOOK_INTERVAL;
            let (now, changes) = self.look();
            if time >= line_at {
                line_at = time + every;
                log_line(&before, &now, &self.published.read());
                before = now;
            }
            changes.iter().for_each(|change| self.tell(change));
        }
        let (_, changes) = self.look();
        changes.iter().for_each(|change| self.tell(change));
    }

    fn tell(&self, change: &AlertChange) {
        let alert = &change.alert;
        let (name, subject) = (alert.alert.as_str(), alert.subject.as_deref());
        let (value, limit) = (alert.value, alert.limit);
        match change.state {
            AlertState::Firing => {
                tracing::warn!(target: LOG_TARGET, alert = name, state = "firing", subject, value, limit, "{}", alert.text);
            }
            AlertState::Resolved => {
                tracing::info!(target: LOG_TARGET, alert = name, state = "resolved", subject, value, limit, "{}", alert.text);
            }
        }
        if let Some(listener) = &self.listener {
            listener.changed(change);
        }
    }
}

/// Waits until an instant of the clock, and says whether the end came before.
fn wait((stopped, woken): &(Mutex<bool>, Condvar), clock: &Clock, until: Instant) -> bool {
    let mut stopped = stopped.lock();
    while !*stopped && clock.now() < until {
        woken.wait_until(&mut stopped, clock.deadline(until));
    }
    *stopped
}

/// The thread of a monitor, which ends when this is dropped.
#[derive(Debug)]
pub struct MonitorThread {
    stopped: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for MonitorThread {
    fn drop(&mut self) {
        *self.stopped.0.lock() = true;
        self.stopped.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
