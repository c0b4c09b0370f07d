//! The environment in string values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, and `$$` for a dollar sign.

use super::diagnostics::Diagnostic;
use super::masked::MASK;
use super::node::{Node, Value};
use super::parse_value;
use super::source_map::{SourceMap, Span};

/// A value that no message repeats: it came from the environment, or its key is one of secrets.
#[derive(Clone)]
pub(super) struct Redaction {
    /// How the file writes it, or what stands for it.
    replacement: String,
    value: String,
}

impl Redaction {
    /// A value that the text gives as it is.
    pub(super) fn written_out(value: String) -> Redaction {
        Redaction { replacement: MASK.to_owned(), value }
    }
}

/// What expansion works with.
pub(super) struct Expansion<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) sources: &'a SourceMap,
    pub(super) secrets: Vec<Redaction>,
    pub(super) problems: Vec<Diagnostic>,
}

impl Expansion<'_> {
    /// Expands every string in a node.
    pub(super) fn expand(&mut self, node: &mut Node) {
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
            self.secrets.push(Redaction { replacement: text.to_owned(), value: expanded.clone() });
        }
        let lone = variables == 1 && text.starts_with("${") && text.find('}') == Some(text.len() - 1);
        node.value = if failed {
            Value::Invalid(String::new())
        } else if lone {
            let parsed = parse_value(0, &expanded).map(|mut parsed| {
                relocate(&mut parsed, node.span, node.secret);
                Box::new(parsed)
            });
            Value::Untyped { text: expanded, parsed }
        } else {
            Value::Text(expanded)
        };
    }

    /// The value of what stands between the braces; `None` once its problem is noted.
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
        // As in a shell: with `:-` and `:?` a variable that is empty counts as one that is not set.
        let value = (self.env)(name).filter(|value| operator.is_empty() || !value.is_empty());
        match (value, fallback) {
            (Some(value), _) => {
                node.secret = true;
                self.secrets.push(Redaction { replacement: format!("${{{name}}}"), value: value.clone() });
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

    /// Where in a string something stands; the whole string where escapes hide it.
    fn place(&self, span: Span, written: &str) -> Span {
        match self.sources.text(span).find(written) {
            Some(at) => Span::based(span.start, at..at + written.len()),
            None => span,
        }
    }
}

/// Gives what was parsed from the environment the place of the string that named it.
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

/// Takes the values of the environment out of a text that others wrote, so that a password in a variable never
/// reaches a screen or a log. A value too short to be one is only taken out where it stands in quotes.
pub(super) fn redact(secrets: &[Redaction], text: &str) -> String {
    let mut text = text.to_owned();
    let mut longest_first: Vec<_> = secrets.iter().filter(|secret| !secret.value.is_empty()).collect();
    longest_first.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
    for Redaction { replacement, value } in longest_first {
        for value in [value.clone(), value.escape_debug().to_string()] {
            if value.chars().count() >= 4 {
                text = text.replace(&value, replacement);
            } else {
                for quote in ['`', '"', '\''] {
                    text = text.replace(&format!("{quote}{value}{quote}"), &format!("{quote}{replacement}{quote}"));
                }
            }
        }
    }
    text
}
