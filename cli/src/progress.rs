//! Progress bars on a terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aqpipe_engine::monitor::Metrics;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a bar is redrawn.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// The progress bars of all pipelines of a run. None is drawn where standard error is no terminal.
#[derive(Clone)]
pub(crate) struct ProgressBars(MultiProgress);

impl ProgressBars {
    /// A set without bars.
    #[must_use]
    pub(crate) fn new() -> ProgressBars {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        ProgressBars(MultiProgress::with_draw_target(target))
    }

    /// Hides the bars while `write` writes to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Shows the progress of a bounded pipeline until the returned guard is dropped.
    #[must_use]
    pub(crate) fn track(&self, name: &str, metrics: Arc<Metrics>) -> TrackedBar {
        if !std::io::stderr().is_terminal() {
            return TrackedBar(None);
        }
        let bar = self.0.add(ProgressBar::no_length());
        bar.set_prefix(name.to_owned());
        bar.set_style(style("{prefix} {human_pos} records, {per_sec}, {elapsed}"));
        bar.enable_steady_tick(REDRAW_INTERVAL);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let follower = bar.clone();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(REDRAW_INTERVAL) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let expected = metrics.expected.load(Ordering::Relaxed);
                if expected > 0 && follower.length() != Some(expected) {
                    follower.set_length(expected);
                    follower
                        .set_style(style("{prefix} {wide_bar} {human_pos}/{human_len} records, {per_sec}, {eta} left"));
                }
                follower.set_position(metrics.progress.load(Ordering::Relaxed));
            }
        });
        TrackedBar(Some((bar, stop, thread)))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A progress bar that is updated until this is dropped.
pub(crate) struct TrackedBar(Option<(ProgressBar, std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>);

impl Drop for TrackedBar {
    fn drop(&mut self) {
        if let Some((bar, stop, thread)) = self.0.take() {
            drop(stop);
            let _ = thread.join();
            bar.finish_and_clear();
        }
    }
}
