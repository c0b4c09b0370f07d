//! Whose the files of a directory are.

use std::path::Path;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Names, disk};

const VERSION: u32 = 1;

/// Whose the files with a prefix are, kept beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) pipeline: String,
    /// Whether they come from a broker that was in memory.
    pub(super) embedded: bool,
    version: u32,
}

impl Claim {
    pub(super) fn new(pipeline: &str, embedded: bool) -> Claim {
        Claim { pipeline: pipeline.to_owned(), embedded, version: VERSION }
    }

    /// The claim of a directory, where it has one.
    pub(super) fn read(dir: &Path, names: &Names) -> Result<Option<Claim>> {
        let path = dir.join(names.claim());
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk::failed("read", &path, error)),
        };
        let unreadable = |why: String| {
            Error::config(format!("`{}` does not say whose the files beside it are: {why}", path.display()))
                .help("remove it if these files are this pipeline's")
        };
        let claim: Claim = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if claim.version != VERSION {
            return Err(unreadable(format!("it is of version {}", claim.version)));
        }
        Ok(Some(claim))
    }

    pub(super) fn write(&self, dir: &Path, names: &Names) -> Result<()> {
        let mut text = serde_json::to_vec(self).map_err(|error| Error::bug("a claim is no JSON").because(error))?;
        text.push(b'\n');
        disk::replace(dir, &names.claim(), &text)
    }

    /// An error where the files are another pipeline's.
    pub(super) fn belongs_to(&self, pipeline: &str, dir: &Path, names: &Names) -> Result<()> {
        if self.pipeline == pipeline {
            return Ok(());
        }
        Err(Error::config(format!(
            "the files `{}_*` in `{}` belong to the pipeline `{}`",
            names.prefix,
            dir.display(),
            self.pipeline
        ))
        .help(format!(
            "choose another `dir` or `prefix`; where `{}` is gone for good, remove `{}`",
            self.pipeline,
            dir.join(names.claim()).display()
        )))
    }
}
