//! The thread of a monitor, by a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::common::monitored;
use crate::clock::Clock;
use crate::metrics::{Counts, Measured, Metrics, Phase};
use crate::monitor::{AlertChange, AlertListener, AlertSettings, AlertState, Monitor, Monitored, PipelineStatus};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Heard(Mutex<Vec<AlertChange>>);

impl AlertListener for Heard {
    fn changed(&self, change: &AlertChange) {
        self.0.lock().push(change.clone());
    }
}

fn wait_for(monitor: &Monitor, holds: impl Fn(&PipelineStatus) -> bool) -> Arc<PipelineStatus> {
    let began = Instant::now();
    loop {
        let status = monitor.status();
        if holds(&status) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "{status:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_monitor_looks_every_second_and_tells_of_alerts_until_the_end_and_stays_readable() {
    let clock = Clock::manual(Duration::from_secs(1_000));
    let metrics = Arc::new(Metrics::new(clock.clone()));
    let heard = Arc::new(Heard::default());
    let what = Monitored { is_bounded: true, ..monitored(AlertSettings::default()) };
    let monitor = Monitor::new(what, Arc::clone(&metrics), clock.clone(), Some(Arc::clone(&heard) as Arc<_>));
    assert_eq!((monitor.status().phase, monitor.history().len()), (Phase::Starting, 0));
    let watching = monitor.start();
    metrics.set_phase(Phase::Running);
    metrics.progress.fetch_add(10, Ordering::Relaxed);
    clock.advance(Duration::from_secs(1));
    wait_for(&monitor, |status| status.phase == Phase::Running && status.read == 10);
    let counts = Counts { read: 10, dead: 5, written: 5, ..Counts::default() };
    metrics.record_checkpoint(&"s".into(), &counts, &Default::default(), &Measured::default());
    metrics.set_phase(Phase::Done);
    assert!(heard.0.lock().is_empty());
    drop(watching);
    let status = monitor.status();
    assert_eq!((status.phase, status.committed.read, status.alerts.len()), (Phase::Done, 10, 1));
    let heard = heard.0.lock();
    assert_eq!((heard.len(), heard[0].state, &*heard[0].time), (1, AlertState::Firing, "1970-01-01T00:16:41.000Z"));
    assert_eq!(monitor.history().len(), 1, "the last point is that of the end");
    assert_eq!(monitor.metrics().commits(), 0);
}

#[test]
fn without_monitoring_there_is_no_thread_and_a_status_for_who_asks() {
    let metrics = Arc::new(Metrics::default());
    let mut what = monitored(AlertSettings::default());
    what.settings.enabled = false;
    let monitor = Monitor::new(what, Arc::clone(&metrics), Clock::default(), None);
    let watching = monitor.start();
    assert!(format!("{watching:?}").contains("thread: None"));
    metrics.progress.fetch_add(3, Ordering::Relaxed);
    assert_eq!(monitor.status().read, 3);
}
