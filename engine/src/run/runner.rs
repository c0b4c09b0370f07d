//! One run of a pipeline, step by step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::options::{Outcome, RunOptions, Summary};
use super::start::{self, Exit, Request};
use super::supervisor::Supervisor;
use crate::config::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::error_class::ErrorClass;
use crate::metrics::Phase;
use crate::stage::Delivery;

/// Runs a pipeline to its end. Blocks. Within a tracing span that has a field `instance`, that gets the name of this process
/// among those that run the pipeline, where there can be several.
///
/// # Errors
/// Why it failed: what had been committed is there, and the next start goes on from it.
pub fn run(pipeline: &Pipeline, options: &RunOptions) -> Result<Summary> {
    let mut delivery = pipeline.delivery;
    let steps = || steps(&Request { pipeline, options }, &mut delivery);
    let panicked =
        || Error::bug("the run panicked; what it had not committed is read again").of_class(ErrorClass::Panic);
    let outcome = match catch_unwind(AssertUnwindSafe(steps)).unwrap_or_else(|_| Err(panicked().into())) {
        Ok(outcome) | Err(Exit::Ended(outcome)) => outcome,
        // A reader of the output has gone: its rows are not committed.
        Err(Exit::Failed(error)) if error.kind() == ErrorKind::Stop => {
            tracing::info!("{error}");
            Outcome::Stopped
        }
        Err(Exit::Failed(mut error)) => {
            options.metrics.record_error(&mut error);
            options.metrics.failed(error.headline());
            return Err(error);
        }
    };
    options.metrics.set_phase(if outcome == Outcome::Stopped { Phase::Stopped } else { Phase::Done });
    Ok(Summary { outcome, delivery, metrics: options.metrics.snapshot() })
}

/// The steps in their order, which their types make: none can be left out or come too early.
fn steps(request: &Request<'_>, delivery: &mut Delivery) -> Result<Outcome, Exit> {
    let fitted = request.until_stopped(|| {
        let acquired = start::acquire(request)?;
        let opened = start::open_log(acquired)?;
        *delivery = opened.delivery();
        let decided = start::decide_start(opened)?;
        let recovered = start::recover(decided)?;
        start::fit(recovered)
    })?;
    Ok(Supervisor::start(request, fitted)?.run()?)
}
