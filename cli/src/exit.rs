//! Exit codes: 0 done, 1 a pipeline failed, 2 usage, 78 configuration (`EX_CONFIG` of sysexits.h).

use std::process::ExitCode;

/// Everything was done.
pub const DONE: ExitCode = ExitCode::SUCCESS;
/// A pipeline failed, as a number.
pub const FAILED_CODE: u8 = 1;
/// A pipeline failed.
pub const FAILED: ExitCode = ExitCode::FAILURE;
