//! Readers of the output of a run.

use std::path::Path;

/// The names in a directory, sorted; none where it does not exist.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The rows of CSV files with the same header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Rows {
    pub(crate) fn read(dir: &Path) -> Rows {
        let mut all = Rows { header: Vec::new(), rows: Vec::new() };
        for name in names(dir).iter().filter(|name| !name.starts_with('.') && name.ends_with(".csv")) {
            let mut reader = csv::Reader::from_path(dir.join(name)).expect("opens");
            let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
            assert!(all.header.is_empty() || all.header == header, "{name} has other columns: {header:?}");
            all.header = header;
            for row in reader.records() {
                all.rows.push(row.unwrap_or_else(|e| panic!("{name}: {e}")).iter().map(str::to_owned).collect());
            }
        }
        all
    }

    /// One column.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let at = self.header.iter().position(|column| column == name);
        let at = at.unwrap_or_else(|| panic!("no column {name} among {:?}", self.header));
        self.rows.iter().map(|row| &*row[at]).collect()
    }

    /// One column of numbers.
    #[track_caller]
    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        self.column(name).into_iter().map(|cell| cell.parse().expect("a number")).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, sorted.
    pub(crate) fn sorted(mut self) -> Rows {
        self.rows.sort();
        self
    }
}
