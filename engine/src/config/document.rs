//! The tree of a pipeline's values with the texts that they come from.

use std::fmt;
use std::sync::Arc;

use super::diagnostics::Diagnostic;
use super::expand::{Redaction, redact};
use super::node::{HiddenValue, Node};
use super::source_map::{SourceMap, Span};
use crate::stage::Problem;

/// A parsed pipeline. Diagnostics find their places in it.
pub(super) struct Document {
    pub(super) sources: Arc<SourceMap>,
    pub(super) root: Node,
    pub(super) secrets: Vec<Redaction>,
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
        self.secrets.extend(hidden.into_iter().map(|hidden| Redaction::written_out(hidden.value)));
    }

    /// The diagnostic of a stage's problem; `path` leads to the stage's table.
    pub(super) fn problem(&self, path: &[String], problem: &Problem) -> Diagnostic {
        let whole: Vec<_> = path.iter().chain(&problem.path).map(String::as_str).collect();
        let found = self.root.find(&whole);
        let span = if problem.at_key { found.key.unwrap_or(found.node.span) } else { found.node.span };
        let redact = |text: &String| redact(&self.secrets, text);
        let mut diagnostic =
            if problem.warning { Diagnostic::warning("") } else { Diagnostic::error("") }.at_place(span);
        diagnostic.message = redact(&problem.message);
        diagnostic.label = problem.label.as_ref().map(|label| redact(label).into());
        diagnostic.help = problem.help.as_ref().map(redact);
        diagnostic
    }
}

impl Diagnostic {
    /// The same with its place; the document itself has none.
    pub(super) fn at_place(self, span: Span) -> Diagnostic {
        if span.start == span.end { self } else { self.at(span) }
    }
}
