//! The tree of a pipeline's values with the texts that they come from.

use std::fmt;
use std::sync::Arc;

use super::diagnostics::Diagnostic;
use super::node::{HiddenValue, Node};
use super::redaction::{Redaction, redact};
use super::source_map::{SourceMap, Span};
use crate::stage::Problem;

/// A parsed pipeline. Diagnostics find their places in it.
pub(super) struct Document {
    pub(super) sources: Arc<SourceMap>,
    pub(super) root: Node,
    pub(super) redactions: Vec<Redaction>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without its values: some come from the environment.
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// Masks values in snippets and messages.
    pub(super) fn hide(&mut self, hidden: Vec<HiddenValue>) {
        Arc::make_mut(&mut self.sources).hide(hidden.iter().map(|hidden| hidden.place));
        self.redactions.extend(hidden.into_iter().map(|hidden| Redaction::masked(hidden.value)));
    }

    /// The diagnostic of a stage's problem; `path` leads to the stage's table.
    pub(super) fn problem(&self, path: &[String], problem: &Problem) -> Diagnostic {
        let whole: Vec<_> = path.iter().chain(&problem.path).map(String::as_str).collect();
        let found = self.root.find(&whole);
        let span = if problem.at_key { found.key.unwrap_or(found.node.span) } else { found.node.span };
        let redact = |text: &String| redact(&self.redactions, text);
        let mut diagnostic =
            if problem.warning { Diagnostic::warning("") } else { Diagnostic::error("") }.at_place(span);
        diagnostic.message = redact(&problem.message);
        diagnostic.label = problem.label.as_ref().map(|label| redact(label).into());
        diagnostic.help = problem.help.as_ref().map(redact);
        diagnostic
    }

    /// The diagnostics of values that TOML has and pipelines have not: dates, infinities.
    pub(super) fn invalid(&self) -> Vec<Diagnostic> {
        let mut list = Vec::new();
        self.root.invalid(&mut list);
        // Expansion has its own diagnostic for a value that it could not expand, and leaves an empty message here.
        list.retain(|diagnostic| !diagnostic.message.is_empty());
        list
    }

    /// Whether a place is in the file, and not in an override.
    pub(super) fn in_file(&self, span: Span) -> bool {
        self.sources.locate(span).is_some_and(|(source, _)| source.path.is_some())
    }
}
