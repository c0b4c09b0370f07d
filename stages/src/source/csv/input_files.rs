//! The files that a path names, and the file and line of a split's byte.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aqpipe_engine::{Error, Result};
use encoding_rs::Encoding;

use super::file_form::FileForm;
use super::packing::Packing;

/// The length of a text that is not known before it was read: an archive's, and that of UTF-16.
pub(super) const UNKNOWN_LENGTH: u64 = u64::MAX;
/// How many times longer the text of an archive is taken to be than the archive, for a progress bar.
const PACKED_RATIO_GUESS: u64 = 8;

/// One file of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InputFile {
    /// Its path as the configuration spells it, for messages.
    pub(super) name: String,
    /// The byte of its text up to which it is to be read; [`UNKNOWN_LENGTH`] until that is known.
    pub(super) length: u64,
    /// The byte of its text from which it is to be read, and the CRC-32 of what lies before.
    pub(super) from: u64,
    pub(super) before: u32,
    /// The bytes of its text at which headers begin by which what stands behind them is read; its first one is not among them.
    pub(super) headers: Vec<u64>,
    /// Its absolute path without links.
    pub(super) path: String,
    /// Its device and inode, which stay when it is renamed.
    pub(super) node: (u64, u64),
    /// Its bytes on the disk.
    pub(super) stored: u64,
    /// How those hold its text.
    pub(super) form: FileForm,
}

impl InputFile {
    /// Where the header begins by which the byte is read, unless that is the file's first one.
    pub(super) fn header_before(&self, byte: u64) -> Option<u64> {
        self.headers.iter().rev().copied().find(|header| *header < byte)
    }

    /// A file as it is now, whose text is in this encoding unless it says otherwise.
    pub(super) fn of(path: &Path, encoding: &'static Encoding) -> Result<InputFile> {
        let name = path.to_string_lossy().into_owned();
        let metadata = fs::metadata(path).map_err(|e| Error::new(format!("cannot look at {name}")).because(e))?;
        if metadata.is_dir() {
            return Err(Error::config(format!("{name} is a directory, not a file"))
                .help(format!("name its files by a glob: path = \"{}/*.csv\"", name.trim_end_matches('/'))));
        }
        if !metadata.is_file() {
            return Err(Error::config(format!("{name} is not a regular file")).help(
                "a source reads a file twice where a stage asks for the whole input, and resumes in the middle",
            ));
        }
        let full_path = fs::canonicalize(path)
            .map_err(|e| Error::new(format!("cannot find the full path of {name}")).because(e))?;
        let full_path = full_path.to_string_lossy().into_owned();
        let (stored, node) = (metadata.len(), (metadata.dev(), metadata.ino()));
        let unreadable = |e| Error::new(format!("cannot read {name}")).because(e);
        let file = File::open(path).map_err(unreadable)?;
        let form = FileForm::of(&Arc::new(file), stored, encoding).map_err(unreadable)?;
        let length = if form.is_plain() { stored } else { UNKNOWN_LENGTH };
        Ok(InputFile { name, length, from: 0, before: 0, headers: Vec::new(), path: full_path, node, stored, form })
    }

    /// The bytes of its text to read, or a guess.
    pub(super) fn expected(&self) -> u64 {
        let length = match (self.length, self.form.packing) {
            (UNKNOWN_LENGTH, Packing::None) => self.stored / 2,
            (UNKNOWN_LENGTH, Packing::Gzip | Packing::Zstd) => self.stored.saturating_mul(PACKED_RATIO_GUESS),
            (known, _) => known,
        };
        length.saturating_sub(self.from)
    }
}

/// The bytes of files before the one with that index.
pub(super) fn bytes_before(files: &[InputFile], index: usize) -> u64 {
    files.iter().take(index).fold(0, |sum: u64, file| sum.saturating_add(file.length.saturating_sub(file.from)))
}

/// The files that a path or a glob names, in the order of their names; none if there is no such file. A file with two names,
/// by a link, is listed once.
pub(super) fn expand(path: &str, encoding: &'static Encoding) -> Result<Vec<InputFile>> {
    let plain = Path::new(path);
    // The name of a file may look like a glob.
    if plain.exists() {
        return Ok(vec![InputFile::of(plain, encoding)?]);
    }
    if !is_glob(path) {
        return Ok(Vec::new());
    }
    let paths = matching(path)?;
    let mut files: Vec<InputFile> = Vec::with_capacity(paths.len());
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let file = InputFile::of(&path, encoding)?;
        match known.entry(file.path.clone()) {
            Entry::Occupied(first) => {
                let first = &files[*first.get()].name;
                tracing::warn!("{} is the same file as {first}, by a link: it is read once", file.name);
            }
            Entry::Vacant(new) => {
                new.insert(files.len());
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// The paths that a glob names, but for directories, in order.
fn matching(glob: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(glob).map_err(|e| Error::config(format!("{glob} is not a valid glob")).because(e))?;
    let mut paths: Vec<PathBuf> =
        paths.collect::<Result<_, _>>().map_err(|e| Error::new(format!("cannot look for {glob}")).because(e))?;
    paths.retain(|path| !path.is_dir());
    paths.sort();
    Ok(paths)
}

/// The files that a path or a glob names, with what the system says of them.
pub(super) fn list(path: &str) -> Result<Vec<(PathBuf, fs::Metadata)>> {
    let plain = Path::new(path);
    let paths = match is_glob(path) && !plain.exists() {
        true => matching(path)?,
        false => vec![plain.to_owned()],
    };
    // One that went meanwhile is none.
    Ok(paths.into_iter().filter_map(|path| fs::metadata(&path).ok().map(|metadata| (path, metadata))).collect())
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// A path or a glob with its directory in full and without links: the same however the configuration spells it.
pub(super) fn canonical(path: &str) -> String {
    if let Ok(file) = fs::canonicalize(path) {
        return file.to_string_lossy().into_owned();
    }
    let glob = path.find(['*', '?', '[']).unwrap_or(path.len());
    let (directory, names) = match path[..glob].rfind('/') {
        Some(slash) => (&path[..=slash], &path[slash + 1..]),
        None => (".", path),
    };
    match fs::canonicalize(directory) {
        Ok(directory) => directory.join(names).to_string_lossy().into_owned(),
        Err(_) => path.to_owned(),
    }
}

/// The error of a path without a file.
pub(super) fn no_such_file(path: &str) -> Error {
    let directory = std::env::current_dir().map_or_else(|_| "unknown".to_owned(), |dir| dir.display().to_string());
    let what = if is_glob(path) { format!("no file matches {path}") } else { format!("there is no file {path}") };
    Error::new(format!("{what} (the working directory is {directory})")).help(
        "paths are relative to the working directory; with `sample_if_missing = true` a run with `--sample` has generated \
         readings instead",
    )
}

/// The file of a split's byte `at`, and the byte in the file. The byte after the end belongs to the last file, which may have
/// grown.
pub(super) fn locate(files: &[InputFile], at: u64) -> Option<(usize, u64)> {
    let mut base: u64 = 0;
    for (index, file) in files.iter().enumerate() {
        let last = index + 1 == files.len();
        let end = base.saturating_add(file.length.saturating_sub(file.from));
        if at < end || (last && at == end) {
            return Some((index, at.checked_sub(base)? + file.from));
        }
        base = end;
    }
    (files.is_empty() && at == 0).then_some((0, 0))
}

#[cfg(test)]
mod tests {
    use encoding_rs::UTF_8;

    use super::*;

    fn files(lengths: &[(&str, u64)]) -> Vec<InputFile> {
        let file = |(name, length): &(&str, u64)| InputFile {
            name: (*name).to_owned(),
            length: *length,
            from: 0,
            before: 0,
            headers: Vec::new(),
            path: format!("/{name}"),
            node: (0, 0),
            stored: *length,
            form: FileForm::default(),
        };
        lengths.iter().map(file).collect()
    }

    #[test]
    fn a_byte_of_all_files_lies_in_one_of_them() {
        let files = files(&[("a", 10), ("b", 0), ("c", 5)]);
        assert_eq!(locate(&files, 0), Some((0, 0)));
        assert_eq!(locate(&files, 9), Some((0, 9)));
        assert_eq!(locate(&files, 10), Some((2, 0)));
        assert_eq!(locate(&files, 15), Some((2, 5)), "the end belongs to the last");
        assert_eq!(locate(&files, 16), None);
    }

    #[test]
    fn a_glob_names_files_in_the_order_of_their_names_and_no_directories() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["b.csv", "a.csv", "c.txt"] {
            fs::write(dir.path().join(name), name).expect("writes");
        }
        fs::create_dir(dir.path().join("d.csv")).expect("makes");
        let found = expand(&format!("{}/*.csv", dir.path().display()), UTF_8).expect("looks");
        let names: Vec<&str> = found.iter().filter_map(|file| file.name.rsplit('/').next()).collect();
        assert_eq!(names, ["a.csv", "b.csv"]);
        let odd = dir.path().join("[x].csv");
        fs::write(&odd, "x").expect("writes");
        assert_eq!(expand(&odd.to_string_lossy(), UTF_8).expect("looks").len(), 1, "a name that looks like a glob");
        let error = expand(&dir.path().to_string_lossy(), UTF_8).expect_err("a directory");
        assert!(error.help_text().is_some_and(|help| help.contains("/*.csv")), "{error}");
        std::os::unix::fs::symlink(dir.path().join("a.csv"), dir.path().join("latest.csv")).expect("links");
        assert_eq!(
            expand(&format!("{}/*.csv", dir.path().display()), UTF_8).expect("looks").len(),
            3,
            "a link is no file"
        );
        assert!(expand("no/such/file.csv", UTF_8).expect("looks").is_empty());
        assert!(expand("no/such/*.csv", UTF_8).expect("looks").is_empty());
        let dir_path = dir.path().canonicalize().expect("is there");
        let glob = dir_path.join("*.csv").to_string_lossy().into_owned();
        for spelt in ["./*.csv", "x/../*.csv", "//*.csv"] {
            let spelt = format!("{}/{spelt}", dir.path().display());
            fs::create_dir_all(dir.path().join("x")).expect("makes");
            assert_eq!(canonical(&spelt), glob, "{spelt}");
        }
        assert_eq!(canonical("no/such/*.csv"), "no/such/*.csv");
        let error = no_such_file("no/such/file.csv");
        assert!(error.to_string().contains("working directory"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("sample_if_missing")));
    }
}
