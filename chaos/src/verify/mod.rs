//! The verifier: compares the output with what the dataset has to become.

pub(crate) mod assignment;
pub(crate) mod dead_letters;
pub(crate) mod file_range;
pub(crate) mod output_dir;
pub(crate) mod output_record;
pub(crate) mod tracker;
pub(crate) mod violations;

pub(crate) use violations::{ViolationKind, Violations};
