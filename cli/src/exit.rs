//! The exit codes of the command.

use std::process::ExitCode;

/// An exit code. The numbers are part of the command's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: everything was done.
    Done,
    /// 65 (`EX_DATAERR` of sysexits.h): every record of a bounded run became a dead letter.
    AllDeadLetters,
    /// 78 (`EX_CONFIG` of sysexits.h): the configuration is wrong; running again changes nothing.
    Config,
    /// 1: a pipeline failed; running again goes on from its last commit.
    Failed,
    /// 2: the command line is wrong.
    Usage,
}

impl Exit {
    /// The number.
    #[must_use]
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::AllDeadLetters => 65,
            Exit::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        exit.code().into()
    }
}
