//! From a file to a checked pipeline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::assemble;
use super::diagnostics::{Diagnostic, Diagnostics};
use super::document::Document;
use super::expand::Expansion;
use super::node::{Node, Value};
use super::overrides::Overrides;
use super::pipeline::Pipeline;
use super::source_map::{SourceMap, Span};
use crate::stage::{Registry, Role};

/// Reads pipelines.
pub struct Loader<'a> {
    registry: &'a Registry,
    env: &'a dyn Fn(&str) -> Option<String>,
    overrides: Overrides,
}

/// Pipelines that were read together.
#[derive(Debug)]
pub struct Loaded {
    /// Each file with what became of it, in the order given.
    pub pipelines: Vec<(PathBuf, Result<Pipeline, Diagnostics>)>,
    /// What is wrong with them as a whole: two of one name, an override for a pipeline that is not there.
    pub together: Diagnostics,
}

/// A document as far as it needs no registry.
struct Draft {
    document: Document,
    /// The name as the file has it: overrides address the pipeline by it.
    name: Option<String>,
    problems: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    /// A loader of pipelines made of these stages, with the variables of an environment.
    #[must_use]
    pub fn new(registry: &'a Registry, env: &'a dyn Fn(&str) -> Option<String>) -> Loader<'a> {
        Loader { registry, env, overrides: Overrides::default() }
    }

    /// The same with overrides. Those for another pipeline are passed over; [`Loader::load_all`] says when there is
    /// no such pipeline.
    #[must_use]
    pub fn overrides(self, overrides: Overrides) -> Loader<'a> {
        Loader { overrides, ..self }
    }

    /// Reads a pipeline from a file.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self, path: &Path) -> Result<Pipeline, Diagnostics> {
        let text = read(path).map_err(Diagnostics::of)?;
        self.load_text(&path.display().to_string(), &text)
    }

    /// Reads a pipeline from text; `name` is what messages call it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load_text(&self, name: &str, text: &str) -> Result<Pipeline, Diagnostics> {
        assemble_draft(self.registry, self.draft(name, text)?, name)
    }

    /// Reads pipelines that are to run together.
    #[must_use]
    pub fn load_all(&self, paths: &[PathBuf]) -> Loaded {
        let (mut names, mut pipelines) = (Vec::new(), Vec::new());
        for path in paths {
            let file = path.display().to_string();
            let draft = read(path).map_err(Diagnostics::of).and_then(|text| self.draft(&file, &text));
            names.push(draft.as_ref().ok().and_then(|draft| draft.name.clone()));
            pipelines.push((path.clone(), draft.and_then(|draft| assemble_draft(self.registry, draft, &file))));
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
        // A file that cannot be read may be the one that an override is for.
        let names: Option<Vec<&str>> = names.iter().map(Option::as_deref).collect();
        if let Some(names) = names {
            let unknown = self.overrides.unknown_pipelines(&names);
            if !unknown.is_empty() {
                together = unknown.preceded_by(together);
            }
        }
        Loaded { pipelines, together }
    }

    /// Parses, expands and overrides.
    fn draft(&self, name: &str, text: &str) -> Result<Draft, Diagnostics> {
        // Editors count columns without a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut sources = SourceMap::default();
        let base = sources.add(Some(name), text);
        let bases = self.overrides.add_to(&mut sources);
        let sources = Arc::new(sources);
        let parsed = toml::de::DeTable::parse(text);
        let mut root = match &parsed {
            Ok(table) => Node::document(base, table),
            Err(error) => return Err(Diagnostics::new(sources, vec![syntax(base, text, error)])),
        };
        let mut expansion = Expansion { env: self.env, sources: &sources, secrets: Vec::new(), problems: Vec::new() };
        expansion.expand(&mut root);
        let (secrets, mut problems) = (expansion.secrets, expansion.problems);
        roles_are_written_out(&mut root);
        let name = root.table().and_then(|table| table.get("name")).and_then(Node::text).map(str::to_owned);
        self.overrides.apply(&bases, name.as_deref(), &mut root, &mut problems);
        let mut hidden = Vec::new();
        root.secrets(&mut hidden);
        let mut document = Document { sources, root, secrets };
        document.hide(hidden);
        Ok(Draft { document, name, problems })
    }
}

fn assemble_draft(registry: &Registry, draft: Draft, file: &str) -> Result<Pipeline, Diagnostics> {
    assemble(registry, draft.document, draft.problems, file)
}

/// The environment gives values of stages, not stages: the file says what the pipeline is made of.
fn roles_are_written_out(root: &mut Node) {
    let Some(table) = root.make_table() else { return };
    let plain = |node: &mut Node| {
        if let Value::Untyped { text, .. } = &mut node.value {
            node.value = Value::Text(std::mem::take(text));
        }
    };
    for role in Role::ALL {
        let Some(node) = table.get_mut(role.key()) else { continue };
        plain(node);
        if let Value::Array(items) = &mut node.value {
            items.iter_mut().for_each(plain);
        }
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

/// The parser's first complaint: those after it are often of its making.
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
