//! What transforms ask of a layout: which of its fields are measurements, and where they are.

use std::sync::Arc;

use aqpipe_engine::record::{Fields, Kind};
use aqpipe_engine::stage::Problem;

/// The problem of a name that is no measurement here: no earlier stage yields it, or it holds text. `at_key` where
/// the name is the last key of `path` and not its value.
pub(crate) fn no_measurement(path: &[&str], name: &str, input: &Fields, at_key: bool) -> Option<Problem> {
    let problem = Problem::unknown_field(path.iter().copied(), name, input).or_else(|| {
        let text = input.get(name).is_some_and(|field| field.kind == Kind::Text);
        text.then(|| {
            Problem::new(path.iter().copied(), format!("the field `{name}` holds text, not numbers"))
                .help("name a field of numbers")
        })
    })?;
    Some(if at_key { problem.at_key() } else { problem })
}

/// Problems of a list of names under the key `key`: no measurement, or named twice.
pub(crate) fn check_list(key: &str, names: &[String], input: &Fields) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = index.to_string();
        if names[..index].contains(name) {
            problems.push(Problem::new([key, &at], format!("the field `{name}` is listed twice")));
        } else {
            problems.extend(no_measurement(&[key, &at], name, input, false));
        }
    }
    problems
}

/// What a stage worked out for a layout, made anew when the layout changes.
#[derive(Debug)]
pub(crate) struct Bound<T> {
    made: Option<(Arc<Fields>, T)>,
}

impl<T> Default for Bound<T> {
    fn default() -> Self {
        Bound { made: None }
    }
}

impl<T> Bound<T> {
    /// What belongs to `layout`, made by `make` unless it is there.
    pub(crate) fn to(&mut self, layout: &Arc<Fields>, make: impl FnOnce(&Fields) -> T) -> &T {
        // `Arc` compares the pointers first, so that this costs nothing on the way through.
        let same = self.made.as_ref().is_some_and(|(known, _)| known == layout);
        if !same {
            self.made = None;
        }
        &self.made.get_or_insert_with(|| (Arc::clone(layout), make(layout))).1
    }
}
