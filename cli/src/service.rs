//! Tells a service manager what it asks for (`sd_notify(3)`): that the pipelines run, how they do, that they live, that they stop.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aqpipe_engine::monitor::{Monitor, Phase};
use sd_notify::NotifyState;

use crate::status::status_line;

/// How often it is looked whether there is something to tell.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often the status is told.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// The least time between two looks, however short a time the manager names.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// How long an end waits for the manager to take what is told: one that does not read must not keep the process.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Signs of life for each time that the manager waits for one: it is told so by sd_watchdog_enabled(3).
const SIGNS_PER_WATCHDOG: u32 = 2;

/// The thread that tells the service manager, until it is dropped; there is none without a service manager.
pub(crate) struct Service(Option<Telling>);

struct Telling {
    end: Sender<()>,
    /// Closed when all is told.
    told: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Service {
    pub(crate) fn start(pipelines: Vec<Monitor>) -> Service {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Service(None);
        }
        let (end, ended) = channel();
        let (telling, told) = channel::<()>();
        let teller = Teller { pipelines, is_ready: false, is_stopping: false, has_failed: false, told_status: None };
        let thread = std::thread::Builder::new().name("service".into()).spawn(move || {
            teller.tell_until(&ended);
            drop(telling);
        });
        Service(thread.ok().map(|thread| Telling { end, told, thread }))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let Some(Telling { end, told, thread }) = self.0.take() else { return };
        drop(end);
        if told.recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Disconnected) {
            let _ = thread.join();
        }
    }
}

struct Teller {
    pipelines: Vec<Monitor>,
    is_ready: bool,
    is_stopping: bool,
    has_failed: bool,
    told_status: Option<Instant>,
}

impl Teller {
    fn tell_until(mut self, ended: &Receiver<()>) {
        let sign_interval = sd_notify::watchdog_enabled().map(|most| most / SIGNS_PER_WATCHDOG);
        let interval = sign_interval.map_or(LOOK_INTERVAL, |sign| sign.clamp(LOOK_INTERVAL_MIN, LOOK_INTERVAL));
        let mut sign_given: Option<Instant> = None;
        loop {
            let has_ended = ended.recv_timeout(interval) != Err(RecvTimeoutError::Timeout);
            self.tell_state(has_ended);
            if has_ended {
                return;
            }
            let is_due = |sign: Duration| sign_given.is_none_or(|given| given.elapsed() + interval > sign);
            // What `/health` says to others: a pipeline that failed or is stuck gives no sign of life. Nor does this thread
            // where the numbers of a pipeline are locked for good.
            let lives = |pipeline: &Monitor| pipeline.status().health.reasons.is_empty();
            if sign_interval.is_some_and(is_due) && self.pipelines.iter().all(lives) {
                self.tell(&[NotifyState::Watchdog]);
                sign_given = Some(Instant::now());
            }
        }
    }

    fn tell_state(&mut self, has_ended: bool) {
        let phases: Vec<Phase> = self.pipelines.iter().map(|pipeline| pipeline.status().phase).collect();
        // One that had nothing to do did what it was started for; one that failed before it ran did not.
        let is_good = |phase: &Phase| matches!(phase, Phase::Running | Phase::Stopping | Phase::Done);
        if !self.is_ready && !phases.contains(&Phase::Starting) && phases.iter().any(is_good) {
            self.is_ready = true;
            self.tell(&[NotifyState::Ready]);
        }
        let is_ending = |phase: &Phase| phase.is_over() || *phase == Phase::Stopping;
        if !self.is_stopping && (has_ended || phases.iter().all(is_ending)) {
            self.is_stopping = true;
            self.tell(&[NotifyState::Stopping]);
        }
        if has_ended || self.told_status.is_none_or(|told| told.elapsed() >= STATUS_INTERVAL) {
            self.told_status = Some(Instant::now());
            let lines: Vec<String> = self.pipelines.iter().map(status_line).collect();
            self.tell(&[NotifyState::Status(&lines.join("; "))]);
        }
    }

    fn tell(&mut self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            tracing::warn!("the service manager of NOTIFY_SOCKET cannot be told how the pipelines do: {error}");
        }
    }
}
