//! From TOML text to a checked pipeline, or diagnostics with their places.
//!
//! The way of a file: text, parsed with the place of every key and value (`node`); the environment expanded inside
//! string values (`expand`); what the command line sets (`overrides`); each table compared with its JSON Schema
//! (`schema`) and read into its type; and each stage checked against the fields that reach it (`propagate`). Nothing stops
//! at the first mistake except a syntax error: all [`Diagnostics`] come at once, in the order of the text.

mod assemble;
mod content_hash;
mod diagnostics;
mod document;
mod editor_schema;
mod expand;
mod load;
mod masked;
mod node;
mod options;
mod overrides;
mod pipeline;
mod propagate;
mod schema;
mod secret;
mod settings;
mod source_map;
mod stage_tables;

pub use crate::monitor::{AlertSettings, MonitorSettings};
pub use crate::nearest::nearest;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use editor_schema::pipeline_schema;
pub use load::{Loaded, Loader};
pub use options::{OptionDoc, options};
pub use overrides::Overrides;
pub use pipeline::{Pipeline, StageSpec};
pub use secret::{is_secret, without_secrets};
pub use settings::{LogFormat, LogLevel, LogSettings, Settings};
pub use source_map::{SourceMap, SourceText, Span};

/// The first sentence of a documentation, on one line and without its full stop: what a list shows.
#[must_use]
pub fn first_sentence(docs: &str) -> String {
    let paragraph = docs.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    line.split_once(". ").map_or(line.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// A text as a TOML value, where it is one.
fn parse_value(base: usize, text: &str) -> Option<node::Node> {
    toml::de::DeValue::parse(text).ok().map(|value| node::Node::value(base, &value))
}
