//! Which files a path names, and where a byte of all of them together lies.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

/// One file of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSpan {
    /// Its path, as messages and states write it.
    pub(super) name: String,
    /// Bytes that are read of it.
    pub(super) length: u64,
}

impl FileSpan {
    /// A file as it is now.
    pub(super) fn of(path: &Path) -> Result<FileSpan> {
        let name = path.to_string_lossy().into_owned();
        let facts = fs::metadata(path).map_err(|e| Error::new(format!("cannot look at {name}")).because(e))?;
        if facts.is_dir() {
            return Err(Error::config(format!("{name} is a directory, not a file"))
                .help(format!("name its files by a glob: path = \"{}/*.csv\"", name.trim_end_matches('/'))));
        }
        if !facts.is_file() {
            return Err(Error::config(format!("{name} is not a regular file")).help(
                "a source reads a file twice where a stage asks for the whole input, and goes on in the middle",
            ));
        }
        Ok(FileSpan { name, length: facts.len() })
    }
}

/// The files that a path or a glob names, in the order of their names; none where there is no such file.
pub(super) fn expand(path: &str) -> Result<Vec<FileSpan>> {
    let plain = Path::new(path);
    // A file whose name looks like a glob is that file.
    if plain.exists() {
        return Ok(vec![FileSpan::of(plain)?]);
    }
    if !is_glob(path) {
        return Ok(Vec::new());
    }
    let paths = glob::glob(path).map_err(|e| Error::config(format!("{path} is no glob")).because(e))?;
    let mut paths: Vec<PathBuf> =
        paths.collect::<Result<_, _>>().map_err(|e| Error::new(format!("cannot look for {path}")).because(e))?;
    paths.retain(|path| !path.is_dir());
    paths.sort();
    paths.iter().map(|path| FileSpan::of(path)).collect()
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The error of a path that names no file.
pub(super) fn nothing_there(path: &str) -> Error {
    let directory = std::env::current_dir().map_or_else(|_| "unknown".to_owned(), |dir| dir.display().to_string());
    let what = if is_glob(path) { format!("no file matches {path}") } else { format!("there is no file {path}") };
    Error::new(format!("{what} (the working directory is {directory})")).help(
        "paths are relative to the working directory; `sample_if_missing = true` reads generated readings in its place",
    )
}

/// Where the byte `at` of all files one after the other lies: the file, and the byte in it. A byte behind the end is the
/// end of the last file, for more may have been added to it.
pub(super) fn locate(files: &[FileSpan], at: u64) -> Option<(usize, u64)> {
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

/// The files of a lane that goes on at the byte `at` of those it had, given those that are there now: the lengths of the
/// files that it is done with stay as they were, so that positions keep their meaning.
pub(super) fn resume(before: &[FileSpan], now: &[FileSpan], at: u64) -> Result<Vec<FileSpan>> {
    let changed = |what: String| {
        Err(Error::new(format!("the files are not those that were read before: {what}"))
            .help("`--fresh` forgets where the pipeline was and starts from the beginning"))
    };
    let Some((current, _)) = locate(before, at) else {
        return changed(format!("byte {at} lies behind all of them"));
    };
    let mut files = now.to_vec();
    for (index, was) in before.iter().enumerate() {
        let Some(file) = files.get_mut(index).filter(|file| file.name == was.name) else {
            return changed(match now.get(index) {
                Some(other) => format!("{} stands where {} was", other.name, was.name),
                None => format!("{} is gone", was.name),
            });
        };
        if file.length < was.length {
            return changed(format!("{} has {} bytes and had {}", was.name, file.length, was.length));
        }
        if index < current {
            if file.length > was.length {
                tracing::warn!("{} has grown since it was read: what was added is not read", was.name);
            }
            file.length = was.length;
        }
    }
    Ok(files)
}

/// The line that the byte `at` of a file stands on, from 1.
pub(super) fn line_of(name: &str, at: u64) -> Result<u64> {
    let failed = |e| Error::new(format!("cannot read {name}")).because(e);
    let mut input = BufReader::new(fs::File::open(name).map_err(failed)?.take(at));
    let (mut line, mut last) = (1, 0);
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
        let lines: Vec<u64> = (0..=10).map(|at| line_of(name, at).expect("readable")).collect();
        assert_eq!(lines, [1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6]);
    }

    fn files(lengths: &[(&str, u64)]) -> Vec<FileSpan> {
        lengths.iter().map(|(name, length)| FileSpan { name: (*name).to_owned(), length: *length }).collect()
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
    fn files_may_grow_and_be_added_behind_but_not_shrink_or_change_places() {
        let before = files(&[("a", 10), ("b", 10)]);
        let message = |now: &[(&str, u64)], at| resume(&before, &files(now), at).map_err(|error| error.to_string());
        assert_eq!(message(&[("a", 10), ("b", 12), ("c", 1)], 15), Ok(files(&[("a", 10), ("b", 12), ("c", 1)])));
        assert_eq!(
            message(&[("a", 11), ("b", 10)], 15),
            Ok(files(&[("a", 10), ("b", 10)])),
            "positions keep their meaning"
        );
        for (now, what) in [
            (&[("a", 10), ("b", 9)][..], "b has 9 bytes and had 10"),
            (&[("a", 10)], "b is gone"),
            (&[("a", 10), ("aa", 3), ("b", 10)], "aa stands where b was"),
        ] {
            let error = message(now, 3).expect_err("changed");
            assert!(error.contains(what), "{error}");
        }
        assert!(message(&[("a", 10), ("b", 10)], 21).is_err());
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
        assert!(expand("no/such/file.csv").expect("looks").is_empty());
        assert!(expand("no/such/*.csv").expect("looks").is_empty());
        let error = nothing_there("no/such/file.csv");
        assert!(error.to_string().contains("working directory"), "{error}");
        assert!(error.help_text().is_some_and(|help| help.contains("sample_if_missing")));
    }
}
