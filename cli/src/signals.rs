//! Signals: SIGTERM, SIGINT and SIGHUP stop the pipelines, SIGUSR1 has the log files opened anew.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aqpipe_engine::cancel::CancellationToken;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::logging::LogFiles;

/// Signals that follow each other this closely count as one: `timeout` and service managers signal the process and its
/// process group.
const SIGNAL_DEBOUNCE: Duration = Duration::from_millis(250);

/// Lets the first signal stop the pipelines, which drain and commit. A second signal ends the process; the next start
/// recovers. Log files are opened anew whenever that is asked for.
pub(crate) fn handle_signals(stops: Vec<CancellationToken>, log_files: LogFiles) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("signals cannot be waited for")?;
    let _entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = if is_hang_up_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    let mut reopen = signal(SignalKind::user_defined1())?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let mut asked: Option<Instant> = None;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    () = received(&mut hang_up) => {}
                    _ = reopen.recv() => {
                        open_anew(&log_files);
                        continue;
                    }
                }
                if let Some(asked) = asked {
                    if asked.elapsed() < SIGNAL_DEBOUNCE {
                        continue;
                    }
                    tracing::warn!("stopped at once; the next start goes on from the last commit");
                    std::process::exit(Exit::Failed.code().into());
                }
                asked = Some(Instant::now());
                // First what was asked for: nothing that is said of it may keep it from happening.
                stops.iter().for_each(|stop| stop.stop());
                tracing::info!("stopping: reading ends, what was read is committed; a second signal ends at once");
            }
        });
    })?;
    Ok(())
}

/// The next signal of a kind; never, where none is waited for.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

fn open_anew(log_files: &LogFiles) {
    match log_files.open_anew() {
        0 => tracing::info!("SIGUSR1 opens log files anew, and there is none: `file` in [log] names one"),
        1 => tracing::info!("the log file is opened anew, as SIGUSR1 asks"),
        files => tracing::info!("{files} log files are opened anew, as SIGUSR1 asks"),
    }
}

/// Whether whoever started this process wants it to go on when the terminal closes, as `nohup` does: a handler would undo
/// that. Only Linux tells.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // The lowest bit is signal 1.
    let bit = SignalKind::hangup().as_raw_value() - 1;
    mask >> bit & 1 == 1
}
