//! What a stage is for.

use std::fmt;

/// What a stage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It reads records.
    Source,
    /// It changes them.
    Transform,
    /// It writes them.
    Sink,
    /// It writes the records that could not be carried.
    DeadLetter,
}

impl Role {
    /// All roles, in the order of the data.
    pub const ALL: [Role; 4] = [Role::Source, Role::Transform, Role::Sink, Role::DeadLetter];

    /// The key of its table in a pipeline.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Transform => "transform",
            Role::Sink => "sink",
            Role::DeadLetter => "dead_letter",
        }
    }

    /// The header of its table in a pipeline.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Role::Source => "[source]",
            Role::Transform => "[[transform]]",
            Role::Sink => "[sink]",
            Role::DeadLetter => "[dead_letter]",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::DeadLetter => "dead letter",
            other => other.key(),
        })
    }
}
