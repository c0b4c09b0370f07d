//! SIGTERM and SIGINT.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aqpipe_engine::cancel::CancellationToken;

use crate::exit::Exit;

/// Signals that follow each other this closely count as one: `timeout` and service managers signal the process and its
/// process group.
const SIGNAL_DEBOUNCE: Duration = Duration::from_millis(250);

/// Lets the first signal stop the pipelines, which drain and commit. A second signal ends the process; the next start
/// recovers.
pub(crate) fn stop_on_signals(stops: Vec<CancellationToken>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("signals cannot be waited for")?;
    let _entered = runtime.enter();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let mut asked: Option<Instant> = None;
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if let Some(asked) = asked {
                    if asked.elapsed() < SIGNAL_DEBOUNCE {
                        continue;
                    }
                    tracing::warn!("stopped at once; the next start goes on from the last commit");
                    std::process::exit(Exit::Failed.code().into());
                }
                asked = Some(Instant::now());
                tracing::info!("stopping: reading ends, what was read is committed; a second signal ends at once");
                stops.iter().for_each(|stop| stop.stop());
            }
        });
    })?;
    Ok(())
}
