//! Files of records, and the text of pipelines that read them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The time of the `hour`-th hour.
pub(crate) fn time(hour: usize) -> String {
    let (day, hour) = (hour / 24, hour % 24);
    // 28 days a month: every date exists, and the order is that of the hours.
    format!("{:04}-{:02}-{:02}T{hour:02}:00:00Z", 2000 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
}

/// A file of records of stations in turn, an hour each, in which every eighth value is missing.
pub(crate) fn write_rows(dir: &Path, rows: usize, stations: usize, fields: usize) -> PathBuf {
    let names: Vec<String> = (0..fields).map(|field| format!("f{field}")).collect();
    let mut text = format!("station,timestamp,{}\n", names.join(","));
    for row in 0..rows {
        let _ = write!(text, "s{},{}", row % stations, time(row / stations));
        for field in 0..fields {
            let number = row * 31 + field * 17;
            let _ = if number % 8 == 0 { write!(text, ",") } else { write!(text, ",{}.{}", number % 97, number % 10) };
        }
        text.push('\n');
    }
    let path = dir.join("rows.csv");
    std::fs::write(&path, text).expect("a file");
    path
}

pub(crate) fn csv_source(path: &Path, fields: usize) -> String {
    let names: Vec<String> = (0..fields).map(|field| format!("\"f{field}\"")).collect();
    let (path, names) = (path.display(), names.join(", "));
    format!(
        "[source]\ntype = \"csv\"\npath = \"{path}\"\ntimestamp = \"timestamp\"\nkey = \"station\"\nfields = [{names}]\n"
    )
}

/// Files of so many records: commits are counted by records, not by the clock.
pub(crate) fn csv_sink(dir: &Path, batch_size: usize) -> String {
    let out = dir.join("out");
    format!(
        "[sink]\ntype = \"csv\"\ndir = \"{}\"\nbatch_size = {batch_size}\nbatch_timeout_secs = 3600\n",
        out.display()
    )
}
