//! Which commit log a run has.

use std::sync::Arc;

use super::ledger::Ledger;
use super::ledger_log::LedgerLog;
use super::log::{CommitLog, OpenOptions};
use super::transactional_log::TransactionalLog;
use crate::clock::Clock;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::run::instance::Instance;
use crate::stage::{Delivery, OffsetStore, OpenOutcome, TransactionalBackend};

/// Opens the commit log of a run, and says what readers of the output get: that of a backend's transactions, where the
/// pipeline is exactly-once and a stage has a backend that can, else that of a ledger file.
pub(in crate::run) fn open(
    instance: &Instance,
    pipeline: &Pipeline,
    backend: Option<Arc<dyn TransactionalBackend>>,
    offsets: Option<Arc<dyn OffsetStore>>,
    clock: &Clock,
    options: OpenOptions,
) -> Result<(Box<dyn CommitLog>, Delivery)> {
    let path = instance.dir.join("ledger");
    let ledger = match Ledger::open(&path) {
        // What is to be forgotten need not be readable.
        Err(error) if options.fresh => {
            tracing::warn!("{error}");
            Ledger::recreate(&path)?
        }
        opened => opened?,
    };
    let asked = backend.as_deref().filter(|_| pipeline.delivery == Delivery::ExactlyOnce);
    let opened = asked.map(|backend| backend.open(&pipeline.name, &instance.writer)).transpose()?;
    let unsupported = match opened {
        Some(OpenOutcome::Open(transactions)) => {
            tracing::info!("delivery {}: {} decides", pipeline.delivery, transactions.name());
            let log = TransactionalLog::open(transactions, ledger, instance, pipeline, offsets, clock, options)?;
            return Ok((Box::new(log), pipeline.delivery));
        }
        Some(OpenOutcome::Unsupported(reason)) if pipeline.settings.delivery == Some(Delivery::ExactlyOnce) => {
            return Err(Error::config(format!("this run cannot deliver `exactly_once`: {reason}"))
                .help("leave `delivery` out to get the best that is possible"));
        }
        Some(OpenOutcome::Unsupported(reason)) => Some(reason),
        None => None,
    };
    let home = options.exclusive.then(|| instance.home().to_owned());
    let log = LedgerLog::new(ledger, pipeline, offsets, backend, home, clock.clone());
    if !options.fresh {
        log.check_identity(unsupported.as_deref())?;
    }
    let delivery = if unsupported.is_some() { Delivery::AtLeastOnce } else { pipeline.delivery };
    match unsupported {
        Some(reason) => tracing::warn!("delivery {delivery}: {reason}"),
        None => tracing::info!("delivery {delivery}: a ledger file decides"),
    }
    Ok((Box::new(log), delivery))
}
