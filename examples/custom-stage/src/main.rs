//! The `aqpipe` command with two more stages: `cargo run -p custom-stage -- stages hampel`.

// A stage registers itself when its crate is linked. Naming the crates here links them.
use aqpipe_stages as _;
use custom_stage as _;

fn main() -> std::process::ExitCode {
    aqpipe::main()
}
