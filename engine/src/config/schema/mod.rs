//! A table compared with its JSON Schema, and the differences in words of a pipeline.

mod check;
mod demand;
mod references;
mod target;
mod type_set;
mod wording;

pub(super) use check::{check, rejected_by_type};
pub(super) use references::{non_null, resolve, subschemas};
pub(super) use target::DiagnosticTarget;
pub(super) use type_set::TypeSet;
