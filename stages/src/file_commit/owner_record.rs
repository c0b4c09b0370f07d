//! The record beside the files of a prefix: which pipeline owns them, and of which splits.
//!
//! A file belongs to a pipeline if the record lists the split in the file's name. How the name begins proves nothing: `aq` with a
//! topic `raw_t` and `aq_raw` with a topic `t` give their files the same names.

use std::collections::BTreeSet;
use std::path::Path;

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::disk;
use super::file_names::FileNames;

const OWNER_RECORD_FORMAT_VERSION: u32 = 2;

/// Which pipeline owns the files of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerRecord {
    pub(super) pipeline: String,
    /// Whether the files come from an embedded broker.
    pub(super) embedded: bool,
    version: u32,
    extension: String,
    /// How the file names of each written split begin.
    pub(super) stems: BTreeSet<String>,
}

/// The part of a record that all versions have.
#[derive(Deserialize)]
struct RecordVersion {
    version: u32,
}

impl OwnerRecord {
    pub(super) fn new(pipeline: &str, extension: &str, embedded: bool) -> OwnerRecord {
        let (pipeline, extension) = (pipeline.to_owned(), extension.to_owned());
        OwnerRecord { pipeline, embedded, version: OWNER_RECORD_FORMAT_VERSION, extension, stems: BTreeSet::new() }
    }

    /// The record of a prefix, if the directory has one.
    pub(super) fn read(dir: &Path, names: &FileNames) -> Result<Option<OwnerRecord>> {
        OwnerRecord::read_file(dir, &names.owner_record())
    }

    fn read_file(dir: &Path, name: &str) -> Result<Option<OwnerRecord>> {
        let path = dir.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk::path_error("read", &path, error)),
        };
        let unreadable = |why: String| {
            Error::config(format!("`{}` does not say whose the files beside it are: {why}", path.display()))
                .help("move the files beside it away, and remove it")
        };
        match serde_json::from_slice(&text) {
            Ok(RecordVersion { version: OWNER_RECORD_FORMAT_VERSION }) => {}
            Ok(RecordVersion { version }) => {
                return Err(unreadable(format!(
                    "it is of version {version}, and this aqpipe writes version {OWNER_RECORD_FORMAT_VERSION}"
                )));
            }
            Err(error) => return Err(unreadable(error.to_string())),
        }
        serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text =
            serde_json::to_vec(self).map_err(|error| Error::bug("an owner record is no JSON").because(error))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes the first record of a prefix. The caller holds the directory's lock.
    pub(super) fn create(&self, dir: &Path, names: &FileNames) -> Result<()> {
        disk::create_whole(dir, &names.owner_record(), &self.to_bytes()?)
    }

    /// Replaces a record. The caller holds the directory's lock.
    pub(super) fn rewrite(&self, dir: &Path, names: &FileNames) -> Result<()> {
        disk::replace(dir, &names.owner_record(), &self.to_bytes()?)
    }

    /// The pipeline and the prefix of the record among those called `names` that lists `stem`.
    pub(super) fn owner_of(
        dir: &Path,
        names: &[String],
        stem: &str,
        extension: &str,
    ) -> Result<Option<(String, String)>> {
        for name in names {
            let Some(prefix) = FileNames::prefix_of_record(name) else { continue };
            let found = OwnerRecord::read_file(dir, name)?;
            if let Some(record) = found.filter(|record| record.extension == extension && record.stems.contains(stem)) {
                return Ok(Some((record.pipeline, prefix.to_owned())));
            }
        }
        Ok(None)
    }

    /// An error where another pipeline owns the files.
    pub(super) fn check_owner(&self, pipeline: &str, dir: &Path, names: &FileNames) -> Result<()> {
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
            dir.join(names.owner_record()).display()
        )))
    }
}
