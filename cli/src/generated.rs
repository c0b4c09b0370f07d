//! Files of the project that a command generates.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::exit::Exit;
use crate::printer;

/// A generated file.
pub(crate) struct Generated {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What stands in it.
    pub(crate) text: String,
}

/// Writes the files, and directories that they need.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write(files: &[Generated]) -> Result<()> {
    for Generated { path, text } in files {
        let message = || format!("`{}` cannot be written", path.display());
        if let Some(dir) = path.parent().filter(|dir| *dir != Path::new("")) {
            std::fs::create_dir_all(dir).with_context(message)?;
        }
        std::fs::write(path, text).with_context(message)?;
    }
    Ok(())
}

/// Names the files that are not as they would be written by `command`.
pub(crate) fn check(files: &[Generated], command: &str) -> Exit {
    let mut exit = Exit::Done;
    for Generated { path, text } in files {
        let stale = match std::fs::read_to_string(path) {
            Ok(current) if current == *text => continue,
            Ok(_) => "is not up to date".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        printer::error(&format!("`{}` {stale}", path.display()), Some(&format!("`{command}` writes it")));
        exit = Exit::Failed;
    }
    exit
}
