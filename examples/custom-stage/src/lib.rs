//! Two transforms in a crate of their own, as a third party would write them: `clamp` keeps nothing between records,
//! [`hampel`] holds rows back and keeps state. `docs/stages.md` explains both.

pub mod clamp;
pub mod hampel;
