//! Which kinds of values a schema takes.

use std::ops::{BitAnd, BitOr};

use serde_json::Value as Json;

use crate::config::node::Value;

/// A set of kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Types(u8);

/// How deep a schema is looked into: a type that contains itself has no end.
const DEPTH_MAX: usize = 16;

impl Types {
    pub(in crate::config) const NONE: Types = Types(0);
    pub(in crate::config) const STRING: Types = Types(1);
    pub(in crate::config) const INTEGER: Types = Types(2);
    pub(in crate::config) const FRACTION: Types = Types(4);
    pub(in crate::config) const NUMBER: Types = Types(2 | 4);
    pub(in crate::config) const BOOLEAN: Types = Types(8);
    pub(in crate::config) const ARRAY: Types = Types(16);
    pub(in crate::config) const TABLE: Types = Types(32);
    pub(in crate::config) const ALL: Types = Types(63);

    pub(in crate::config) fn has(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds that a schema takes; all where it does not say. TOML has no null, so null is none.
    pub(in crate::config) fn of(schema: &Json, root: &Json) -> Types {
        Self::within(schema, root, 0)
    }

    fn within(schema: &Json, root: &Json, depth: usize) -> Types {
        if depth > DEPTH_MAX {
            return Types::ALL;
        }
        let Some(object) = schema.as_object() else {
            return if *schema == Json::Bool(false) { Types::NONE } else { Types::ALL };
        };
        let mut types = match object.get("type") {
            Some(Json::String(name)) => Types::named(name),
            Some(Json::Array(names)) => union(names.iter().filter_map(Json::as_str).map(Types::named)),
            _ => Types::ALL,
        };
        if let Some(value) = object.get("const") {
            types = types & Types::of_json(value);
        }
        if let Some(Json::Array(values)) = object.get("enum") {
            types = types & union(values.iter().map(Types::of_json));
        }
        if let Some(Json::String(target)) = object.get("$ref") {
            types = types & target_of(target, root).map_or(Types::ALL, |to| Types::within(to, root, depth + 1));
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(Json::Array(branches)) = object.get(choice) {
                types = types & union(branches.iter().map(|branch| Types::within(branch, root, depth + 1)));
            }
        }
        if let Some(Json::Array(parts)) = object.get("allOf") {
            types = parts.iter().fold(types, |types, part| types & Types::within(part, root, depth + 1));
        }
        types
    }

    fn named(name: &str) -> Types {
        match name {
            "string" => Types::STRING,
            "integer" => Types::INTEGER,
            "number" => Types::NUMBER,
            "boolean" => Types::BOOLEAN,
            "array" => Types::ARRAY,
            "object" => Types::TABLE,
            _ => Types::NONE,
        }
    }

    fn of_json(value: &Json) -> Types {
        match value {
            Json::Null => Types::NONE,
            Json::Bool(_) => Types::BOOLEAN,
            Json::Number(number) if number.is_f64() => Types::FRACTION,
            Json::Number(_) => Types::INTEGER,
            Json::String(_) => Types::STRING,
            Json::Array(_) => Types::ARRAY,
            Json::Object(_) => Types::TABLE,
        }
    }

    /// The kind of a value.
    pub(in crate::config) fn of_value(value: &Value) -> Types {
        match value {
            Value::Text(_) | Value::Loose { .. } => Types::STRING,
            Value::Integer(_) => Types::INTEGER,
            Value::Float(_) => Types::FRACTION,
            Value::Boolean(_) => Types::BOOLEAN,
            Value::Array(_) => Types::ARRAY,
            Value::Table(_) => Types::TABLE,
            Value::Invalid(_) => Types::NONE,
        }
    }

    /// The kinds in words: "an integer or a string".
    pub(in crate::config) fn words(self) -> String {
        let number = if self.has(Types::FRACTION) {
            Some(if self.has(Types::INTEGER) { "a number" } else { "a float" })
        } else {
            self.has(Types::INTEGER).then_some("an integer")
        };
        let word = |kind: Types, word| self.has(kind).then_some(word);
        let words = [
            number,
            word(Types::STRING, "a string"),
            word(Types::BOOLEAN, "true or false"),
            word(Types::ARRAY, "an array"),
            word(Types::TABLE, "a table"),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        match words.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

impl BitAnd for Types {
    type Output = Types;

    fn bitand(self, other: Types) -> Types {
        Types(self.0 & other.0)
    }
}

impl BitOr for Types {
    type Output = Types;

    fn bitor(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }
}

fn union(all: impl Iterator<Item = Types>) -> Types {
    all.fold(Types::NONE, |types, more| types | more)
}

/// What a `$ref` within the same schema points at.
fn target_of<'a>(target: &str, root: &'a Json) -> Option<&'a Json> {
    root.pointer(target.strip_prefix('#')?)
}

/// A schema with its `$ref`s followed.
pub(in crate::config) fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|target| target_of(target, root));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The schemas that all or in part speak of the same value: through `$ref`, `allOf`, `anyOf`, `oneOf`, `then` and
/// `else`.
pub(super) fn parts<'a>(schema: &'a Json, root: &'a Json) -> Vec<&'a Json> {
    let mut found = Vec::new();
    collect(schema, root, 0, &mut found);
    found
}

fn collect<'a>(schema: &'a Json, root: &'a Json, depth: usize, found: &mut Vec<&'a Json>) {
    if depth > DEPTH_MAX || !schema.is_object() {
        return;
    }
    found.push(schema);
    if let Some(target) = schema.get("$ref").and_then(Json::as_str).and_then(|target| target_of(target, root)) {
        collect(target, root, depth + 1, found);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let branches = schema.get(key).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        branches.iter().for_each(|branch| collect(branch, root, depth + 1, found));
    }
    for key in ["then", "else"] {
        schema.get(key).into_iter().for_each(|branch| collect(branch, root, depth + 1, found));
    }
}
