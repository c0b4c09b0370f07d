//! The command.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aqpipe_engine::stage::{Registry, Role};
use clap::{Args, ValueEnum};

use super::dependencies::Engine;
use super::name::StageName;
use super::template;
use crate::exit::Exit;
use crate::printer;

/// Write a crate with a stage of your own: options, running part, tests, and an `aqpipe` that has it.
#[derive(Args, Debug)]
pub(crate) struct NewStageArgs {
    /// What the stage is.
    role: NewRole,
    /// The name of the stage, which is its `type` in pipelines, and of the crate: `hampel`, `unit_of_mass`.
    name: String,
    /// The directory of the crate; it must not exist. [default: the name, in the current directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the crates of aqpipe are: the directory of their workspace, or a Git URL. [default: the workspace around the
    /// current directory]
    #[arg(long, value_name = "PATH|GIT")]
    engine: Option<String>,
}

/// The roles that there is a template for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NewRole {
    /// Changes, checks or holds back records between source and sink.
    Transform,
}

/// Runs the command.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn new_stage(args: &NewStageArgs) -> Result<Exit> {
    let NewRole::Transform = args.role;
    let name = match StageName::parse(&args.name) {
        Ok(name) => name,
        Err(problem) => return Ok(usage(&problem, "a name is lower case: `hampel`, `unit_of_mass`")),
    };
    if Registry::collect()?.get(Role::Transform, name.snake_case()).is_some() {
        let problem = format!("there is a transform `{}` already", args.name);
        return Ok(usage(&problem, "choose another name; `aqpipe stages` lists those that are taken"));
    }
    let engine = match Engine::find(args.engine.as_deref(), &std::env::current_dir()?) {
        Ok(engine) => engine,
        Err(problem) => {
            return Ok(usage(&problem, "name the directory of aqpipe's sources, or their Git URL, with `--engine`"));
        }
    };
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(name.snake_case()));
    match fs::create_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let problem = format!("`{}` exists already", dir.display());
            return Ok(usage(&problem, "choose another `--dir`"));
        }
        made => made.with_context(|| format!("`{}` cannot be created", dir.display()))?,
    }
    for (path, text) in template::files(&name, &engine) {
        let path = dir.join(path);
        let unwritten = || format!("`{}` cannot be written", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(unwritten)?;
        fs::write(&path, text).with_context(unwritten)?;
    }
    printer::out(&format!("created `{}`, a crate with the transform `{}`; try", dir.display(), name.snake_case()));
    for line in [
        format!("cd {}", dir.display()),
        "cargo test".to_owned(),
        format!("cargo run -- stages {}", name.snake_case()),
        "cargo run -- run pipeline.toml".to_owned(),
    ] {
        printer::out(&format!("  {line}"));
    }
    printer::out("docs/stages.md in aqpipe's sources takes it from there");
    Ok(Exit::Done)
}

fn usage(problem: &str, help: &str) -> Exit {
    printer::error(problem, Some(help));
    Exit::Usage
}
