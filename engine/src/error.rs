//! The error type of the engine and its stages.

use std::fmt;

use crate::error_class::ErrorClass;

/// The result type of the engine and its stages.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure: what could not be done, where (stage and place in the input), why (the cause) and what to do about it.
///
/// The type is opaque, because an error is handled where it happens and only printed everywhere else.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    class: Option<ErrorClass>,
    is_counted: bool,
    message: String,
    stage: Option<String>,
    place: Option<String>,
    help: Option<String>,
    cause: Option<Cause>,
    lines: Vec<String>,
}

/// Who must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The operator: the input, the disk or a broker failed.
    Failed,
    /// The author of the pipeline: the configuration does not fit what was found.
    Config,
    /// The developers: the program is wrong.
    Bug,
    /// Nobody: no reader of the output is left, so the pipeline stops as if asked to.
    Stop,
    /// The author of the pipeline or the operator: too many records became dead letters, none is lost.
    DeadLetters,
}

impl Error {
    /// An error with a message: lower case, no full stop.
    pub fn new(message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind: ErrorKind::Failed,
            class: None,
            is_counted: false,
            message: message.into(),
            stage: None,
            place: None,
            help: None,
            cause: None,
            lines: Vec::new(),
        }))
    }

    /// An error that a change of the configuration corrects.
    pub fn config(message: impl Into<String>) -> Error {
        let mut error = Error::new(message);
        error.0.kind = ErrorKind::Config;
        error
    }

    /// An error that only a change of the program corrects.
    pub fn bug(message: impl Into<String>) -> Error {
        let mut error = Error::new(message);
        error.0.kind = ErrorKind::Bug;
        error
    }

    /// Not a failure: no reader of the output is left, so the pipeline stops.
    pub fn stop(message: impl Into<String>) -> Error {
        let mut error = Error::new(message);
        error.0.kind = ErrorKind::Stop;
        error
    }

    /// Too many records became dead letters, none is lost.
    pub fn dead_letters(message: impl Into<String>) -> Error {
        let mut error = Error::new(message);
        error.0.kind = ErrorKind::DeadLetters;
        error
    }

    /// The error with its cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    /// The error with lines below it: the output of another program, a list of mistakes.
    #[must_use]
    pub fn lines(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Error {
        self.0.lines.extend(lines.into_iter().map(Into::into));
        self
    }

    /// The error with the stage it came from, unless it has one.
    #[must_use]
    pub fn in_stage(mut self, stage: impl Into<String>) -> Error {
        self.0.stage.get_or_insert_with(|| stage.into());
        self
    }

    /// The error with its place in the input, unless it has one: `data.csv:17`, `topic/2@1042`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Error {
        self.0.place.get_or_insert_with(|| place.into());
        self
    }

    /// The error with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Error {
        self.0.help = Some(help.into());
        self
    }

    /// The error with what to do about it, unless it says so already.
    #[must_use]
    pub fn or_help(mut self, help: impl Into<String>) -> Error {
        self.0.help.get_or_insert_with(|| help.into());
        self
    }

    /// The error with its class, where that does not follow from its cause.
    #[must_use]
    pub fn of_class(mut self, class: ErrorClass) -> Error {
        self.0.class = Some(class);
        self
    }

    /// What kind of thing failed.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        let of_kind = match self.0.kind {
            ErrorKind::Config => Some(ErrorClass::Configuration),
            ErrorKind::Bug => Some(ErrorClass::Bug),
            ErrorKind::DeadLetters => Some(ErrorClass::DeadLetters),
            ErrorKind::Failed | ErrorKind::Stop => None,
        };
        let of_cause = || match self.cause::<Error>() {
            // It keeps what is behind it to itself.
            Some(cause) => Some(cause.class()),
            None => ErrorClass::of_cause(self.0.cause.as_deref()?),
        };
        self.0.class.or(of_kind).or_else(of_cause).unwrap_or(ErrorClass::Other)
    }

    /// The stage it came from, where it came from one.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// Whether nobody has counted it yet. From now on somebody has.
    pub(crate) fn mark_counted(&mut self) -> bool {
        !std::mem::replace(&mut self.0.is_counted, true)
    }

    /// Who has to act.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The cause, where it is one of that type.
    #[must_use]
    pub fn cause<T: std::error::Error + 'static>(&self) -> Option<&T> {
        self.0.cause.as_deref()?.downcast_ref()
    }

    /// The error on one line, without the lines below it.
    #[must_use]
    pub fn headline(&self) -> String {
        struct Headline<'a>(&'a Error);
        impl fmt::Display for Headline<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_headline(f)
            }
        }
        Headline(self).to_string()
    }

    /// The lines below it.
    #[must_use]
    pub fn below(&self) -> &[String] {
        &self.0.lines
    }

    /// The message alone.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl Error {
    fn write_headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.kind == ErrorKind::Bug {
            f.write_str("this is a mistake in aqpipe: ")?;
        }
        if let Some(stage) = &self.0.stage {
            write!(f, "{stage}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(place) = &self.0.place {
            write!(f, " at {place}")?;
        }
        let mut cause = self.0.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            // An `Error` prints its own causes.
            cause = if error.is::<Error>() { None } else { error.source() };
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_headline(f)?;
        self.0.lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Causes are part of the message, so that no caller has to walk them to say what happened.
        None
    }
}
