//! For authors of sources: a check that cells are read as everywhere else.

use aqpipe_engine::record::{CellQuality, Flag};

/// A cell as it is written, and its value: `Some(None)` where it says that there is none, `None` where it cannot be read.
const CELLS: [(&str, Option<Option<f64>>); 21] = [
    ("2.5", Some(Some(2.5))),
    ("-200", Some(Some(-200.0))),
    ("1e3", Some(Some(1_000.0))),
    ("\u{2212}3.5", Some(Some(-3.5))),
    ("\u{2013}3.5", Some(Some(-3.5))),
    ("0", Some(Some(0.0))),
    ("", Some(None)),
    ("NA", Some(None)),
    ("N/A", Some(None)),
    ("#N/A", Some(None)),
    ("NaN", Some(None)),
    ("nan", Some(None)),
    ("null", Some(None)),
    ("None", Some(None)),
    ("-", Some(None)),
    ("---", Some(None)),
    ("2,5", None),
    ("<0.5", None),
    ("14#", None),
    ("ERR", None),
    ("1 234", None),
];

/// Checks that a source reads the cells of a declared measurement as the sources that ship do where no option is set.
///
/// `read` is given the text of a cell, and returns the value and the quality that the source makes of it.
///
/// # Panics
/// Where a cell is read otherwise: a number is a value that is good or unknown, a word for "no value" is missing, and anything
/// else has no value, the flag `fail` and the test `syntax`.
pub fn check_cells(mut read: impl FnMut(&str) -> (Option<f64>, CellQuality)) {
    for (text, expected) in CELLS {
        let (value, quality) = read(text);
        let is_right = match expected {
            Some(Some(number)) => value == Some(number) && matches!(quality.flag(), Flag::Good | Flag::Unknown),
            Some(None) => value.is_none() && quality == CellQuality::MISSING,
            None => value.is_none() && quality == CellQuality::UNREADABLE,
        };
        assert!(is_right, "the cell {text:?} is read as {value:?} with {quality:?}");
    }
}
