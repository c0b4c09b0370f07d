//! Calls of stages: an error names the stage, and a panic becomes such an error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};
use crate::error_class::ErrorClass;

/// Calls a stage.
///
/// After a panic the stage is not called again: its pipeline ends, and what it had not committed is read again.
pub(super) fn call<T>(stage: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result.map_err(|error| error.in_stage(stage)),
        Err(panic) => Err(Error::new(format!("the stage panicked: {}", message(&*panic)))
            .in_stage(stage)
            .of_class(ErrorClass::Panic)
            .help("this is a mistake in the stage; records that were not committed are read again at the next start")),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it gives no reason")
}
