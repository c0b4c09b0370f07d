//! Loads the pipelines of a command line.

use std::path::PathBuf;

use anyhow::Result;
use aqpipe_engine::config::{Loaded, Loader, Overrides, Pipeline};
use aqpipe_engine::stage::Registry;
use clap::Args;

use crate::printer;

/// The pipeline files of a command, with their overrides.
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

/// Reads the files. Returns `None` where `--set` cannot be parsed, after printing why.
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

/// Reads the files and prints their diagnostics. Returns `None` where any of them is an error.
///
/// # Errors
/// Where this build has no stages.
pub(crate) fn load(files: &Files) -> Result<Option<Vec<Pipeline>>> {
    let Some(Loaded { pipelines, together }) = read(files)? else { return Ok(None) };
    let mut valid = Vec::new();
    let mut has_errors = together.has_errors();
    for (_, pipeline) in pipelines {
        match pipeline {
            Ok(pipeline) => {
                printer::diagnostics(&pipeline.warnings);
                valid.push(pipeline);
            }
            Err(problems) => {
                printer::diagnostics(&problems);
                has_errors = true;
            }
        }
    }
    printer::diagnostics(&together);
    Ok((!has_errors).then_some(valid))
}
