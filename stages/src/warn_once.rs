//! Warnings that are given once, not for each batch or each split.
//!
//! Those of one place in the code differ in their subject only. The log holds back most of them where they are many, as it does with
//! repeated messages: their field `alike` says which belong together.

use std::collections::BTreeSet;
use std::panic::Location;

use parking_lot::Mutex;

/// How many subjects are remembered: records may bring names without limit.
const SUBJECTS_MAX: usize = 1_000;

/// The subjects that a warning was given for.
#[derive(Debug, Default)]
pub(crate) struct WarnOnce(Mutex<BTreeSet<String>>);

impl WarnOnce {
    /// Warns, unless there was a warning for this subject.
    #[track_caller]
    pub(crate) fn warn(&self, message: impl FnOnce() -> String, subject: &str) {
        let mut subjects = self.0.lock();
        if subjects.len() < SUBJECTS_MAX && subjects.insert(subject.to_owned()) {
            tracing::warn!(alike = place(Location::caller()), "{}", message());
        }
    }

    /// Says something that is no warning, unless it was said before of the same subject. Warnings are given all the same.
    #[track_caller]
    pub(crate) fn info(&self, message: &str, subject: &str) {
        let mut subjects = self.0.lock();
        if subjects.len() < SUBJECTS_MAX && subjects.insert(format!("info: {subject}")) {
            tracing::info!(alike = place(Location::caller()), "{message}");
        }
    }

    /// Warns of each name that is written as another one.
    pub(crate) fn warn_renamed(&self, names: &[impl AsRef<str>], written: &[impl AsRef<str>]) {
        let pairs = names.iter().map(AsRef::as_ref).zip(written.iter().map(AsRef::as_ref));
        for (name, written) in pairs.filter(|(name, written)| name != written) {
            let message = || {
                format!(
                    "records have a field `{name}`, which is another column's name here: it is written as `{written}`"
                )
            };
            self.warn(message, name);
        }
    }
}

fn place(caller: &Location<'_>) -> String {
    format!("{}:{}", caller.file(), caller.line())
}
