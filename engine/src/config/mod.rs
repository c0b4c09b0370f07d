//! From TOML text to a checked pipeline, or diagnostics with their places.
//!
//! Loading has six steps. The text is parsed with the place of every key and value (`node`). Variables of the environment
//! are expanded inside string values (`expand`). Overrides of the command line are applied (`overrides`). Values from
//! outside get the types that the schemas ask for (`coerce`). Each table is compared with its JSON Schema (`schema`) and
//! read into its type (`stage_table`). Each stage is checked against the fields that reach it (`propagate`). Only a syntax
//! error ends loading early: all other [`Diagnostics`] come at once, in the order of the text.

mod builder;
mod coerce;
mod content_hash;
mod diagnostics;
mod doc_text;
mod document;
mod editor_schema;
mod expand;
mod find_stages;
mod load;
mod log_settings;
mod masked;
mod monitor_checks;
mod node;
mod options;
mod override_syntax;
mod overrides;
mod pipeline;
mod pipeline_checks;
mod propagate;
mod redaction;
mod schema;
mod schemas;
mod secret;
mod settings;
mod settings_table;
mod source_map;
mod stage_spec;
mod stage_table;
mod toml_text;

pub use crate::monitor::{AlertSettings, MonitorSettings};
pub use crate::nearest::nearest;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use doc_text::first_sentence;
pub use editor_schema::pipeline_schema;
pub use load::{Loaded, Loader};
pub use log_settings::{LogFormat, LogLevel, LogRotation, LogSettings};
pub use options::{OptionDoc, options, pipeline_options};
pub use overrides::Overrides;
pub use pipeline::Pipeline;
pub use secret::{is_secret, without_secrets};
pub use settings::Settings;
pub use source_map::{SourceMap, SourceText, Span};
pub use stage_spec::StageSpec;
