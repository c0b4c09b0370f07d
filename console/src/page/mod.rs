//! The live page.

mod placeholder;

pub use placeholder::{ASSETS, Asset, CONTENT_SECURITY_POLICY, Choice, Model, Moment, View, index, panels};
