//! The `aqpipe` command with one more stage: `cargo run -p custom-stage -- stages clamp`.

// Both crates register their stages by being linked; naming them makes sure of that.
use aqpipe_stages as _;
use custom_stage as _;

fn main() -> std::process::ExitCode {
    aqpipe::main()
}
