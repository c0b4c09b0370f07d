//! Whether what came out is what has to come out, looked at while it comes and at the end.

pub(crate) mod directory;
pub(crate) mod letters;
pub(crate) mod ranges;
pub(crate) mod row;
pub(crate) mod tally;
pub(crate) mod violations;

pub(crate) use violations::{Kind, Violations};
