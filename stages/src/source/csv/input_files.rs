//! The files that a path names, and the file and line of a split's byte.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result};

/// One file of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InputFile {
    /// Its path as the configuration spells it, for messages.
    pub(super) name: String,
    /// Bytes to read of it.
    pub(super) length: u64,
    /// Its absolute path without links.
    pub(super) path: String,
    /// Its device and inode, which stay when it is renamed.
    pub(super) node: (u64, u64),
}

impl InputFile {
    /// A file as it is now.
    pub(super) fn of(path: &Path) -> Result<InputFile> {
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
        Ok(InputFile { name, length: metadata.len(), path: full_path, node: (metadata.dev(), metadata.ino()) })
    }
}

/// The files that a path or a glob names, in the order of their names; none if there is no such file. A file with two names,
/// by a link, is listed once.
pub(super) fn expand(path: &str) -> Result<Vec<InputFile>> {
    let plain = Path::new(path);
    // The name of a file may look like a glob.
    if plain.exists() {
        return Ok(vec![InputFile::of(plain)?]);
    }
    if !is_glob(path) {
        return Ok(Vec::new());
    }
    let paths = glob::glob(path).map_err(|e| Error::config(format!("{path} is not a valid glob")).because(e))?;
    let mut paths: Vec<PathBuf> =
        paths.collect::<Result<_, _>>().map_err(|e| Error::new(format!("cannot look for {path}")).because(e))?;
    paths.retain(|path| !path.is_dir());
    paths.sort();
    let mut files: Vec<InputFile> = Vec::with_capacity(paths.len());
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let file = InputFile::of(&path)?;
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
    let mut base = 0;
    for (index, file) in files.iter().enumerate() {
        let last = index + 1 == files.len();
        if at < base + file.length || (last && at == base + file.length) {
            return Some((index, at - base));
        }
        base += file.length;
    }
    (files.is_empty() && at == 0).then_some((0, 0))
}

/// The line of the byte `to` of a file, given that its byte `from` is on the line `line`.
pub(super) fn line_of(name: &str, (from, line): (u64, u64), to: u64) -> Result<u64> {
    let failed = |e| Error::new(format!("cannot read {name}")).because(e);
    let mut file = fs::File::open(name).map_err(failed)?;
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut input = BufReader::with_capacity(64 << 10, file.take(to.saturating_sub(from)));
    let (mut line, mut last) = (line, 0);
    loop {
        let bytes = input.fill_buf().map_err(failed)?;
        if bytes.is_empty() {
            return Ok(line);
        }
        for byte in bytes {
            line += u64::from(*byte == b'\r' || (*byte == b'\n' && last != b'\r'));
            last = *byte;
        }
        let length = bytes.len();
        input.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_of_three_ways() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.csv");
        fs::write(&path, "a\nb\r\nc\rd\n\ne").expect("written");
        let name = path.to_str().expect("UTF-8");
        let lines: Vec<u64> = (0..=10).map(|at| line_of(name, (0, 1), at).expect("readable")).collect();
        assert_eq!(lines, [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6]);
        assert_eq!(line_of(name, (2, 2), 7).expect("readable"), 4, "from a line that is known");
    }

    fn files(lengths: &[(&str, u64)]) -> Vec<InputFile> {
        let file = |(name, length): &(&str, u64)| InputFile {
            name: (*name).to_owned(),
            length: *length,
            path: format!("/{name}"),
            node: (0, 0),
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
        let found = expand(&format!("{}/*.csv", dir.path().display())).expect("looks");
        let names: Vec<&str> = found.iter().filter_map(|file| file.name.rsplit('/').next()).collect();
        assert_eq!(names, ["a.csv", "b.csv"]);
        let odd = dir.path().join("[x].csv");
        fs::write(&odd, "x").expect("writes");
        assert_eq!(expand(&odd.to_string_lossy()).expect("looks").len(), 1, "a name that looks like a glob");
        let error = expand(&dir.path().to_string_lossy()).expect_err("a directory");
        assert!(error.help_text().is_some_and(|help| help.contains("/*.csv")), "{error}");
        std::os::unix::fs::symlink(dir.path().join("a.csv"), dir.path().join("latest.csv")).expect("links");
        assert_eq!(expand(&format!("{}/*.csv", dir.path().display())).expect("looks").len(), 3, "a link is no file");
        assert!(expand("no/such/file.csv").expect("looks").is_empty());
        assert!(expand("no/such/*.csv").expect("looks").is_empty());
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
