//! The pipelines that a command is given.

use std::path::PathBuf;

use anyhow::Result;
use aqpipe_engine::config::{Loaded, Loader, Overrides, Pipeline};
use aqpipe_engine::stage::Registry;
use clap::Args;

use crate::printer;

/// The files of a command, and what changes them.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// The pipelines: TOML files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Set an option instead of what the file says: `sink.batch_size=1000`, or for one of several pipelines
    /// `consumer:sink.batch_size=1000`. Can be given several times.
    #[arg(long = "set", value_name = "[PIPELINE:]PATH=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Reads the files. `None` where `--set` says nothing that could be read, which is printed.
///
/// # Errors
/// Where this build has no stages.
pub(crate) fn read(files: &Files) -> Result<Option<Loaded>> {
    let registry = Registry::collect()?;
    let overrides = match Overrides::parse(&files.set) {
        Ok(overrides) => overrides,
        Err(problems) => {
            printer::diagnostics(&problems);
            return Ok(None);
        }
    };
    let env = |name: &str| std::env::var(name).ok();
    Ok(Some(Loader::new(&registry, &env).overrides(overrides).load_all(&files.files)))
}

/// Reads the files and prints what is wrong with them. `None` where anything is.
///
/// # Errors
/// Where this build has no stages.
pub(crate) fn load(files: &Files) -> Result<Option<Vec<Pipeline>>> {
    let Some(Loaded { pipelines, together }) = read(files)? else { return Ok(None) };
    let mut good = Vec::new();
    let mut bad = together.has_errors();
    for (_, pipeline) in pipelines {
        match pipeline {
            Ok(pipeline) => {
                printer::diagnostics(&pipeline.warnings);
                good.push(pipeline);
            }
            Err(problems) => {
                printer::diagnostics(&problems);
                bad = true;
            }
        }
    }
    printer::diagnostics(&together);
    Ok((!bad).then_some(good))
}
