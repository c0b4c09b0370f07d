//! Columns of marks in files that a pipeline wrote.

use crate::codec::csv::MARK_COLUMNS;

/// What is to be done to take them in.
pub(super) const OWN_MARKS_HELP: &str = "a cell that failed a check there would be a gap here. Write the file with `marks = \"columns\"` in the [sink] of that pipeline, and \
     name the flags here, a field each: flags = { NO2 = { column = \"NO2_qc\", good = [1], suspect = [3], fail = [4], missing = \
     [9] } }; or hand records on by a topic, which keeps all marks";

/// Whether a file has these columns.
pub(super) fn has_own_marks<S: AsRef<str>>(names: &[S]) -> bool {
    MARK_COLUMNS.into_iter().all(|mark| names.iter().any(|name| name.as_ref() == mark))
}

/// What is said of them.
pub(super) fn own_marks() -> String {
    format!(
        "the columns `{}` are marks of the pipeline that wrote the file, which are not read",
        MARK_COLUMNS.join("`, `")
    )
}
