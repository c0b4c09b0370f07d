//! The environment in string values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, and `$$` for a dollar sign.

use super::diagnostics::Diagnostic;
use super::node::{Node, Value};
use super::redaction::Redaction;
use super::source_map::{SourceMap, Span};
use crate::stage::Role;

/// The expansion of one document.
pub(super) struct Expansion<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) sources: &'a SourceMap,
    /// The values that came from the environment.
    pub(super) redactions: Vec<Redaction>,
    pub(super) problems: Vec<Diagnostic>,
}

impl Expansion<'_> {
    /// Expands every string of a document. The environment gives values of stages, not stages: a variable in place of a
    /// stage's table stays a string.
    pub(super) fn document(&mut self, root: &mut Node) {
        self.expand(root);
        let Value::Table(table) = &mut root.value else { return };
        for role in Role::ALL {
            let Some(node) = table.get_mut(role.key()) else { continue };
            node.untyped_to_text();
            if let Value::Array(items) = &mut node.value {
                items.iter_mut().for_each(Node::untyped_to_text);
            }
        }
    }

    /// Expands every string in a node.
    fn expand(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Text(text) if text.contains('$') => {
                let text = std::mem::take(text);
                self.expand_text(node, &text);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.expand(item)),
            Value::Table(table) => table.0.iter_mut().for_each(|entry| self.expand(&mut entry.node)),
            _ => {}
        }
    }

    fn expand_text(&mut self, node: &mut Node, text: &str) {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        let mut variables = 0;
        let mut failed = false;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some((inside, after)) = after.split_once('}') else {
                    self.problem(node, &format!("${rest}"), "a variable has no closing brace", |problem| {
                        problem.help("write a dollar sign that starts no variable as `$$`")
                    });
                    node.value = Value::Invalid(String::new());
                    return;
                };
                variables += 1;
                match self.variable(node, inside) {
                    Some(value) => expanded.push_str(&value),
                    None => failed = true,
                }
                rest = after;
            } else {
                expanded.push('$');
            }
        }
        expanded.push_str(rest);
        if node.secret {
            self.redactions.push(Redaction::new(expanded.clone(), text.to_owned()));
        }
        let lone = variables == 1 && text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        node.value = if failed {
            Value::Invalid(String::new())
        } else if lone {
            let parsed = Node::parse(0, &expanded).map(|mut parsed| {
                relocate(&mut parsed, node.span, node.secret);
                Box::new(parsed)
            });
            Value::Untyped { text: expanded, parsed }
        } else {
            Value::Text(expanded)
        };
    }

    /// The value of the text between the braces; `None` after a diagnostic.
    fn variable(&mut self, node: &mut Node, inside: &str) -> Option<String> {
        let written = format!("${{{inside}}}");
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
        let (name, operator) = inside.split_at(end);
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let fallback = operator.strip_prefix(":-");
        let demand = operator.strip_prefix(":?");
        if !starts_well || !(operator.is_empty() || fallback.is_some() || demand.is_some()) {
            self.problem(node, &written, "this is not the name of a variable", |problem| {
                problem.help("write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`, and `$$` for a dollar sign")
            });
            return None;
        }
        if operator.contains("${") {
            self.problem(node, &written, "a variable cannot stand inside another", |problem| problem);
            return None;
        }
        // As in a shell: with `:-` and `:?`, an empty variable counts as unset.
        let value = (self.env)(name).filter(|value| operator.is_empty() || !value.is_empty());
        match (value, fallback) {
            (Some(value), _) => {
                node.secret = true;
                self.redactions.push(Redaction::new(value.clone(), format!("${{{name}}}")));
                Some(value)
            }
            (None, Some(fallback)) => Some(fallback.to_owned()),
            (None, None) => {
                let message = format!("the environment variable `{name}` is not set");
                self.problem(node, &written, &message, |problem| match demand {
                    Some(why) if !why.is_empty() => problem.label(why),
                    Some(_) => problem,
                    None => problem.help(format!("set it, or give a default: `${{{name}:-default}}`")),
                });
                None
            }
        }
    }

    fn problem(&mut self, node: &Node, written: &str, message: &str, with: impl FnOnce(Diagnostic) -> Diagnostic) {
        self.problems.push(with(Diagnostic::error(message).at(self.place(node.span, written))));
    }

    /// The place of a part of a string; the whole string where escapes hide the part.
    fn place(&self, span: Span, written: &str) -> Span {
        match self.sources.text(span).find(written) {
            Some(at) => Span::based(span.start, at..at + written.len()),
            None => span,
        }
    }
}

/// Gives a value that was parsed from the environment the place of the string with the variable.
fn relocate(node: &mut Node, span: Span, secret: bool) {
    node.span = span;
    node.secret = secret;
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, span, secret)),
        Value::Table(table) => table.0.iter_mut().for_each(|entry| {
            entry.key_span = span;
            relocate(&mut entry.node, span, secret);
        }),
        _ => {}
    }
}
