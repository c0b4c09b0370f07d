//! What a terminal shows below the log: a bar for a bounded pipeline, a status line for an endless one.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aqpipe_engine::monitor::{Metrics, Monitor};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::status::status_line;
use crate::terminal;

/// How often a bar is redrawn.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
/// How often a status line is: all numbers of the pipeline are looked at.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// The progress bars of all pipelines of a run. None is drawn where standard error is no terminal.
#[derive(Clone)]
pub(crate) struct ProgressBars(MultiProgress);

impl ProgressBars {
    /// A set without bars.
    #[must_use]
    pub(crate) fn new() -> ProgressBars {
        let shown = terminal::is_shown();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        ProgressBars(MultiProgress::with_draw_target(target))
    }

    /// Hides the bars while `write` writes to the terminal. Where that was closed there are none, and indicatif would panic.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.0.is_hidden() || std::io::stderr().is_terminal() { self.0.suspend(write) } else { write() }
    }

    /// Shows the progress of a bounded pipeline until the returned guard is dropped.
    #[must_use]
    pub(crate) fn track(&self, name: &str, metrics: Arc<Metrics>) -> TrackedBar {
        let begin = |bar: &ProgressBar| {
            bar.set_prefix(name.to_owned());
            bar.set_style(style("{prefix} {human_pos} records, {rate}, {elapsed}"));
            bar.enable_steady_tick(REDRAW_INTERVAL);
        };
        self.follow(REDRAW_INTERVAL, begin, move |bar| {
            let expected = metrics.expected.load(Ordering::Relaxed);
            if expected > 0 && bar.length() != Some(expected) {
                bar.set_length(expected);
                bar.set_style(style("{prefix} {wide_bar} {human_pos}/{human_len} records, {rate}, {eta} left"));
            }
            bar.set_position(metrics.progress.load(Ordering::Relaxed));
        })
    }

    /// Shows the status of an endless pipeline until the returned guard is dropped.
    #[must_use]
    pub(crate) fn show_status(&self, monitor: Monitor) -> TrackedBar {
        // Cut off at the width of the terminal.
        let begin = |bar: &ProgressBar| bar.set_style(style("{wide_msg}"));
        self.follow(STATUS_INTERVAL, begin, move |bar| bar.set_message(status_line(&monitor)))
    }

    /// A bar that is updated at intervals, where there is a terminal.
    fn follow(
        &self,
        interval: Duration,
        begin: impl FnOnce(&ProgressBar),
        mut update: impl FnMut(&ProgressBar) + Send + 'static,
    ) -> TrackedBar {
        if !terminal::is_shown() {
            return TrackedBar(None);
        }
        let bar = self.0.add(ProgressBar::no_length());
        begin(&bar);
        let (stop, stopped) = channel::<()>();
        let follower = bar.clone();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                update(&follower);
            }
        });
        TrackedBar(Some((bar, stop, thread)))
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = write!(out, "{:.0}/s", state.per_sec());
    })
}

/// A progress bar that is updated until this is dropped.
pub(crate) struct TrackedBar(Option<(ProgressBar, Sender<()>, JoinHandle<()>)>);

impl Drop for TrackedBar {
    fn drop(&mut self) {
        if let Some((bar, stop, thread)) = self.0.take() {
            drop(stop);
            let _ = thread.join();
            bar.finish_and_clear();
        }
    }
}
