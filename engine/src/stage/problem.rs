//! A mistake in a stage's configuration.

use crate::record::Fields;

/// Something wrong in a stage's configuration that its schema cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys (and indices) that lead from the stage's table to the value; empty for the table itself.
    pub path: Vec<String>,
    /// Whether to point at the last key rather than at its value.
    pub at_key: bool,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// A word under the place, such as "did you mean `max`?".
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether it only deserves a warning.
    pub warning: bool,
}

impl Problem {
    /// A problem of the value at `path`.
    pub fn new<S: Into<String>>(path: impl IntoIterator<Item = S>, message: impl Into<String>) -> Problem {
        Problem {
            path: path.into_iter().map(Into::into).collect(),
            at_key: false,
            message: message.into(),
            label: None,
            help: None,
            warning: false,
        }
    }

    /// The same, pointing at the key.
    #[must_use]
    pub fn at_key(mut self) -> Problem {
        self.at_key = true;
        self
    }

    /// The same, with a word under the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Problem {
        self.label = Some(label.into());
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same as a warning: it stops nothing.
    #[must_use]
    pub fn warning(mut self) -> Problem {
        self.warning = true;
        self
    }

    /// The problem of a field that no earlier stage yields, pointing at the value (or, `at_key`, the key) that names
    /// it, with a suggestion where a field has a similar name. `None` where the field is there, or may still come.
    pub fn unknown_field<S: Into<String>>(
        path: impl IntoIterator<Item = S>,
        name: &str,
        input: &Fields,
    ) -> Option<Problem> {
        if input.open || input.index(name).is_some() {
            return None;
        }
        let problem = Problem::new(path, format!("there is no field `{name}` here: no stage before this one has it"));
        let names = || input.names().collect::<Vec<_>>().join("`, `");
        Some(match crate::nearest::nearest(name, input.names()) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None if input.list.is_empty() => problem,
            None => problem.help(format!("the fields here are `{}`", names())),
        })
    }
}
