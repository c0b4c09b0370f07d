//! Whose the files of a directory are: a record kept beside them of which pipeline writes with a prefix, and of which splits.
//!
//! A file is a pipeline's where its record names the split that the file's name carries, never for how a name begins: `aq`
//! with a topic `raw_t` and `aq_raw` with a topic `t` would call their files the same.

use std::collections::BTreeSet;
use std::path::Path;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Names, disk};

const VERSION: u32 = 2;

/// Whose the files with a prefix are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub(super) pipeline: String,
    /// Whether they come from a broker that was in memory.
    pub(super) embedded: bool,
    version: u32,
    extension: String,
    /// How the files of each split begin that was written.
    pub(super) stems: BTreeSet<String>,
}

/// What is read of a claim of any version.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Claim {
    pub(super) fn new(pipeline: &str, extension: &str, embedded: bool) -> Claim {
        let (pipeline, extension) = (pipeline.to_owned(), extension.to_owned());
        Claim { pipeline, embedded, version: VERSION, extension, stems: BTreeSet::new() }
    }

    /// The claim of a directory, where it has one.
    pub(super) fn read(dir: &Path, names: &Names) -> Result<Option<Claim>> {
        Claim::read_file(dir, &names.claim())
    }

    fn read_file(dir: &Path, name: &str) -> Result<Option<Claim>> {
        let path = dir.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk::failed("read", &path, error)),
        };
        let unreadable = |why: String| {
            Error::config(format!("`{}` does not say whose the files beside it are: {why}", path.display()))
                .help("move the files beside it away, and remove it")
        };
        match serde_json::from_slice(&text) {
            Ok(Version { version: VERSION }) => {}
            Ok(Version { version }) => {
                return Err(unreadable(format!(
                    "it is of version {version}, and this aqpipe writes version {VERSION}"
                )));
            }
            Err(error) => return Err(unreadable(error.to_string())),
        }
        serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self).map_err(|error| Error::bug("a claim is no JSON").because(error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Claims a directory that nobody has claimed; the caller has its lock.
    pub(super) fn create(&self, dir: &Path, names: &Names) -> Result<()> {
        disk::create_whole(dir, &names.claim(), &self.to_bytes()?)
    }

    /// Changes a claim that is there; the caller has the directory's lock.
    pub(super) fn rewrite(&self, dir: &Path, names: &Names) -> Result<()> {
        disk::replace(dir, &names.claim(), &self.to_bytes()?)
    }

    /// The pipeline and the prefix of another claim in the directory, among those `claims`, which calls files as this
    /// one would.
    pub(super) fn other_with(
        dir: &Path,
        claims: impl IntoIterator<Item = String>,
        stem: &str,
        extension: &str,
    ) -> Result<Option<(String, String)>> {
        for name in claims {
            let Some(prefix) = Names::claimed_prefix(&name) else { continue };
            let found = Claim::read_file(dir, &name)?;
            if let Some(claim) = found.filter(|claim| claim.extension == extension && claim.stems.contains(stem)) {
                return Ok(Some((claim.pipeline, prefix.to_owned())));
            }
        }
        Ok(None)
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
