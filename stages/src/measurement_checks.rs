//! Checks of the field names in a transform's options.

use aqpipe_engine::record::{Fields, Kind};
use aqpipe_engine::stage::Problem;

/// The problem of a name that is no measurement: no earlier stage yields it, or it holds text. `at_key` where the name is
/// the last key of `path` and not its value.
pub(crate) fn check_measurement(path: &[&str], name: &str, input: &Fields, at_key: bool) -> Option<Problem> {
    let problem = Problem::unknown_field(path.iter().copied(), name, input).or_else(|| {
        let text = input.get(name).is_some_and(|field| field.kind == Kind::Text);
        text.then(|| {
            Problem::new(path.iter().copied(), format!("the field `{name}` holds text, not numbers"))
                .help("name a field of numbers")
        })
    })?;
    Some(if at_key { problem.at_key() } else { problem })
}

/// The problems of a list of names under the key `key`: those that are no measurement, or are listed twice.
pub(crate) fn check_measurements(key: &str, names: &[String], input: &Fields) -> Vec<Problem> {
    check_measurements_at(&[key], names, input)
}

/// The same of a list at a path.
pub(crate) fn check_measurements_at(path: &[&str], names: &[String], input: &Fields) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = index.to_string();
        let at = [path, &[&*at]].concat();
        if names[..index].contains(name) {
            problems.push(Problem::new(at, format!("the field `{name}` is listed twice")));
        } else {
            problems.extend(check_measurement(&at, name, input, false));
        }
    }
    problems
}
