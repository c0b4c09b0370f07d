//! What kind of thing failed, as metrics tell it.

use std::error::Error as StdError;
use std::io;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing failed. Unlike a message it has no data in it, so that errors of a kind can be counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// A disk or a quota is full.
    DiskFull,
    /// This user may not do that, or nobody may write there.
    Permission,
    /// A file or a directory is not there.
    NotFound,
    /// A file, a disk or a connection failed in another way.
    Io,
    /// A broker refused something.
    Broker,
    /// The configuration does not fit what was found.
    Configuration,
    /// Too many records became dead letters.
    DeadLetters,
    /// A stage panicked.
    Panic,
    /// The program is wrong.
    Bug,
    /// Anything else; the log says what.
    Other,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [ErrorClass; 10] = [
        ErrorClass::DiskFull,
        ErrorClass::Permission,
        ErrorClass::NotFound,
        ErrorClass::Io,
        ErrorClass::Broker,
        ErrorClass::Configuration,
        ErrorClass::DeadLetters,
        ErrorClass::Panic,
        ErrorClass::Bug,
        ErrorClass::Other,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ErrorClass::DiskFull => "disk_full",
            ErrorClass::Permission => "permission",
            ErrorClass::NotFound => "not_found",
            ErrorClass::Io => "io",
            ErrorClass::Broker => "broker",
            ErrorClass::Configuration => "configuration",
            ErrorClass::DeadLetters => "dead_letters",
            ErrorClass::Panic => "panic",
            ErrorClass::Bug => "bug",
            ErrorClass::Other => "other",
        }
    }

    /// The class of a cause and of what is behind it, where somebody knows it.
    pub(crate) fn of_cause(cause: &(dyn StdError + 'static)) -> Option<ErrorClass> {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let known = cause.downcast_ref::<io::Error>().map(|error| ErrorClass::of_io(error.kind()));
            let told = || inventory::iter::<ErrorClassifier>().find_map(|classifier| (classifier.0)(cause));
            if let Some(class) = known.or_else(told) {
                return Some(class);
            }
            next = cause.source();
        }
        None
    }

    fn of_io(kind: io::ErrorKind) -> ErrorClass {
        use io::ErrorKind as Kind;
        match kind {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => ErrorClass::DiskFull,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => ErrorClass::Permission,
            Kind::NotFound => ErrorClass::NotFound,
            _ => ErrorClass::Io,
        }
    }
}

/// Knows the class of causes that are no errors of the system: those of a client library. Submitted to `inventory`, as stages are.
#[derive(Debug)]
pub struct ErrorClassifier(pub fn(&(dyn StdError + 'static)) -> Option<ErrorClass>);

inventory::collect!(ErrorClassifier);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_class_of_an_error_is_that_of_what_is_behind_it() {
        let io = |kind: io::ErrorKind| Error::new("cannot write").because(io::Error::from(kind));
        for (error, class) in [
            (io(io::ErrorKind::StorageFull), ErrorClass::DiskFull),
            (Error::new("cannot").because(io(io::ErrorKind::PermissionDenied)), ErrorClass::Permission),
            (io(io::ErrorKind::NotFound).in_stage("csv"), ErrorClass::NotFound),
            (Error::new("no").because(io::Error::from_raw_os_error(5)), ErrorClass::Io),
            (Error::config("wrong").because(io::Error::from_raw_os_error(5)), ErrorClass::Configuration),
            (Error::dead_letters("too many"), ErrorClass::DeadLetters),
            (Error::bug("lost"), ErrorClass::Bug),
            (Error::bug("lost").of_class(ErrorClass::Panic), ErrorClass::Panic),
            (Error::new("no").because("a word"), ErrorClass::Other),
            (Error::new("no"), ErrorClass::Other),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
        for class in ErrorClass::ALL {
            assert_eq!(serde_json::to_value(class).expect("JSON"), class.name());
        }
    }
}
