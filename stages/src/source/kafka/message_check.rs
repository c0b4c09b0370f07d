//! Checks of the options that say what is read from messages.

use std::collections::{BTreeMap, BTreeSet};

use aqpipe_engine::config::nearest;
use aqpipe_engine::stage::Problem;

use crate::codec::json::{QUALITY, is_json_pointer, with_dots};
use crate::reading::time::TimestampOptions;
use crate::reading::{FlagOptions, FlagSource, KeyOptions};

/// The names that a configuration gives to what is in messages.
pub(super) struct MessageNames<'a> {
    pub(super) timestamp: &'a TimestampOptions,
    pub(super) key: Option<&'a KeyOptions>,
    pub(super) fields: &'a [String],
    pub(super) text_fields: &'a [String],
    pub(super) rename: &'a BTreeMap<String, String>,
    pub(super) flags: &'a BTreeMap<String, FlagOptions>,
    pub(super) record: Option<&'a str>,
}

/// A name, and its place in the configuration.
type Named<'a> = (Vec<String>, &'a str);

impl<'a> MessageNames<'a> {
    /// The problems of names where messages are objects.
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = self.key.map(|key| key.check(true)).unwrap_or_default();
        problems.extend(self.check_used());
        problems.extend(self.check_renamed());
        problems.extend(self.check_flags());
        problems.extend(self.record.and_then(|record| pointer_problem(vec!["record".to_owned()], record)));
        problems
    }

    fn fields(&self) -> impl Iterator<Item = Named<'a>> {
        [("fields", self.fields), ("text_fields", self.text_fields)].into_iter().flat_map(|(list, names)| {
            let place = move |index: usize| vec![list.to_owned(), index.to_string()];
            names.iter().enumerate().map(move |(index, name)| (place(index), name.as_str()))
        })
    }

    /// The timestamp, the parts of the key and the fields are different properties.
    fn check_used(&self) -> Vec<Problem> {
        let place: Vec<String> = self.timestamp.place().into_iter().map(str::to_owned).collect();
        let timestamp = self.timestamp.names().into_iter().map(|name| (false, (place.clone(), name)));
        let key: Vec<Named<'a>> = self.key.iter().flat_map(|key| key.column_places()).collect();
        let key_name = self.key.map(KeyOptions::name);
        let (mut seen, mut problems) = (BTreeSet::new(), Vec::new());
        for (is_field, (place, name)) in
            timestamp.chain(key.into_iter().map(|key| (false, key))).chain(self.fields().map(|field| (true, field)))
        {
            if name.is_empty() {
                if is_field || place[0] == "timestamp" {
                    problems.push(Problem::new(place, "the name is empty"));
                }
            } else if !seen.insert(with_dots(name)) {
                problems.push(Problem::new(place, format!("the property `{name}` is used twice")));
            } else if is_field && key_name.as_deref() == Some(name) {
                problems.push(Problem::new(
                    place,
                    format!("`{name}` is the name of the key, and cannot be a field as well"),
                ));
            } else if name == QUALITY {
                problems.push(
                    Problem::new(place, format!("`{name}` holds the marks of a record and cannot be anything else"))
                        .help("`rename` calls it something else; no marks are read then"),
                );
            } else if let Some(meant) = self.rename.get(name) {
                let message = format!("`rename` calls the property `{name}` something else");
                problems.push(Problem::new(place, message).label(format!("`{meant}` is meant?")));
            } else {
                problems.extend(pointer_problem(place, name));
            }
        }
        problems
    }

    fn check_flags(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let times = self.timestamp.names();
        let is_time = |name: &String| times.iter().any(|time| *time == *name);
        let is_declared = !self.fields.is_empty() || !self.text_fields.is_empty();
        for (field, flags) in self.flags {
            problems.extend(flags.check(field));
            let place = || vec!["flags".to_owned(), field.clone(), "column".to_owned()];
            match &flags.column {
                FlagSource::Number(_) => problems.push(
                    Problem::new(place(), "the properties of an object have names, and no numbers")
                        .help("name the property with the codes, by its path if it is inside of an object"),
                ),
                FlagSource::Name(name) => {
                    let is_key = self.key.is_some_and(|key| key.columns().contains(name));
                    if name.is_empty() {
                        problems.push(Problem::new(place(), "the name is empty"));
                    } else if is_time(name) || is_key {
                        problems.push(Problem::new(place(), format!("the property `{name}` holds no codes")));
                    }
                    problems.extend(pointer_problem(place(), name));
                }
            }
            let at_field = |message: String| Problem::new(["flags", field.as_str()], message).at_key();
            if self.text_fields.contains(field) {
                problems.push(at_field(format!("`{field}` is text, which has no flags")));
            } else if is_declared && !self.fields.contains(field) {
                let problem = at_field(format!("`fields` has no `{field}`"));
                problems.push(match nearest(field, self.fields.iter().map(String::as_str)) {
                    Some(near) => problem.label(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
        problems
    }

    fn check_renamed(&self) -> Vec<Problem> {
        let (mut targets, mut problems) = (BTreeSet::new(), Vec::new());
        for (name, meant) in self.rename {
            let place = || ["rename", name.as_str()];
            if name.is_empty() {
                problems.push(Problem::new(place(), "a property without a name cannot be renamed").at_key());
            } else if meant.is_empty() {
                problems.push(Problem::new(place(), "the new name is empty"));
            } else if !targets.insert(meant) {
                problems.push(Problem::new(place(), format!("two properties would be called `{meant}`")));
            } else {
                problems.extend(pointer_problem(vec!["rename".to_owned(), name.clone()], name).map(Problem::at_key));
            }
        }
        problems
    }
}

/// Problems of options that the format of the messages does not have: their names, and whether each is set.
pub(super) fn check_unused(options: &[(&'static str, bool)], format: &str, why: &str) -> Vec<Problem> {
    let unused = |(name, _): &(&'static str, bool)| {
        Problem::new([*name], format!("messages of `format = \"{format}\"` {why}")).at_key()
    };
    options.iter().filter(|(_, is_set)| *is_set).map(unused).collect()
}

fn pointer_problem(place: Vec<String>, name: &str) -> Option<Problem> {
    (name.starts_with('/') && !is_json_pointer(name)).then(|| {
        Problem::new(place, format!("`{name}` is no JSON Pointer: `~` stands before 0 or 1 only"))
            .help("`~0` is the character ~ in a name, and `~1` the character /")
    })
}
