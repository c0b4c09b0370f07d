//! An output directory under observation: a visible file is whole, never changes and never goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::file_range::FileRange;
use super::output_record;
use super::violations::{ViolationKind, Violations};

/// How many known files each scan compares again.
const RESCANNED_FILES_MAX: usize = 16;

/// The format of the files in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
}

/// A directory of output files.
pub(crate) struct OutputDir {
    path: PathBuf,
    format: Format,
    known: BTreeMap<String, (Fingerprint, Option<FileRange>)>,
    /// The name after which the next scan goes on comparing known files.
    rescan_from: String,
}

/// The identity and contents of a file when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint {
    inode: u64,
    length: u64,
    changed: (i64, i64),
    checksum: u32,
}

impl Fingerprint {
    fn of(file: &Metadata, text: &[u8]) -> Fingerprint {
        let changed = (file.mtime(), file.mtime_nsec());
        Fingerprint { inode: file.ino(), length: file.len(), changed, checksum: crc32fast::hash(text) }
    }
}

impl Format {
    /// Checks that a file is whole; the error says why it is not.
    pub(crate) fn check_whole(self, text: &str) -> Result<(), String> {
        if !text.ends_with('\n') {
            return Err("its last line has no end".to_owned());
        }
        match self {
            Format::Csv => {
                let mut lines = text.lines();
                match lines.next() {
                    Some(output_record::CSV_HEADER) => {}
                    other => return Err(format!("its first line is {other:?}")),
                }
                let cells = output_record::CSV_HEADER.split(',').count();
                let torn = lines.clone().find(|line| line.split(',').count() != cells);
                match (lines.next(), torn) {
                    (None, _) => Err("it has no records".to_owned()),
                    (_, Some(torn)) => Err(format!("it has the line {torn:?}")),
                    (Some(_), None) => Ok(()),
                }
            }
            Format::Ndjson => {
                let torn = text.lines().find(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
                torn.map_or(Ok(()), |torn| Err(format!("it has the line {torn:?}")))
            }
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Format::Csv => ".csv",
            Format::Ndjson => ".ndjson",
        }
    }
}

/// Whether a file is none of the output: what is hidden, and the description of the output, which is written once.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "datapackage.json"
}

/// The names in a directory; none where it does not exist.
fn names(path: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

impl OutputDir {
    pub(crate) fn new(path: &Path, format: Format) -> OutputDir {
        OutputDir { path: path.to_owned(), format, known: BTreeMap::new(), rescan_from: String::new() }
    }

    /// Checks new files and some of the known ones; `take` gets the range and the text of each new file.
    pub(crate) fn scan(&mut self, violations: &Violations, mut take: impl FnMut(&FileRange, &str)) -> io::Result<()> {
        let names = names(&self.path)?;
        for name in names.iter().filter(|name| !is_hidden(name)) {
            if self.known.contains_key(name) {
                continue;
            }
            let path = self.path.join(name);
            let read = fs::read(&path).and_then(|bytes| Ok((bytes, fs::metadata(&path)?)));
            let (bytes, file) = match read {
                Ok(read) => read,
                Err(error) => {
                    violations.add(ViolationKind::Changed, format!("{name} was visible and cannot be read: {error}"));
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            let range = FileRange::parse(name).filter(|_| name.ends_with(self.format.extension()));
            match &range {
                None => violations.add(ViolationKind::Unknown, format!("{name} has the name of no output file")),
                Some(range) => {
                    range.check_disjoint(self.known.values().filter_map(|(_, range)| range.as_ref()), violations);
                    if let Err(why) = self.format.check_whole(&text) {
                        violations.add(ViolationKind::Partial, format!("{name} is visible and not whole: {why}"));
                    }
                    take(range, &text);
                }
            }
            self.known.insert(name.clone(), (Fingerprint::of(&file, &bytes), range));
        }
        self.rescan(violations, RESCANNED_FILES_MAX);
        for name in self.known.keys().filter(|name| !names.contains(*name)) {
            // The listing of a directory that changes meanwhile may be incomplete.
            if !self.path.join(name).exists() {
                violations.add(ViolationKind::Changed, format!("{name} was visible and is gone"));
            }
        }
        Ok(())
    }

    /// Compares known files with their fingerprints.
    fn rescan(&mut self, violations: &Violations, most: usize) {
        let from = std::mem::take(&mut self.rescan_from);
        for (name, (fingerprint, _)) in self.known.range(from..).take(most) {
            let path = self.path.join(name);
            // A file that is gone is found by `scan`.
            let Ok((file, bytes)) = fs::metadata(&path).and_then(|file| Ok((file, fs::read(&path)?))) else { continue };
            let now = Fingerprint::of(&file, &bytes);
            if now != *fingerprint {
                violations.add(ViolationKind::Changed, format!("{name} was {fingerprint:?} and is {now:?}"));
            }
            self.rescan_from = format!("{name}\0");
        }
        if self.known.range(self.rescan_from.clone()..).next().is_none() {
            self.rescan_from.clear();
        }
    }

    /// Compares all known files once more, and looks for temporary files that were left behind.
    pub(crate) fn complete(&mut self, violations: &Violations) -> io::Result<()> {
        self.rescan_from.clear();
        self.rescan(violations, usize::MAX);
        for name in names(&self.path)?.iter().filter(|name| name.ends_with(".tmp") || name.ends_with(".new")) {
            violations.add(ViolationKind::LeftOver, format!("{} holds {name}", self.path.display()));
        }
        Ok(())
    }

    /// Reads all visible files, in the order of their splits and ranges.
    pub(crate) fn read(&self) -> io::Result<Vec<(FileRange, String)>> {
        let visible = names(&self.path)?.into_iter().filter(|name| !is_hidden(name));
        let mut files = Vec::new();
        for range in visible.filter_map(|name| FileRange::parse(&name)) {
            let text = fs::read_to_string(self.path.join(&*range.name))?;
            files.push((range, text));
        }
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2024-01-01T00:00:00Z,s0,0.0,1.0,1.5,q222,,,in.csv,33\n";

    fn name(from: u64, to: u64) -> String {
        format!("out_in.csv_{from:020}-{to:020}.csv")
    }

    fn check_whole() -> String {
        format!("{}\n{LINE}{LINE}", output_record::CSV_HEADER)
    }

    struct TestDir {
        dir: tempfile::TempDir,
        directory: OutputDir,
        taken: Vec<String>,
        violations: Violations,
    }

    impl TestDir {
        fn new() -> TestDir {
            let dir = tempfile::tempdir().expect("a directory");
            let directory = OutputDir::new(dir.path(), Format::Csv);
            TestDir { dir, directory, taken: Vec::new(), violations: Violations::quiet() }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).expect("written");
        }

        fn scan(&mut self) -> Vec<ViolationKind> {
            let taken = &mut self.taken;
            self.directory.scan(&self.violations, |range, _| taken.push(range.name.to_string())).expect("a look");
            self.violations.counts().into_keys().collect()
        }
    }

    #[test]
    fn a_new_file_is_taken_once_and_hidden_ones_never() {
        let mut test_dir = TestDir::new();
        test_dir.write(".aqpipe.chaos.0.out_in.csv.0.csv.tmp", "timesta");
        test_dir.write(&name(0, 5), &check_whole());
        assert_eq!(test_dir.scan(), []);
        test_dir.write(&name(5, 9), &check_whole());
        assert_eq!((test_dir.scan(), test_dir.scan()), (vec![], vec![]));
        assert_eq!(test_dir.taken, [name(0, 5), name(5, 9)]);
    }

    #[test]
    fn partial_files_are_found() {
        let check_whole = check_whole();
        let half = format!("{}\n{LINE}2024-01-01T00\n", output_record::CSV_HEADER);
        let header = format!("{}\n", output_record::CSV_HEADER);
        for text in ["", &check_whole[..check_whole.len() - 1], &check_whole[..20], LINE, &half, &header] {
            let mut test_dir = TestDir::new();
            test_dir.write(&name(0, 5), text);
            assert_eq!(test_dir.scan(), [ViolationKind::Partial], "{text:?}");
        }
        let letter = "{\"raw\":\"x\"}\n";
        assert!(Format::Ndjson.check_whole(letter).is_ok());
        assert!(Format::Ndjson.check_whole(&letter[..letter.len() - 1]).is_err());
        assert!(Format::Ndjson.check_whole(&format!("{letter}{{\"raw\n")).is_err());
    }

    #[test]
    fn a_visible_file_that_changes_or_goes_away_is_found() {
        let mut test_dir = TestDir::new();
        test_dir.write(&name(0, 5), &check_whole());
        test_dir.scan();
        test_dir.write(&name(0, 5), &check_whole().replace("1.5", "2.5"));
        assert_eq!(test_dir.scan(), [ViolationKind::Changed]);

        let mut test_dir = TestDir::new();
        test_dir.write(&name(0, 5), &check_whole());
        test_dir.scan();
        fs::remove_file(test_dir.dir.path().join(name(0, 5))).expect("removed");
        assert_eq!(test_dir.scan(), [ViolationKind::Changed]);
    }

    #[test]
    fn overlaps_and_strange_names_are_found_at_once() {
        let mut test_dir = TestDir::new();
        test_dir.write(&name(0, 5), &check_whole());
        test_dir.scan();
        test_dir.write(&name(4, 9), &check_whole());
        assert_eq!(test_dir.scan(), [ViolationKind::Overlap]);
        test_dir.write("core", "");
        assert_eq!(test_dir.scan(), [ViolationKind::Unknown, ViolationKind::Overlap]);
    }

    #[test]
    fn all_files_are_looked_at_again_in_turn() {
        let mut test_dir = TestDir::new();
        for at in 0..50 {
            test_dir.write(&name(at, at + 1), &check_whole());
        }
        test_dir.scan();
        test_dir.write(&name(49, 50), &check_whole().replace("1.5", "2.5"));
        let scans = (0..6).find(|_| !test_dir.scan().is_empty());
        assert!(scans.is_some(), "it is found within a few looks");
    }

    #[test]
    fn what_is_left_over_is_found_at_the_end() {
        let mut test_dir = TestDir::new();
        test_dir.write(&name(0, 5), &check_whole());
        test_dir.write(".out.aqpipe.json", "{}");
        test_dir.write(".out.chaos.0.lock", "");
        test_dir.scan();
        test_dir.directory.complete(&test_dir.violations).expect("a look");
        assert!(test_dir.violations.is_empty());
        test_dir.write(".aqpipe.chaos.0.out_in.csv.0.csv.tmp", "timesta");
        test_dir.directory.complete(&test_dir.violations).expect("a look");
        assert_eq!(test_dir.violations.first()[0].kind, ViolationKind::LeftOver);
    }
}
