//! `aqpipe validate`: reports everything that `aqpipe run` would refuse, without opening a file or a socket of a pipeline.

use anyhow::Result;
use clap::Args;

use super::load;
use crate::exit::Exit;
use crate::printer;

/// Check pipelines without running them: reports all mistakes with their places.
#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    files: load::Files,
}

/// Runs the command.
///
/// # Errors
/// Where this build has no stages.
pub(crate) fn validate(args: &ValidateArgs) -> Result<Exit> {
    let Some(loaded) = load::read(&args.files)? else { return Ok(Exit::Config) };
    let mut exit = Exit::Done;
    for (path, pipeline) in &loaded.pipelines {
        match pipeline {
            Ok(pipeline) => {
                printer::diagnostics(&pipeline.warnings);
                let (name, shape, delivery) = (&pipeline.name, &pipeline.topology, pipeline.delivery);
                printer::out(&format!("{}: ok: {name}, {shape}, delivery {delivery}", path.display()));
            }
            Err(problems) => {
                printer::diagnostics(problems);
                exit = Exit::Config;
            }
        }
    }
    printer::diagnostics(&loaded.together);
    Ok(if loaded.together.has_errors() { Exit::Config } else { exit })
}
