//! Checks of the options beyond their JSON Schema.

use std::collections::BTreeSet;

use aqpipe_engine::config::nearest;
use aqpipe_engine::record::{Field, Fields, TIMESTAMP};
use aqpipe_engine::stage::{Problem, Repeat};

use super::cell_text;
use super::config::CsvSourceConfig;
use crate::input::playback::Playback;
use crate::reading::FlagSource;
use crate::reading::time::{Cells, Zone};

/// Lines before the records: a file that has more of them is no table.
const SKIPPED_LINES_MAX: u32 = 10_000;

impl CsvSourceConfig {
    /// The fields that the options promise, or all problems of the options.
    pub(super) fn checked(&self) -> Result<Fields, Vec<Problem>> {
        let mut problems = self.check_dialect();
        problems.extend(self.check_columns());
        problems.extend(self.check_timestamp());
        problems.extend(self.check_key());
        problems.extend(self.check_fields());
        problems.extend(self.check_flags());
        problems.extend(self.check_growing());
        problems.extend(self.replay.iter().flat_map(Playback::check));
        if self.max_records == Some(0) {
            problems.push(
                Problem::new(["max_records"], "at least 1 record must be read")
                    .help("leave it out to read all records"),
            );
        }
        if problems.iter().any(|problem| !problem.warning) { Err(problems) } else { Ok(self.promised()) }
    }

    fn promised(&self) -> Fields {
        let field = |name: &str| if self.is_text(name) { Field::text(name) } else { Field::number(name) };
        Fields {
            list: self.declared().map(field).collect(),
            key: self.key.as_ref().map(|key| key.name().as_ref().into()),
            score: None,
            open: !self.is_declared(),
        }
    }

    fn check_dialect(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.is_empty() {
            problems.push(Problem::new(["path"], "the path is empty"));
        } else if let Err(error) = glob::Pattern::new(&self.path) {
            problems.push(Problem::new(["path"], format!("the path is not a valid glob: {}", error.msg)));
        }
        problems.extend(self.check_text());
        let quote = self.quote.chars().next();
        let plain = |c: char| c.is_ascii() && !matches!(c, '\n' | '\r' | '\0') && !c.is_ascii_alphanumeric();
        if !plain(self.delimiter) || matches!(self.delimiter, '+' | '-') {
            problems.push(Problem::new(["delimiter"], "the delimiter must be an ASCII character that no number has"));
        }
        if self.delimiter == self.decimal && (self.decimal == '.' || self.quote.is_empty()) {
            problems.push(Problem::new(["delimiter"], "the delimiter must not be the decimal mark"));
        }
        if self.quote.chars().count() > 1 || quote.is_some_and(|quote| !plain(quote)) {
            problems.push(Problem::new(["quote"], "the quote must be one ASCII character, or empty"));
        } else if quote == Some(self.delimiter) {
            problems.push(Problem::new(["quote"], "the quote must not be the delimiter"));
        }
        problems.extend(self.numbers().check());
        problems
    }

    /// Checks how the text of the files is to be read.
    fn check_text(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match cell_text::encoding(&self.encoding) {
            Err(why) => problems.push(
                Problem::new(["encoding"], why)
                    .help("names are those of the web: \"utf-8\", \"windows-1252\", \"iso-8859-2\", \"shift_jis\", \"gb18030\", \"utf-16le\""),
            ),
            Ok(encoding) => {
                let marks = [("delimiter", Some(self.delimiter)), ("quote", self.quote.chars().next())];
                for (option, mark) in marks.into_iter().filter_map(|(option, mark)| mark.map(|mark| (option, mark))) {
                    if u8::try_from(mark).is_ok_and(|mark| cell_text::may_be_inside(encoding, mark)) {
                        let what = format!("`{mark}` may be a part of other characters in {}", encoding.name());
                        problems.push(Problem::new([option], what).help("convert the file to UTF-8"));
                    }
                }
            }
        }
        if let Some(comment) = &self.comment {
            let is_plain = comment.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
            let is_cell =
                comment.starts_with([self.delimiter, ' ']) || comment.starts_with(|c: char| c.is_ascii_alphanumeric());
            if comment.is_empty() || !is_plain || is_cell || self.quote.starts_with(comment.as_str()) {
                let what = "a comment must begin with a character of ASCII by which no record begins";
                problems.push(Problem::new(["comment"], what).help("comment = \"#\""));
            }
        }
        if self.skip_after_header > 0 && !self.has_header() {
            problems.push(
                Problem::new(["skip_after_header"], "there is no header").at_key().help(
                    "`skip_lines` passes over lines at the beginning; `header = true` says that there is a header",
                ),
            );
        }
        for (option, lines) in [("skip_lines", self.skip_lines), ("skip_after_header", self.skip_after_header)] {
            if lines > SKIPPED_LINES_MAX {
                problems.push(Problem::new([option], format!("at most {SKIPPED_LINES_MAX} lines can be passed over")));
            }
        }
        problems
    }

    /// Checks options that say how files that grow are read.
    fn check_growing(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.grows() && self.parallel {
            problems.push(
                Problem::new(["parallel"], "files that grow are read one after the other, as what is new comes")
                    .help("leave it out, or give each file a pipeline of its own"),
            );
        }
        if self.rerun == Repeat::New && !self.follow && self.max_records.is_some() {
            problems.push(Problem::new(["max_records"], "`rerun = \"new\"` carries all that is new").at_key());
        }
        problems
    }

    fn check_columns(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.header == Some(false) && self.columns.is_empty() {
            problems.push(
                Problem::new(["header"], "without a header, `columns` must name the columns")
                    .help("columns = [\"Date\", \"Time\", …], with \"\" for a column to be ignored"),
            );
        }
        let mut seen = BTreeSet::new();
        for (index, name) in self.columns.iter().enumerate() {
            if !name.is_empty() && !seen.insert(name) {
                problems.push(Problem::new(["columns", &index.to_string()], format!("`{name}` is named twice")));
            }
        }
        let mut targets = BTreeSet::new();
        for (name, target) in &self.rename {
            if target.is_empty() {
                problems.push(Problem::new(["rename", name], "the new name is empty"));
            } else if !targets.insert(target) {
                problems.push(Problem::new(["rename", name], format!("two columns would be called `{target}`")));
            }
        }
        problems
    }

    fn check_timestamp(&self) -> Vec<Problem> {
        let cells = if self.of_messages { Cells::ColumnsOfMessages } else { Cells::Columns };
        // A file has a clock; messages may be without one.
        let zone = if self.of_messages && self.timezone.is_empty() {
            Ok(Zone::default())
        } else {
            Zone::checked(&self.timezone)
        };
        let mut problems = self.timestamp.check(cells, zone.as_ref().ok());
        if problems.iter().all(|problem| problem.warning) {
            let path = self.timestamp.place();
            problems.extend(self.timestamp.names().iter().filter_map(|name| self.unknown_column(&path, name)));
        }
        problems.extend(zone.err());
        problems
    }

    fn check_key(&self) -> Vec<Problem> {
        let Some(key) = &self.key else { return Vec::new() };
        let mut problems = key.check(self.of_messages);
        for (path, column) in key.column_places().filter(|(_, column)| !column.is_empty()) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            problems.extend(self.unknown_column(&path, column));
        }
        problems
    }

    fn check_fields(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (list, names) in [("fields", &self.fields), ("text_fields", &self.text_fields)] {
            for (index, name) in names.iter().enumerate() {
                let path = [list, &index.to_string()];
                problems.extend(self.unknown_column(&path, name));
                problems.extend(self.field_conflict(name).map(|why| Problem::new(path, why)));
                if names[..index].contains(name) {
                    problems.push(Problem::new(path, format!("`{name}` is named twice")));
                }
            }
        }
        problems
    }

    fn check_flags(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (field, flags) in &self.flags {
            problems.extend(flags.check(field));
            let path = ["flags", field, "column"];
            match &flags.column {
                FlagSource::Name(name) => problems.extend(self.unknown_column(&path, name)),
                FlagSource::Number(number) if !self.columns.is_empty() && *number as usize > self.columns.len() => {
                    let message = format!("`columns` has {} columns", self.columns.len());
                    problems.push(Problem::new(path, message));
                }
                FlagSource::Number(_) => {}
            }
            if self.is_text(field) {
                problems
                    .push(Problem::new(["flags", field], format!("`{field}` is text, which has no flags")).at_key());
            } else if self.is_declared() && !self.fields.contains(field) {
                let problem = Problem::new(["flags", field], format!("`fields` has no `{field}`")).at_key();
                problems.push(match nearest(field, self.fields.iter().map(String::as_str)) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
        problems
    }

    /// Why a field cannot have this name.
    pub(super) fn field_conflict(&self, name: &str) -> Option<String> {
        let key = self.key.as_ref();
        if name.is_empty() {
            Some("a field must have a name".to_owned())
        } else if self.timestamp.names().contains(&name) {
            Some(format!("`{name}` is a column of the timestamp and cannot be a field as well"))
        } else if name == TIMESTAMP {
            Some(format!("`{name}` is reserved for the time of a record"))
        } else if key.is_some_and(|key| key.name() == name || key.columns().iter().any(|column| column == name)) {
            Some(format!("`{name}` is the key and cannot be a field as well"))
        } else {
            None
        }
    }

    /// The problem of a column that `columns` does not list.
    fn unknown_column(&self, path: &[&str], name: &str) -> Option<Problem> {
        let columns = || self.columns.iter().map(|column| self.rename.get(column).unwrap_or(column).as_str());
        if self.columns.is_empty() || columns().any(|column| column == name) {
            return None;
        }
        let problem = Problem::new(path.iter().copied(), format!("`columns` has no `{name}`"));
        Some(match nearest(name, columns().filter(|column| !column.is_empty())) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        })
    }
}
