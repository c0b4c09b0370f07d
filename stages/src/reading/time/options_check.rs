//! Checks of the option `timestamp` beyond its schema.

use aqpipe_engine::config::nearest;
use aqpipe_engine::stage::Problem;

use super::format::TimeFormat;
use super::options::{TimestampOptions, TimestampTable};
use super::zone::Zone;

/// What the values of a record are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Columns of a file.
    Columns,
    /// Columns of a message.
    ColumnsOfMessages,
    /// Properties of a JSON object in a message.
    Properties,
}

impl TimestampOptions {
    /// The problems of the option, for a source whose records have such cells and whose clock is `zone`.
    #[must_use]
    pub fn check(&self, cells: Cells, zone: Option<&Zone>) -> Vec<Problem> {
        let Some(table) = self.table() else { return Vec::new() };
        let mut problems = table.check_place(cells);
        problems.extend(self.check_formats());
        problems.extend(table.check_marks());
        if table.ambiguous.is_some() && zone.is_some_and(|zone| !matches!(zone, Zone::Named(_))) {
            let message = "a clock with a fixed offset shows no time twice";
            problems.push(Problem::new(["timestamp", "ambiguous"], message).at_key().warning());
        }
        problems
    }

    fn check_formats(&self) -> Vec<Problem> {
        let is_list = self.formats().len() > 1;
        let is_joined = self.names().len() > 1;
        let problem = |(index, format): (usize, &String)| {
            let mut path = vec!["timestamp".to_owned(), "format".to_owned()];
            path.extend(is_list.then(|| index.to_string()));
            let why = match TimeFormat::new(format) {
                Ok(TimeFormat::Epoch(_)) if is_joined => {
                    let key = self.place().pop().unwrap_or_default();
                    let message =
                        format!("`{format}` is one number, and `{key}` are several texts with blanks between them");
                    return Some(Problem::new(path, message).help("name the one that has the whole time"));
                }
                Ok(_) => return None,
                Err(why) => why,
            };
            let message = format!("`{format}` is not a format that times can be read by: {why}");
            let problem = Problem::new(path, message);
            let near = if format.contains('%') { None } else { nearest(format, TimeFormat::names()) };
            Some(match near {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => problem.help(
                    "a format has a full date, such as %d/%m/%Y %H.%M.%S or %Y-%m-%dT%H:%M, or is unix, unix_ms, unix_us, unix_ns, \
                     rfc3339 or iso8601",
                ),
            })
        };
        self.formats().iter().enumerate().filter_map(problem).collect()
    }
}

impl TimestampTable {
    fn check_place(&self, cells: Cells) -> Vec<Problem> {
        let given = [
            ("column", self.column.is_some()),
            ("columns", !self.columns.is_empty()),
            ("path", self.path.is_some()),
            ("paths", !self.paths.is_empty()),
            ("from", self.from.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect();
        let mut problems = Vec::new();
        for key in &given {
            let (fits, instead) = match (cells, *key) {
                (Cells::Properties, "column" | "columns") => (false, "a JSON object has properties: `path` or `paths`"),
                (Cells::Columns | Cells::ColumnsOfMessages, "path" | "paths") => {
                    (false, "a row has columns: `column` or `columns`")
                }
                (Cells::Columns, "from") => (false, "a file has no messages: `column` or `columns`"),
                _ => (true, ""),
            };
            if !fits {
                let message = format!("`{key}` does not fit this source");
                problems.push(Problem::new(["timestamp", key], message).at_key().help(instead));
            }
        }
        if let ([first, second, ..], []) = (given.as_slice(), problems.as_slice()) {
            let message = format!("`{first}` and `{second}` exclude each other");
            problems.push(Problem::new(["timestamp", second], message).at_key());
        }
        if self.from.is_some() && self.format.is_some() {
            let message = "the time of a message is no text that has a format";
            problems.push(Problem::new(["timestamp", "format"], message).at_key());
        }
        problems
    }

    fn check_marks(&self) -> Option<Problem> {
        match (self.marks, self.interval) {
            (Some(_), None) => Some(
                Problem::new(["timestamp", "marks"], "`marks` needs the `interval` that times stand for")
                    .help("interval = \"1h\" for hourly values"),
            ),
            (None, Some(_)) => Some(
                Problem::new(["timestamp", "interval"], "`interval` needs `marks`")
                    .at_key()
                    .help("marks = \"end\" where times stand for the end of their interval, or \"begin\""),
            ),
            _ => None,
        }
    }
}
