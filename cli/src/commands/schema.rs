//! `aqpipe schema`: the JSON Schema of pipelines, for editors.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aqpipe_engine::config::pipeline_schema;
use aqpipe_engine::stage::Registry;
use clap::Args;

use crate::exit::Exit;
use crate::printer;

/// Print the JSON Schema of pipelines, or write it to a file, or check that file.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Write `pipeline.schema.json`.
    #[arg(long)]
    write: bool,
    /// Check that `pipeline.schema.json` is up to date; exit code 1 where it is not.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// The directory of the file.
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    dir: PathBuf,
}

/// The file's name.
const SCHEMA_FILE: &str = "pipeline.schema.json";

/// Runs the command.
///
/// # Errors
/// Where this build has no stages, or the file cannot be written.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit> {
    let schema = serde_json::to_string_pretty(&pipeline_schema(&Registry::collect()?))?;
    let path = args.dir.join(SCHEMA_FILE);
    if args.write {
        write(&path, &schema)?;
    } else if args.check {
        return Ok(check(&path, &schema));
    } else {
        printer::json(&schema);
    }
    Ok(Exit::Done)
}

fn write(path: &Path, schema: &str) -> Result<()> {
    let message = || format!("`{}` cannot be written", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(message)?;
    }
    std::fs::write(path, format!("{schema}\n")).with_context(message)
}

fn check(path: &Path, schema: &str) -> Exit {
    let stale = match std::fs::read_to_string(path) {
        Ok(current) if current == format!("{schema}\n") => return Exit::Done,
        Ok(_) => "is not up to date".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    printer::error(&format!("`{}` {stale}", path.display()), Some("`aqpipe schema --write` writes it"));
    Exit::Failed
}
