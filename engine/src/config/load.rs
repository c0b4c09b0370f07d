//! From a file to a checked pipeline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::PipelineBuilder;
use super::coerce::coerce;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::document::Document;
use super::expand::Expansion;
use super::node::Node;
use super::overrides::Overrides;
use super::pipeline::Pipeline;
use super::schemas::Schemas;
use super::source_map::{SourceMap, Span};
use crate::stage::Registry;

/// Reads pipelines.
pub struct Loader<'a> {
    schemas: Schemas<'a>,
    env: &'a dyn Fn(&str) -> Option<String>,
    overrides: Overrides,
}

/// Pipelines that are to run together.
#[derive(Debug)]
pub struct Loaded {
    /// Each file with its pipeline or its diagnostics, in the order given.
    pub pipelines: Vec<(PathBuf, Result<Pipeline, Diagnostics>)>,
    /// The diagnostics of all together: two pipelines of one name, an override for a pipeline that is not among them.
    pub together: Diagnostics,
}

impl<'a> Loader<'a> {
    /// A loader of pipelines made of these stages, with the variables of an environment.
    #[must_use]
    pub fn new(registry: &'a Registry, env: &'a dyn Fn(&str) -> Option<String>) -> Loader<'a> {
        Loader { schemas: Schemas::new(registry), env, overrides: Overrides::default() }
    }

    /// The same with overrides. Overrides for another pipeline are ignored; [`Loader::load_all`] reports those whose
    /// pipeline does not exist.
    #[must_use]
    pub fn overrides(self, overrides: Overrides) -> Loader<'a> {
        Loader { overrides, ..self }
    }

    /// Reads a pipeline from a file.
    ///
    /// # Errors
    /// All its diagnostics.
    pub fn load(&self, path: &Path) -> Result<Pipeline, Diagnostics> {
        let text = read(path).map_err(Diagnostics::of)?;
        self.load_text(&path.display().to_string(), &text)
    }

    /// Reads a pipeline from text; `name` is its path in messages.
    ///
    /// # Errors
    /// All its diagnostics.
    pub fn load_text(&self, name: &str, text: &str) -> Result<Pipeline, Diagnostics> {
        self.prepare(name, text)?.build()
    }

    /// Reads pipelines that are to run together.
    #[must_use]
    pub fn load_all(&self, paths: &[PathBuf]) -> Loaded {
        let (mut names, mut pipelines) = (Vec::new(), Vec::new());
        for path in paths {
            let file = path.display().to_string();
            let builder = read(path).map_err(Diagnostics::of).and_then(|text| self.prepare(&file, &text));
            names.push(builder.as_ref().ok().and_then(|builder| builder.name_in_file.clone()));
            pipelines.push((path.clone(), builder.and_then(PipelineBuilder::build)));
        }
        let mut together = Vec::new();
        for (at, (path, pipeline)) in pipelines.iter().enumerate() {
            let Ok(pipeline) = pipeline else { continue };
            let twin =
                pipelines[..at].iter().find(|(_, other)| matches!(other, Ok(other) if other.name == pipeline.name));
            if let Some((other, _)) = twin {
                together.push(
                    Diagnostic::error(format!("two pipelines are called `{}`", pipeline.name))
                        .note(format!("`{}` and `{}`", other.display(), path.display()))
                        .help("a name is a pipeline's identity: give each its own"),
                );
            }
        }
        let mut together = Diagnostics::new(Arc::default(), together);
        // An override may be for a file that cannot be read.
        let names: Option<Vec<&str>> = names.iter().map(Option::as_deref).collect();
        if let Some(names) = names {
            let unknown = self.overrides.unknown_pipelines(&names);
            if !unknown.is_empty() {
                together = unknown.preceded_by(together);
            }
        }
        Loaded { pipelines, together }
    }

    /// Parses, expands, overrides and coerces a text.
    fn prepare(&self, file: &str, text: &str) -> Result<PipelineBuilder<'_>, Diagnostics> {
        // Editors count columns without a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sources = SourceMap::default();
        let base = sources.add(Some(file), text);
        let bases = self.overrides.add_to(&mut sources);
        let sources = Arc::new(sources);
        let parsed = toml::de::DeTable::parse(text);
        let mut root = match &parsed {
            Ok(table) => Node::document(base, table),
            Err(error) => return Err(Diagnostics::new(sources, vec![syntax(base, text, error)])),
        };
        let mut expansion =
            Expansion { env: self.env, sources: &sources, redactions: Vec::new(), problems: Vec::new() };
        expansion.document(&mut root);
        let (redactions, mut problems) = (expansion.redactions, expansion.problems);
        let name = root.table().and_then(|table| table.get("name")).and_then(Node::text).map(str::to_owned);
        self.overrides.apply(&bases, name.as_deref(), &mut root, &mut problems);
        let mut hidden = Vec::new();
        root.hide_secrets(&mut hidden);
        coerce(&mut root, &self.schemas, &mut hidden);
        let mut document = Document { sources, root, redactions };
        document.hide(hidden);
        Ok(PipelineBuilder { schemas: &self.schemas, document, problems, file: file.to_owned(), name_in_file: name })
    }
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Diagnostic::error(format!("`{shown}` is a directory, not a pipeline")));
    }
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Diagnostic::error(format!("there is no file `{shown}`")),
        _ => Diagnostic::error(format!("`{shown}` cannot be read: {error}")),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        Diagnostic::error(format!("`{shown}` is not UTF-8: line {line} has other bytes")).help("save the file as UTF-8")
    })
}

/// The parser's first error: later ones often follow from it.
fn syntax(base: usize, text: &str, error: &toml::de::Error) -> Diagnostic {
    let mut lines = error.message().lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or("this is not TOML").trim_end_matches('.');
    let mut diagnostic = Diagnostic::error(format!("TOML: {message}"));
    if let Some(range) = error.span() {
        // The end of a file has no character to point at.
        let start = range.start.min(text.len());
        diagnostic = diagnostic.at(Span::based(base, start..range.end.clamp(start, text.len())));
    }
    lines.fold(diagnostic, Diagnostic::label)
}
