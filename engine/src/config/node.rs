//! A TOML document with the place of every key and value.

use serde_json::{Map, Number};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::diagnostics::Diagnostic;
use super::secret::is_secret;
use super::source_map::Span;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// For a table with a header, the place of the header.
    pub(super) span: Span,
    /// Whether no message repeats it: it is a secret, or the environment gave a part of it.
    pub(super) secret: bool,
}

/// A value that no message and no snippet shows.
pub(super) struct HiddenValue {
    pub(super) place: Span,
    pub(super) value: String,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
    /// Text from the command line or the environment: a string or TOML, whichever the schema asks for. There is none after
    /// [`coerce`](super::coerce).
    Untyped {
        text: String,
        parsed: Option<Box<Node>>,
    },
    /// TOML that pipelines do not have; the message says why.
    Invalid(String),
}

/// A table in the order of its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) Vec<TableEntry>);

#[derive(Clone, Debug)]
pub(super) struct TableEntry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&TableEntry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }
}

impl Node {
    /// A document, whose offsets start at `base`.
    pub(super) fn document(base: usize, table: &Spanned<DeTable<'_>>) -> Node {
        let span = Span::based(base, table.span());
        Node { value: Value::Table(from_table(base, table.get_ref())), span, secret: false }
    }

    /// A value, whose offsets start at `base`.
    pub(super) fn value(base: usize, value: &Spanned<DeValue<'_>>) -> Node {
        let span = Span::based(base, value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => from_integer(integer),
            DeValue::Float(float) => from_float(float.as_str()),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Invalid("a date or a time must be in quotes".to_owned()),
            DeValue::Array(items) => Value::Array(items.iter().map(|item| Node::value(base, item)).collect()),
            DeValue::Table(table) => Value::Table(from_table(base, table)),
        };
        Node { value, span, secret: false }
    }

    /// A text as a TOML value whose offsets start at `base`, where it is one.
    pub(super) fn parse(base: usize, text: &str) -> Option<Node> {
        DeValue::parse(text).ok().map(|value| Node::value(base, &value))
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The table that a value is, or that its text is as TOML.
    pub(super) fn make_table(&mut self) -> Option<&mut Table> {
        if let Value::Untyped { parsed: Some(parsed), .. } = &self.value
            && parsed.table().is_some()
        {
            self.untyped_to_toml();
        }
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Takes an untyped text as TOML, where it is TOML.
    pub(super) fn untyped_to_toml(&mut self) {
        if let Value::Untyped { parsed: Some(parsed), .. } = &mut self.value {
            self.value = std::mem::replace(&mut parsed.value, Value::Boolean(false));
        }
    }

    /// Takes an untyped text as a string.
    pub(super) fn untyped_to_text(&mut self) {
        if let Value::Untyped { text, .. } = &mut self.value {
            self.value = Value::Text(std::mem::take(text));
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Untyped { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value as JSON, for schema and serde. An invalid value becomes null.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Untyped { text, .. } => text.as_str().into(),
            Value::Integer(integer) => (*integer).into(),
            Value::Float(float) => Number::from_f64(*float).map_or(serde_json::Value::Null, Into::into),
            Value::Boolean(boolean) => (*boolean).into(),
            Value::Array(items) => items.iter().map(Node::to_json).collect(),
            Value::Table(table) => table_to_json(table, &[]),
            Value::Invalid(_) => serde_json::Value::Null,
        }
    }

    /// Follows a path of keys and indices as far as it goes.
    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Lookup<'_> {
        let mut found = Lookup { node: self, key: None, complete: true };
        for segment in path {
            let segment = segment.as_ref();
            let next = match &found.node.value {
                Value::Table(table) => table.entry(segment).map(|entry| (Some(entry.key_span), &entry.node)),
                Value::Array(items) => {
                    segment.parse::<usize>().ok().and_then(|i| items.get(i)).map(|node| (None, node))
                }
                _ => None,
            };
            let Some((key, node)) = next else {
                found.complete = false;
                return found;
            };
            found = Lookup { node, key, complete: true };
        }
        found
    }

    /// Marks the values of keys that name secrets, and adds them to `found`.
    pub(super) fn hide_secrets(&mut self, found: &mut Vec<HiddenValue>) {
        match &mut self.value {
            Value::Table(table) => {
                for entry in &mut table.0 {
                    if is_secret(&entry.key) { entry.node.hide(found) } else { entry.node.hide_secrets(found) }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| item.hide_secrets(found)),
            Value::Untyped { parsed: Some(parsed), .. } => parsed.hide_secrets(found),
            _ => {}
        }
    }

    /// Marks a value and everything in it as secret, and adds it to `found`.
    pub(super) fn hide(&mut self, found: &mut Vec<HiddenValue>) {
        self.secret = true;
        match &mut self.value {
            Value::Table(table) => table.0.iter_mut().for_each(|entry| entry.node.hide(found)),
            Value::Array(items) => items.iter_mut().for_each(|item| item.hide(found)),
            Value::Untyped { text, parsed } => {
                found.push(HiddenValue { place: self.span, value: text.clone() });
                parsed.iter_mut().for_each(|parsed| parsed.hide(found));
            }
            Value::Text(text) => found.push(HiddenValue { place: self.span, value: text.clone() }),
            // A number may be a password, but messages keep such numbers: most of them are others.
            _ => found.push(HiddenValue { place: self.span, value: String::new() }),
        }
    }

    /// Adds a diagnostic for each invalid value.
    pub(super) fn invalid(&self, list: &mut Vec<Diagnostic>) {
        match &self.value {
            Value::Invalid(message) => list.push(Diagnostic::error(message).at(self.span)),
            Value::Array(items) => items.iter().for_each(|item| item.invalid(list)),
            Value::Table(table) => table.0.iter().for_each(|entry| entry.node.invalid(list)),
            _ => {}
        }
    }
}

/// The end of a path; see [`Node::find`].
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) node: &'a Node,
    /// The place of the last key; `None` behind an index.
    pub(super) key: Option<Span>,
    /// Whether the path could be followed to its end.
    pub(super) complete: bool,
}

/// A table as JSON without some of its keys.
pub(super) fn table_to_json(table: &Table, without: &[&str]) -> serde_json::Value {
    let kept = table.0.iter().filter(|entry| !without.contains(&entry.key.as_str()));
    kept.map(|entry| (entry.key.clone(), entry.node.to_json())).collect::<Map<_, _>>().into()
}

fn from_table(base: usize, table: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        TableEntry {
            key: key.get_ref().to_string(),
            key_span: Span::based(base, key.span()),
            node: Node::value(base, value),
        }
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    // The parser sorts by name, but the order of the text decides the order of fields.
    entries.sort_by_key(|entry| entry.key_span);
    Table(entries)
}

fn from_integer(integer: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(integer) => Value::Integer(integer),
        Err(_) => Value::Invalid(format!("an integer must lie between {} and {}", i64::MIN, i64::MAX)),
    }
}

fn from_float(text: &str) -> Value {
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::Float(float),
        // Not the text itself: it may come from the environment.
        Ok(_) if text.contains("inf") || text.contains("nan") => {
            Value::Invalid("`inf` and `nan` are not numbers that a pipeline can use".to_owned())
        }
        _ => Value::Invalid("the number is too large".to_owned()),
    }
}
