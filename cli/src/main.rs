//! The `aqpipe` command.

use aqpipe_stages as _;

fn main() -> std::process::ExitCode {
    aqpipe::main()
}
