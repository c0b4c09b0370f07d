//! The error of a saved state that cannot be read.

use aqpipe_engine::Error;

/// The error of a state that does not fit together.
pub(super) fn damaged() -> Error {
    Error::new("the saved state of `impute` cannot be read")
}
