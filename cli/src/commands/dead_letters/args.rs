//! The command line.

use std::path::PathBuf;

use aqpipe_engine::stage::StoredDeadLetter;
use clap::{Args, Subcommand};

/// List, show and replay the records that a pipeline could not process.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the dead letters that were not replayed, one a line, and then how many there are by stage and class of reason.
    List(ListArgs),
    /// Show one dead letter with its bytes.
    Show(ShowArgs),
    /// Send dead letters through the pipeline as it is now. The commit of their output also marks them as replayed. A
    /// record that still cannot be processed becomes a new dead letter.
    Replay(ReplayArgs),
}

/// The selection of dead letters.
#[derive(Args, Debug)]
pub(super) struct Filter {
    /// Only those of this stage.
    #[arg(long)]
    pub(super) stage: Option<String>,
    /// Only those whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) file: PipelineFile,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Include those that were replayed.
    #[arg(long)]
    pub(super) all: bool,
    /// As JSON, an object a line.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    pub(super) file: PipelineFile,
    /// The id in the output of `list`.
    pub(super) id: String,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub(super) file: PipelineFile,
    #[command(flatten)]
    pub(super) filter: Filter,
}

#[derive(Args, Debug)]
pub(super) struct PipelineFile {
    /// The pipeline: a TOML file.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Set an option instead of what the file says.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
}

impl Filter {
    pub(super) fn matches(&self, dead_letter: &StoredDeadLetter) -> bool {
        self.stage.as_ref().is_none_or(|stage| *stage == dead_letter.stage)
            && self.reason.as_ref().is_none_or(|reason| dead_letter.reason.contains(reason))
    }
}
