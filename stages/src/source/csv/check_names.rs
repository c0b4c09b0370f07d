//! Checks of the options that name columns and fields.

use std::collections::BTreeSet;

use aqpipe_engine::config::nearest;
use aqpipe_engine::record::TIMESTAMP;
use aqpipe_engine::stage::Problem;

use super::config::CsvSourceConfig;
use crate::reading::FlagSource;

impl CsvSourceConfig {
    pub(super) fn check_columns(&self) -> Vec<Problem> {
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
        problems
    }

    /// Checks the other names of columns.
    pub(super) fn check_renamed(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (mut targets, used) = (BTreeSet::new(), self.wanted());
        for (name, target) in &self.rename {
            let problem = |message: String| Problem::new(["rename", name], message);
            let keeps_name = |column: &String| column == target && !self.rename.contains_key(column);
            if target.is_empty() {
                problems.push(problem("the new name is empty".to_owned()));
            } else if !targets.insert(target) {
                problems.push(problem(format!("two columns would be called `{target}`")));
            } else if !self.columns.is_empty() && !self.columns.contains(name) {
                let missing = problem(format!("`columns` has no `{name}`")).at_key();
                problems.push(with_nearest(missing, name, self.columns.iter().map(String::as_str)));
            } else if self.columns.iter().any(keeps_name) {
                problems.push(problem(format!("two columns would be called `{target}`, for `columns` has one")));
            } else if target == TIMESTAMP && !self.timestamp.names().contains(&TIMESTAMP) {
                problems.push(problem(format!("`{target}` is reserved for the time of a record")));
            } else if self.is_declared() && ![name, target].iter().any(|name| used.contains(&name.as_str())) {
                let unused = problem(format!("no option asks for `{target}`: the column is not read"));
                problems.push(with_nearest(unused, target, used.iter().copied()).warning());
            }
        }
        problems
    }

    pub(super) fn check_fields(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (list, names) in [("fields", &self.fields), ("text_fields", &self.text_fields)] {
            for (index, name) in names.iter().enumerate() {
                let path = [list, &index.to_string()];
                problems.extend(self.unknown_column(&path, name));
                problems.extend(self.field_conflict(name).map(|why| Problem::new(path, why)));
                if list == "text_fields" && self.fields.contains(name) {
                    let message = format!("`{name}` is one of `fields` too, which are measurements");
                    problems.push(Problem::new(path, message).help("leave it out of one of the two"));
                }
                if names[..index].contains(name) {
                    problems.push(Problem::new(path, format!("`{name}` is named twice")));
                }
            }
        }
        problems
    }

    pub(super) fn check_flags(&self) -> Vec<Problem> {
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
                problems.push(with_nearest(problem, field, self.fields.iter().map(String::as_str)));
            } else {
                problems.extend(self.field_conflict(field).map(|why| Problem::new(["flags", field], why).at_key()));
                problems.extend(self.unknown_column(&["flags", field], field).map(Problem::at_key));
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

    /// The problem of a column that `columns` does not list, or that has another name.
    pub(super) fn unknown_column(&self, path: &[&str], name: &str) -> Option<Problem> {
        if let Some(meant) = self.rename.get(name).filter(|_| !self.rename.values().any(|target| target == name)) {
            let message = format!("`rename` calls the column `{name}` something else");
            return Some(Problem::new(path.iter().copied(), message).label(format!("`{meant}` is meant?")));
        }
        let columns = || self.columns.iter().map(|column| self.rename.get(column).unwrap_or(column).as_str());
        if self.columns.is_empty() || columns().any(|column| column == name) {
            return None;
        }
        let problem = Problem::new(path.iter().copied(), format!("`columns` has no `{name}`"));
        Some(with_nearest(problem, name, columns().filter(|column| !column.is_empty())))
    }
}

/// A problem of a name, with the one that is like it.
fn with_nearest<'a>(problem: Problem, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Problem {
    match nearest(name, names) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    }
}
