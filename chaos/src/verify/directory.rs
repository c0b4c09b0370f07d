//! An output directory, looked at all the time: what is visible there is whole, never changes and never goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ranges::Range;
use super::row;
use super::violations::{Kind, Violations};

/// How many files that were seen before are looked at again in each look.
const AGAIN: usize = 16;

/// What the files of a directory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
}

/// A directory of output files.
pub(crate) struct Directory {
    path: PathBuf,
    format: Format,
    known: BTreeMap<String, (Stamp, Option<Range>)>,
    /// The name behind which the next look goes on looking again.
    again: String,
}

/// What a file was when it was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
    checksum: u32,
}

impl Stamp {
    fn of(file: &Metadata, text: &[u8]) -> Stamp {
        let changed = (file.mtime(), file.mtime_nsec());
        Stamp { inode: file.ino(), length: file.len(), changed, checksum: crc32fast::hash(text) }
    }
}

impl Format {
    /// What is wrong with a file of this format.
    pub(crate) fn whole(self, text: &str) -> Result<(), String> {
        if !text.ends_with('\n') {
            return Err("its last line has no end".to_owned());
        }
        match self {
            Format::Csv => {
                let mut lines = text.lines();
                match lines.next() {
                    Some(row::COLUMNS) => {}
                    other => return Err(format!("its first line is {other:?}")),
                }
                let cells = row::COLUMNS.split(',').count();
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

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// The names in a directory; none where it is not there.
fn names(path: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

impl Directory {
    pub(crate) fn new(path: &Path, format: Format) -> Directory {
        Directory { path: path.to_owned(), format, known: BTreeMap::new(), again: String::new() }
    }

    /// Looks at what is new, and at some of what is known; `take` gets the range and the text of each new file.
    pub(crate) fn look(&mut self, violations: &Violations, mut take: impl FnMut(&Range, &str)) -> io::Result<()> {
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
                    violations.add(Kind::Changed, format!("{name} was visible and cannot be read: {error}"));
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            let range = Range::of(name).filter(|_| name.ends_with(self.format.extension()));
            match &range {
                None => violations.add(Kind::Unknown, format!("{name} has the name of no output file")),
                Some(range) => {
                    range.apart(self.known.values().filter_map(|(_, range)| range.as_ref()), violations);
                    if let Err(why) = self.format.whole(&text) {
                        violations.add(Kind::Partial, format!("{name} is visible and not whole: {why}"));
                    }
                    take(range, &text);
                }
            }
            self.known.insert(name.clone(), (Stamp::of(&file, &bytes), range));
        }
        self.look_again(violations, AGAIN);
        for name in self.known.keys().filter(|name| !names.contains(*name)) {
            // A directory that changes while it is listed may list less than it holds.
            if !self.path.join(name).exists() {
                violations.add(Kind::Changed, format!("{name} was visible and is gone"));
            }
        }
        Ok(())
    }

    /// Looks whether files are still what they were.
    fn look_again(&mut self, violations: &Violations, most: usize) {
        let from = std::mem::take(&mut self.again);
        for (name, (stamp, _)) in self.known.range(from..).take(most) {
            let path = self.path.join(name);
            // That it is gone is found elsewhere.
            let Ok((file, bytes)) = fs::metadata(&path).and_then(|file| Ok((file, fs::read(&path)?))) else { continue };
            let now = Stamp::of(&file, &bytes);
            if now != *stamp {
                violations.add(Kind::Changed, format!("{name} was {stamp:?} and is {now:?}"));
            }
            self.again = format!("{name}\0");
        }
        if self.known.range(self.again.clone()..).next().is_none() {
            self.again.clear();
        }
    }

    /// Looks at the whole directory once more, and for what is not to be left there.
    pub(crate) fn complete(&mut self, violations: &Violations) -> io::Result<()> {
        self.again.clear();
        self.look_again(violations, usize::MAX);
        for name in names(&self.path)?.iter().filter(|name| name.ends_with(".tmp") || name.ends_with(".new")) {
            violations.add(Kind::LeftOver, format!("{} holds {name}", self.path.display()));
        }
        Ok(())
    }

    /// Reads all visible files anew, in the order of their splits and ranges.
    pub(crate) fn read(&self) -> io::Result<Vec<(Range, String)>> {
        let visible = names(&self.path)?.into_iter().filter(|name| !is_hidden(name));
        let mut files = Vec::new();
        for range in visible.filter_map(|name| Range::of(&name)) {
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

    const LINE: &str = "2024-01-01T00:00:00Z,s0,0.0,1.0,1.5,222,,in.csv,33\n";

    fn name(from: u64, to: u64) -> String {
        format!("out_in.csv_{from:020}-{to:020}.csv")
    }

    fn whole() -> String {
        format!("{}\n{LINE}{LINE}", row::COLUMNS)
    }

    struct House {
        dir: tempfile::TempDir,
        directory: Directory,
        taken: Vec<String>,
        violations: Violations,
    }

    impl House {
        fn new() -> House {
            let dir = tempfile::tempdir().expect("a directory");
            let directory = Directory::new(dir.path(), Format::Csv);
            House { dir, directory, taken: Vec::new(), violations: Violations::quiet() }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).expect("written");
        }

        fn look(&mut self) -> Vec<Kind> {
            let taken = &mut self.taken;
            self.directory.look(&self.violations, |range, _| taken.push(range.name.to_string())).expect("a look");
            self.violations.counts().into_keys().collect()
        }
    }

    #[test]
    fn a_new_file_is_taken_once_and_hidden_ones_never() {
        let mut house = House::new();
        house.write(".aqpipe.chaos.0.out_in.csv.0.csv.tmp", "timesta");
        house.write(&name(0, 5), &whole());
        assert_eq!(house.look(), []);
        house.write(&name(5, 9), &whole());
        assert_eq!((house.look(), house.look()), (vec![], vec![]));
        assert_eq!(house.taken, [name(0, 5), name(5, 9)]);
    }

    #[test]
    fn partial_files_are_found() {
        let whole = whole();
        let half = format!("{}\n{LINE}2024-01-01T00\n", row::COLUMNS);
        let header = format!("{}\n", row::COLUMNS);
        for text in ["", &whole[..whole.len() - 1], &whole[..20], LINE, &half, &header] {
            let mut house = House::new();
            house.write(&name(0, 5), text);
            assert_eq!(house.look(), [Kind::Partial], "{text:?}");
        }
        let letter = "{\"raw\":\"x\"}\n";
        assert!(Format::Ndjson.whole(letter).is_ok());
        assert!(Format::Ndjson.whole(&letter[..letter.len() - 1]).is_err());
        assert!(Format::Ndjson.whole(&format!("{letter}{{\"raw\n")).is_err());
    }

    #[test]
    fn a_visible_file_that_changes_or_goes_away_is_found() {
        let mut house = House::new();
        house.write(&name(0, 5), &whole());
        house.look();
        house.write(&name(0, 5), &whole().replace("1.5", "2.5"));
        assert_eq!(house.look(), [Kind::Changed]);

        let mut house = House::new();
        house.write(&name(0, 5), &whole());
        house.look();
        fs::remove_file(house.dir.path().join(name(0, 5))).expect("removed");
        assert_eq!(house.look(), [Kind::Changed]);
    }

    #[test]
    fn overlaps_and_strange_names_are_found_at_once() {
        let mut house = House::new();
        house.write(&name(0, 5), &whole());
        house.look();
        house.write(&name(4, 9), &whole());
        assert_eq!(house.look(), [Kind::Overlap]);
        house.write("core", "");
        assert_eq!(house.look(), [Kind::Unknown, Kind::Overlap]);
    }

    #[test]
    fn all_files_are_looked_at_again_in_turn() {
        let mut house = House::new();
        for at in 0..50 {
            house.write(&name(at, at + 1), &whole());
        }
        house.look();
        house.write(&name(49, 50), &whole().replace("1.5", "2.5"));
        let looks = (0..6).find(|_| !house.look().is_empty());
        assert!(looks.is_some(), "it is found within a few looks");
    }

    #[test]
    fn what_is_left_over_is_found_at_the_end() {
        let mut house = House::new();
        house.write(&name(0, 5), &whole());
        house.write(".out.aqpipe.json", "{}");
        house.write(".out.chaos.0.lock", "");
        house.look();
        house.directory.complete(&house.violations).expect("a look");
        assert!(house.violations.is_empty());
        house.write(".aqpipe.chaos.0.out_in.csv.0.csv.tmp", "timesta");
        house.directory.complete(&house.violations).expect("a look");
        assert_eq!(house.violations.first()[0].kind, Kind::LeftOver);
    }
}
