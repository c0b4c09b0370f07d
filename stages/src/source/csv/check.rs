//! Checks of the options beyond their JSON Schema.

use std::collections::BTreeSet;

use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::stage::{Problem, Repeat};

use super::cell_text;
use super::column_plan::ColumnPlan;
use super::config::CsvSourceConfig;
use crate::input::playback::Playback;
use crate::reading::time::{Cells, TimestampOptions, Zone};

/// Lines before the records: a file that has more of them is no table.
const SKIPPED_LINES_MAX: u32 = 10_000;

impl CsvSourceConfig {
    /// The fields that the options promise, or all problems of the options.
    pub(super) fn checked(&self) -> Result<Fields, Vec<Problem>> {
        let problems = self.problems();
        if problems.iter().any(|problem| !problem.warning) { Err(problems) } else { Ok(self.promised()) }
    }

    /// All problems of the options, warnings too.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.check_dialect();
        problems.extend(self.check_columns());
        problems.extend(self.check_renamed());
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
        problems
    }

    fn promised(&self) -> Fields {
        // What stands in no file's header is known before; the kinds are not.
        if !self.is_declared()
            && !self.columns.is_empty()
            && let Ok(plan) = ColumnPlan::new(&self.columns, self, &BTreeSet::new())
        {
            return plan.layout(self);
        }
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
            // The one that differs from its default was written.
            let option = if self.delimiter == ',' { "decimal" } else { "delimiter" };
            problems.push(Problem::new([option], "the delimiter must not be the decimal mark"));
        }
        if self.quote.chars().count() > 1 || quote.is_some_and(|quote| !plain(quote)) {
            problems.push(Problem::new(["quote"], "the quote must be one ASCII character, or empty"));
        } else if quote == Some(self.delimiter) {
            let option = if self.quote == "\"" { "delimiter" } else { "quote" };
            problems.push(Problem::new([option], "the quote must not be the delimiter"));
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
            // Where the option is absent, it is `columns` that lacks the column of that name.
            let is_absent = self.timestamp == TimestampOptions::default();
            let path = if is_absent { vec!["columns"] } else { self.timestamp.place() };
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
}
