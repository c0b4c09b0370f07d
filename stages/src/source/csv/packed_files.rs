//! A list of files in few bytes, for the snapshots of each commit: each directory is written once.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::file_form::FileForm;
use super::input_files::InputFile;

#[derive(Default, Serialize, Deserialize)]
struct Packed {
    directories: Vec<String>,
    files: Vec<PackedFile>,
}

#[derive(Serialize, Deserialize)]
struct PackedFile {
    /// The name: the index of its directory, and the rest.
    name: (u32, String),
    /// The path: the index of its directory, and the rest unless that is the same as the name's.
    path: (u32, Option<String>),
    length: u64,
    from: u64,
    before: u32,
    stored: u64,
    node: (u64, u64),
}

pub(super) fn serialize<S: Serializer>(files: &[InputFile], serializer: S) -> Result<S::Ok, S::Error> {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    let mut packed = Packed::default();
    let mut split = |path| {
        let (directory, last) = directory_of(path);
        let next = known.len() as u32;
        let number = *known.entry(directory).or_insert_with(|| {
            packed.directories.push(directory.to_owned());
            next
        });
        (number, last)
    };
    for file in files {
        let (name, path) = (split(&file.name), split(&file.path));
        packed.files.push(PackedFile {
            name: (name.0, name.1.to_owned()),
            path: (path.0, (path.1 != name.1).then(|| path.1.to_owned())),
            length: file.length,
            from: file.from,
            before: file.before,
            stored: file.stored,
            node: file.node,
        });
    }
    packed.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<InputFile>, D::Error> {
    let Packed { directories, files } = Packed::deserialize(deserializer)?;
    let join = |number: u32, last: &str| -> Result<String, D::Error> {
        let directory = directories.get(number as usize).ok_or_else(|| D::Error::custom("no such directory"))?;
        Ok(format!("{directory}{last}"))
    };
    let file = |file: PackedFile| -> Result<InputFile, D::Error> {
        let (name, path) = (&file.name.1, file.path.1.as_ref());
        Ok(InputFile {
            name: join(file.name.0, name)?,
            path: join(file.path.0, path.unwrap_or(name))?,
            length: file.length,
            from: file.from,
            before: file.before,
            headers: Vec::new(),
            stored: file.stored,
            node: file.node,
            form: FileForm::default(),
        })
    };
    files.into_iter().map(file).collect()
}

/// A path up to its last `/`, and the rest.
fn directory_of(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}
