//! The first line of a file.

use std::fs::File;

use aqpipe_engine::{Error, Result};

use super::dialect::Dialect;
use super::input_files::InputFile;
use super::records::{ReadOutcome, Records};

/// The records of a file from its beginning.
pub(super) fn open(span: &InputFile, dialect: Dialect) -> Result<Records<File>> {
    let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
    of(File::open(&span.name).map_err(failed)?, span, dialect)
}

/// The records of an open file, which stands at its beginning.
pub(super) fn of(file: File, span: &InputFile, dialect: Dialect) -> Result<Records<File>> {
    let failed = |e| Error::new(format!("cannot read {}", span.name)).because(e);
    let mut records = Records::new(file, dialect, 0, span.length, 1);
    records.skip_bom().map_err(failed)?;
    Ok(records)
}

/// The names of the columns, from the first line.
///
/// # Errors
/// Where there is no line, or it is not text.
pub(super) fn read(records: &mut Records<File>, span: &InputFile) -> Result<Vec<String>> {
    let name = &span.name;
    loop {
        match records.next().map_err(|e| Error::new(format!("cannot read {name}")).because(e))? {
            ReadOutcome::Read => {}
            ReadOutcome::Record => break,
            ReadOutcome::End => {
                return Err(Error::config(format!("{name} is empty: it has no line that names its columns")).help(
                    "a file without a header is read with `columns = [\"Date\", …]`, which name its columns instead",
                ));
            }
            ReadOutcome::TooLong | ReadOutcome::Torn => {
                return Err(Error::config(format!("the first line of {name} has no end, so it cannot be a header"))
                    .help("is this a CSV file, and are its quotes closed?"));
            }
        }
    }
    let cells = (0..records.columns()).map(|column| std::str::from_utf8(records.cell(column)));
    let names: Result<Vec<&str>, _> = cells.collect();
    let names = names.map_err(|_| {
        Error::config("the names of the columns are not UTF-8")
            .at(format!("{name}:{}", records.record_line()))
            .help("convert the file, for example with `iconv -f latin1 -t utf-8`")
    })?;
    Ok(names.into_iter().map(|name| name.trim().to_owned()).collect())
}

/// Checks that a file has the columns of the split's first file.
///
/// # Errors
/// Where it has others.
pub(super) fn check_same(names: &[String], expected: &[String], span: &InputFile, first: &InputFile) -> Result<()> {
    if names == expected {
        return Ok(());
    }
    let differs = names.iter().zip(expected).position(|(a, b)| a != b);
    let how = match differs {
        Some(column) => format!("column {} is `{}`, not `{}`", column + 1, names[column], expected[column]),
        None => format!("it has {} columns, not {}", names.len(), expected.len()),
    };
    Err(Error::config(format!("{} has other columns than {}: {how}", span.name, first.name))
        .help("files of one source have one header; read others by a source of their own"))
}
