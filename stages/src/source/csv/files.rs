//! The files of a path or a glob, in the order of their names.

use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result};

/// Files that are read one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(Vec<PathBuf>);

impl Files {
    /// The files that there are; `None` where there are none.
    pub(super) fn find(path: &str) -> Result<Option<Files>> {
        if Path::new(path).is_dir() {
            return Err(Error::config(format!("{path} is a directory, not a file"))
                .help("a glob such as `dir/*.csv` reads its files"));
        }
        // A name that exists is that file, whatever characters are in it.
        if Path::new(path).exists() {
            return Ok(Some(Files(vec![path.into()])));
        }
        let matches = glob::glob(path).map_err(|e| Error::config(format!("{path} is no glob")).because(e))?;
        let mut found = Vec::new();
        for entry in matches {
            let entry = entry.map_err(|e| Error::new(format!("{path} cannot be looked through")).because(e))?;
            if !entry.is_dir() {
                found.push(entry);
            }
        }
        found.sort();
        Ok((!found.is_empty()).then_some(Files(found)))
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// Each file by itself.
    pub(super) fn each(&self) -> impl Iterator<Item = Files> {
        self.0.iter().map(|path| Files(vec![path.clone()]))
    }

    /// The first file's name.
    pub(super) fn name(&self) -> String {
        self.0.first().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Bytes in all files, as far as that can be seen.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
    }
}
