//! `aqpipe metrics`: what `/metrics` serves, and what is made from the list of metrics.

use std::path::PathBuf;

use anyhow::Result;
use aqpipe_console::exposition::{dashboard, docs, rules};
use clap::Args;

use crate::exit::Exit;
use crate::generated::{self, Generated};
use crate::printer;

/// Print what `/metrics` serves; or write the files that are made from it (documentation, Grafana dashboard, Prometheus
/// rules), or check them.
#[derive(Args, Debug)]
pub(crate) struct MetricsArgs {
    /// Write `docs/metrics.md`, `deploy/grafana-dashboard.json` and `deploy/prometheus-rules.yaml`.
    #[arg(long)]
    write: bool,
    /// Check that these files are up to date; exit code 1 where one is not.
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// The directory in which `docs` and `deploy` are.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn metrics(args: &MetricsArgs) -> Result<Exit> {
    if !args.write && !args.check {
        printer::page(&docs());
        return Ok(Exit::Done);
    }
    let file = |path: &str, text: String| Generated { path: args.dir.join(path), text };
    let files = [
        file("docs/metrics.md", docs()),
        file("deploy/grafana-dashboard.json", dashboard()),
        file("deploy/prometheus-rules.yaml", rules()),
    ];
    if args.check {
        return Ok(generated::check(&files, "aqpipe metrics --write"));
    }
    generated::write(&files)?;
    Ok(Exit::Done)
}
