//! Progress bars on a terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aqpipe_engine::monitor::Metrics;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a bar is drawn.
const DRAW: Duration = Duration::from_millis(200);

/// The bars of all pipelines of a run; none where standard error is no terminal.
#[derive(Clone)]
pub(crate) struct Bars(MultiProgress);

impl Bars {
    /// No bars yet.
    #[must_use]
    pub(crate) fn new() -> Bars {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Bars(MultiProgress::with_draw_target(target))
    }

    /// Writes beside the bars, so that neither overwrites the other.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// A bar that follows the metrics of a bounded pipeline until the returned guard is dropped.
    #[must_use]
    pub(crate) fn follow(&self, name: &str, metrics: Arc<Metrics>) -> Following {
        if !std::io::stderr().is_terminal() {
            return Following(None);
        }
        let bar = self.0.add(ProgressBar::no_length());
        bar.set_prefix(name.to_owned());
        bar.set_style(style("{prefix} {human_pos} records, {per_sec}, {elapsed}"));
        bar.enable_steady_tick(DRAW);
        let (over, ended) = std::sync::mpsc::channel::<()>();
        let follower = bar.clone();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(DRAW) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let expected = metrics.expected.load(Ordering::Relaxed);
                if expected > 0 && follower.length() != Some(expected) {
                    follower.set_length(expected);
                    follower
                        .set_style(style("{prefix} {wide_bar} {human_pos}/{human_len} records, {per_sec}, {eta} left"));
                }
                follower.set_position(metrics.progress.load(Ordering::Relaxed));
            }
        });
        Following(Some((bar, over, thread)))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Keeps a bar up to date until it is dropped.
pub(crate) struct Following(Option<(ProgressBar, std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>);

impl Drop for Following {
    fn drop(&mut self) {
        if let Some((bar, over, thread)) = self.0.take() {
            drop(over);
            let _ = thread.join();
            bar.finish_and_clear();
        }
    }
}
