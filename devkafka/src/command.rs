//! Dispatches the three commands.

use aqpipe_engine::Result;

use crate::args::{KafkaArgs, KafkaCommand};
use crate::console::Console;
use crate::{down, status, up};

/// Runs one of the three commands. Returns whether the cluster is as asked for; only `status` may find that it is not.
///
/// # Errors
/// Where brokers cannot be started or stopped, each with what to do about it.
pub fn run(args: &KafkaArgs, console: &dyn Console) -> Result<bool> {
    match &args.command {
        KafkaCommand::Up(args) => up::up(args, console).map(|()| true),
        KafkaCommand::Down(args) => down::down(args, console).map(|()| true),
        KafkaCommand::Status(args) => status::status(args, console),
    }
}
