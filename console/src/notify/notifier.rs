//! The queues and the threads of all targets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use aqpipe_engine::metrics::{Metrics, NotificationOutcome};
use aqpipe_engine::monitor::{AlertChange, AlertListener, NotifySettings};
use aqpipe_engine::plural::clause;
use aqpipe_engine::stage::Latch;
use parking_lot::Mutex;

use super::command;
use super::notification::Notification;
use super::webhook::{RETRY_DELAY, Webhook};

/// Notifications that wait for one target. A pipeline with more alerts than this has told its person enough.
const WAITING_MAX: usize = 100;

/// Tells all targets of a pipeline of its alerts.
pub struct Notifier {
    pipeline: String,
    targets: Vec<Target>,
}

/// A target, as those see it who have something for it.
struct Target {
    settings: NotifySettings,
    hook: Hook,
    queue: Mutex<Option<SyncSender<Arc<Notification>>>>,
    counts: Arc<TargetCounts>,
    ended: Arc<Latch>,
}

/// What a target is called, and where it is counted.
#[derive(Clone)]
struct Hook {
    title: String,
    label: String,
    metrics: Arc<Metrics>,
}

impl Hook {
    fn count(&self, outcome: NotificationOutcome, count: u64) {
        self.metrics.record_notifications(&self.label, outcome, count);
    }
}

#[derive(Default)]
struct TargetCounts {
    /// Those that found no room, since that was last said.
    dropped: AtomicU64,
    /// Those that wait, or are just delivered.
    waiting: AtomicU64,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("pipeline", &self.pipeline).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Starts a thread for each target, and counts in these metrics what becomes of notifications; `None` where there is none.
    #[must_use]
    pub fn start(pipeline: &str, targets: &[NotifySettings], metrics: &Arc<Metrics>) -> Option<Arc<Notifier>> {
        Notifier::with_retry_delay(pipeline, targets, metrics, RETRY_DELAY)
    }

    pub(super) fn with_retry_delay(
        pipeline: &str,
        targets: &[NotifySettings],
        metrics: &Arc<Metrics>,
        retry_delay: Duration,
    ) -> Option<Arc<Notifier>> {
        let start = |(place, settings): (usize, &NotifySettings)| {
            let (title, label) = (settings.title(place), settings.label(place));
            let hook = Hook { title, label, metrics: Arc::clone(metrics) };
            // It is there from the start on.
            hook.count(NotificationOutcome::Delivered, 0);
            Target::start(pipeline, settings, hook, retry_delay)
        };
        let targets: Vec<Target> = targets.iter().enumerate().filter_map(start).collect();
        (!targets.is_empty()).then(|| Arc::new(Notifier { pipeline: pipeline.to_owned(), targets }))
    }

    /// Takes nothing more, and waits until what is left is delivered, but not longer than up to `until`.
    pub fn finish(&self, until: Instant) {
        self.targets.iter().for_each(|target| drop(target.queue.lock().take()));
        for target in &self.targets {
            if !target.ended.wait(until.saturating_duration_since(Instant::now())) {
                let (left, name) = (target.counts.waiting.load(Ordering::Relaxed), &target.hook.title);
                target.hook.count(NotificationOutcome::Dropped, left);
                let (pipeline, them) = (self.pipeline.as_str(), if left == 1 { "it" } else { "them" });
                let left = clause(left, "notification", "is", "are");
                tracing::warn!(pipeline, "{left} given up: the {name} did not take {them} in time");
            }
        }
    }
}

impl AlertListener for Notifier {
    fn changed(&self, change: &AlertChange) {
        let wanting = self.targets.iter().filter(|target| target.settings.wants(change.kind, change.state));
        let mut notification = None;
        for target in wanting {
            target.put(notification.get_or_insert_with(|| Arc::new(Notification::from(change))));
        }
    }
}

impl Target {
    fn start(pipeline: &str, settings: &NotifySettings, hook: Hook, retry_delay: Duration) -> Option<Target> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let (counts, ended) = (Arc::<TargetCounts>::default(), Arc::<Latch>::default());
        let delivery = Delivery {
            pipeline: pipeline.to_owned(),
            webhook: Webhook::of(settings, retry_delay),
            settings: settings.clone(),
            hook: hook.clone(),
            counts: Arc::clone(&counts),
            _ended: OpenOnDrop(Arc::clone(&ended)),
        };
        let thread = std::thread::Builder::new().name("notify".into()).spawn(move || delivery.run(&receiver));
        match thread {
            Ok(_) => Some(Target { settings: settings.clone(), hook, queue: Mutex::new(Some(sender)), counts, ended }),
            Err(error) => {
                let name = hook.title;
                tracing::warn!(pipeline, "the {name} is told nothing: the system starts no thread for it: {error}");
                None
            }
        }
    }

    fn put(&self, notification: &Arc<Notification>) {
        let Some(queue) = &*self.queue.lock() else { return };
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(Arc::clone(notification)) {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            self.hook.count(NotificationOutcome::Dropped, 1);
        }
    }
}

/// The thread of a target.
struct Delivery {
    pipeline: String,
    settings: NotifySettings,
    hook: Hook,
    webhook: Option<Webhook>,
    counts: Arc<TargetCounts>,
    _ended: OpenOnDrop,
}

struct OpenOnDrop(Arc<Latch>);

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Delivery {
    fn run(self, queue: &Receiver<Arc<Notification>>) {
        let pipeline = self.pipeline.as_str();
        while let Ok(notification) = queue.recv() {
            let name = &self.hook.title;
            match self.deliver(&notification) {
                Ok(()) => self.hook.count(NotificationOutcome::Delivered, 1),
                Err(why) => {
                    self.hook.count(NotificationOutcome::Failed, 1);
                    let (alert, state) = (&notification.alert, notification.state.name());
                    tracing::warn!(pipeline, "the {name} was not told that the alert `{alert}` is {state}: {why}");
                }
            }
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            let dropped = self.counts.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let dropped = clause(dropped, "notification", "was", "were");
                tracing::warn!(pipeline, "the {name} is too slow: {dropped} dropped");
            }
        }
    }

    fn deliver(&self, notification: &Notification) -> Result<(), String> {
        match (&self.webhook, &self.settings.command) {
            (Some(webhook), _) => webhook.post(notification),
            (None, Some(command)) => {
                command::run(command, notification, Duration::from_secs(self.settings.timeout_secs))
            }
            (None, None) => Err("it names nobody".to_owned()),
        }
    }
}
