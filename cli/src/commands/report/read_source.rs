//! Reads a source of files outside of a run.

use std::time::{Duration, Instant};

use aqpipe_engine::Result;
use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::{BuildContext, DeadLetter, Poll, Registry, Role, SourceConfig, StageConfig};
use aqpipe_engine::{Error, ErrorKind};
use serde_json::Value;
use std::sync::Arc;

/// Rows of a batch.
pub(super) const BATCH_ROWS_MAX: usize = 8192;
/// How long a reader may wait for input at a time.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The source of that name with these options.
///
/// # Errors
/// Where the build has no such source, or the options do not fit.
pub(super) fn source(registry: &Registry, kind: &str, options: Value) -> Result<Arc<dyn SourceConfig>> {
    let descriptor = registry.get(Role::Source, kind).ok_or_else(|| {
        Error::config(format!("this build has no source `{kind}`")).help("use a build with the stages that ship")
    })?;
    let config = match descriptor.parse(options) {
        Ok(StageConfig::Source(config)) => config,
        Ok(_) => return Err(Error::bug(format!("`{kind}` is no source"))),
        Err(error) => return Err(Error::config(format!("the source `{kind}` cannot be set up")).because(error)),
    };
    if let Err(problems) = config.check() {
        let texts: Vec<&str> = problems.iter().filter(|one| !one.warning).map(|one| one.message.as_str()).collect();
        if !texts.is_empty() {
            return Err(Error::config(format!("the source `{kind}` cannot be set up: {}", texts.join("; "))));
        }
    }
    Ok(config)
}

/// Reads all of a source that ends by itself.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn read_all(
    config: &dyn SourceConfig,
    cx: &BuildContext,
    mut take: impl FnMut(Batch, Vec<DeadLetter>) -> Result<()>,
) -> Result<()> {
    for (_, mut reader) in config.build(cx)?.fit_readers()? {
        loop {
            match reader.next(BATCH_ROWS_MAX, Instant::now() + READ_TIMEOUT)? {
                Poll::Rows(batch, dead) => take(batch, dead)?,
                Poll::Idle => {}
                Poll::End => break,
            }
        }
    }
    Ok(())
}

/// Whether an error is one of the arguments.
pub(super) fn is_config(error: &Error) -> bool {
    error.kind() == ErrorKind::Config
}
