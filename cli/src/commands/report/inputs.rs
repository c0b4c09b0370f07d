//! What the arguments name: files, and topics.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aqpipe_engine::{Error, Result, printable};

/// The directory below a sink's into which runs on the embedded broker write.
const EMBEDDED: &str = "embedded";
/// Directories within directories: more are a circle of links.
const DEPTH_MAX: usize = 32;
/// Files of a report: their names take memory. A day has 86,400 seconds.
const FILES_MAX: usize = 1_000_000;

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Files, by their full paths.
    pub(super) files: Vec<PathBuf>,
    /// Topics.
    pub(super) topics: Vec<String>,
    /// What readers of the report have to know.
    pub(super) notes: Vec<String>,
    known: BTreeSet<PathBuf>,
}

impl Inputs {
    /// Takes an argument: a directory, a file, or else a topic.
    ///
    /// # Errors
    /// Where a directory cannot be read.
    pub(super) fn add(&mut self, argument: &Path) -> Result<()> {
        if argument.is_dir() {
            return self.add_dir(argument, "");
        }
        if argument.exists() {
            return self.add_file(argument);
        }
        let topic = argument.to_str().filter(|name| is_topic_name(name));
        match topic {
            Some(topic) => self.topics.push(topic.to_owned()),
            None => {
                return Err(Error::config(format!("there is no file or directory {}", argument.display())).help(
                    format!(
                        "{}; give a directory of output files, such files, or the name of a topic",
                        beside(argument)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Takes the CSV files of a directory and of those below whose names begin so.
    ///
    /// # Errors
    /// Where a directory cannot be read.
    pub(super) fn add_dir(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        let before = self.files.len();
        self.walk(dir, prefix, 0)?;
        if self.files.len() == before {
            self.notes.push(format!("There is no CSV file in `{}`.", dir.display()));
        }
        Ok(())
    }

    fn walk(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<()> {
        let unreadable = |error| Error::new(format!("cannot list {}", dir.display())).because(error);
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in dir.read_dir().map_err(unreadable)? {
            entries.push(entry.map_err(unreadable)?.path());
        }
        entries.sort();
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        entries.retain(|path| !name(path).starts_with('.'));
        let (dirs, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(|path| path.is_dir());
        let is_csv = |path: &&PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let own: Vec<&PathBuf> = files.iter().filter(is_csv).filter(|path| name(path).starts_with(prefix)).collect();
        for file in &own {
            self.add_file(file)?;
        }
        for below in dirs {
            if name(&below) == EMBEDDED && !own.is_empty() {
                self.notes.push(format!(
                    "{} is left out: it holds output of runs on the embedded broker, and real files stand beside it.",
                    below.display()
                ));
            } else if depth < DEPTH_MAX {
                self.walk(&below, prefix, depth + 1)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let full = path
            .canonicalize()
            .map_err(|error| Error::new(format!("cannot find the full path of {}", path.display())).because(error))?;
        if !self.known.insert(full) {
            return Ok(());
        }
        if self.files.len() >= FILES_MAX {
            return Err(Error::config(format!("there are more than {FILES_MAX} files"))
                .help("make a report of each directory, or write larger files (`batch_size` of the sink)"));
        }
        self.files.push(path.to_owned());
        Ok(())
    }
}

/// Names that are listed where another one is not there.
const NAMED_MAX: usize = 10;

/// What is there in the place of a path that is not: the names of its directory, or of the first one above that is there.
pub(super) fn beside(path: &Path) -> String {
    let above = path.ancestors().skip(1).map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let Some((dir, entries)) = above.filter_map(|dir| Some((dir, dir.read_dir().ok()?))).next() else {
        return "nothing is there".to_owned();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).take(FILES_MAX).collect();
    names.sort();
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{}`", printable::line(name))).collect();
    let left = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        left => format!(" and {left} more"),
    };
    let place = if dir == Path::new(".") { "here".to_owned() } else { format!("in `{}`", dir.display()) };
    match named.is_empty() {
        true => format!("nothing is {place}"),
        false => {
            format!("{} {place}: {}{left}", if names.len() == 1 { "there is" } else { "there are" }, named.join(", "))
        }
    }
}

/// Whether Kafka takes it for the name of a topic.
fn is_topic_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 249 && name != "." && name != ".." && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(path, "timestamp\n").expect("written");
        }
        dir
    }

    fn found(dir: &Path, prefix: &str) -> (Vec<String>, Vec<String>) {
        let mut inputs = Inputs::default();
        inputs.add_dir(dir, prefix).expect("read");
        let relative = |path: &PathBuf| path.strip_prefix(dir).expect("below").display().to_string();
        (inputs.files.iter().map(relative).collect(), inputs.notes)
    }

    #[test]
    fn an_embedded_directory_counts_only_where_no_real_files_stand_beside_it() {
        let dir = tree(&["a/x_1.csv", "a/embedded/x_2.csv", "b/embedded/x_3.csv", "b/.hidden/x_4.csv", "b/notes.txt"]);
        let (files, notes) = found(dir.path(), "");
        assert_eq!(files, ["a/x_1.csv", "b/embedded/x_3.csv"]);
        assert!(notes.len() == 1 && notes[0].contains("a/embedded is left out"), "{notes:?}");
        // Files of another pipeline are none beside it.
        assert_eq!(found(&dir.path().join("a"), "y_").0, Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_named_twice_is_read_once_and_an_empty_directory_is_told_of() {
        let dir = tree(&["x.csv"]);
        let mut inputs = Inputs::default();
        let link = dir.path().join("link.csv");
        std::os::unix::fs::symlink(dir.path().join("x.csv"), &link).expect("a link");
        [dir.path(), &dir.path().join("x.csv"), &link].iter().for_each(|path| inputs.add(path).expect("taken"));
        assert_eq!(inputs.files.len(), 1);
        let empty = tree(&[]);
        inputs.add(empty.path()).expect("taken");
        assert_eq!(inputs.notes[0], format!("There is no CSV file in `{}`.", empty.path().display()));
        inputs.add(Path::new("air-quality-data")).expect("a topic");
        assert_eq!(inputs.topics, ["air-quality-data"]);
        let error = inputs.add(&dir.path().join("no/such/file.csv")).expect_err("not there");
        let help = error.help_text().expect("help");
        assert!(
            help.contains(&format!("there are in `{}`: `link.csv`, `x.csv`; give", dir.path().display())),
            "{help}"
        );
        assert_eq!(beside(&empty.path().join("x")), format!("nothing is in `{}`", empty.path().display()));
    }
}
