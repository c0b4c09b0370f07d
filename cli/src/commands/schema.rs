//! `aqpipe schema`: the JSON Schema of pipelines, for editors, and that of `/api/status`.

use std::path::PathBuf;

use anyhow::Result;
use aqpipe_console::server::status_schema;
use aqpipe_engine::config::pipeline_schema;
use aqpipe_engine::stage::Registry;
use clap::Args;

use crate::exit::Exit;
use crate::generated::{self, Generated};
use crate::printer;

/// Print the JSON Schema of pipelines; or write it to a file beside that of `/api/status`, or check these files.
#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// Write `pipeline.schema.json` and `status.schema.json`.
    #[arg(long)]
    write: bool,
    /// Check that both files are up to date; exit code 1 where one is not.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// The directory of the files.
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Where this build has no stages, or a file cannot be written.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit> {
    let schema = serde_json::to_string_pretty(&pipeline_schema(&Registry::collect()?))?;
    if !args.write && !args.check {
        printer::json(&schema);
        return Ok(Exit::Done);
    }
    let files = [
        Generated { path: args.dir.join("pipeline.schema.json"), text: format!("{schema}\n") },
        Generated { path: args.dir.join("status.schema.json"), text: status_schema() },
    ];
    if args.check {
        return Ok(generated::check(&files, "aqpipe schema --write"));
    }
    generated::write(&files)?;
    Ok(Exit::Done)
}
