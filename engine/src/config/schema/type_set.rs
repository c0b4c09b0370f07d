//! The types of values that a schema accepts.

use std::ops::{BitAnd, BitOr};

use serde_json::Value as Json;

use super::references::{SCHEMA_DEPTH_MAX, target_of};
use crate::config::node::Value;

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct TypeSet(u8);

impl TypeSet {
    pub(in crate::config) const NONE: TypeSet = TypeSet(0);
    pub(in crate::config) const STRING: TypeSet = TypeSet(1);
    pub(in crate::config) const INTEGER: TypeSet = TypeSet(2);
    pub(in crate::config) const FRACTION: TypeSet = TypeSet(4);
    pub(in crate::config) const NUMBER: TypeSet = TypeSet(2 | 4);
    pub(in crate::config) const BOOLEAN: TypeSet = TypeSet(8);
    pub(in crate::config) const ARRAY: TypeSet = TypeSet(16);
    pub(in crate::config) const TABLE: TypeSet = TypeSet(32);
    pub(in crate::config) const ALL: TypeSet = TypeSet(63);

    pub(in crate::config) fn has(self, other: TypeSet) -> bool {
        self.0 & other.0 != 0
    }

    /// The types that a schema accepts; all where it does not say. TOML has no null, so null is none of them.
    pub(in crate::config) fn of(schema: &Json, root: &Json) -> TypeSet {
        Self::within(schema, root, 0)
    }

    fn within(schema: &Json, root: &Json, depth: usize) -> TypeSet {
        if depth > SCHEMA_DEPTH_MAX {
            return TypeSet::ALL;
        }
        let Some(object) = schema.as_object() else {
            return if *schema == Json::Bool(false) { TypeSet::NONE } else { TypeSet::ALL };
        };
        let mut types = match object.get("type") {
            Some(Json::String(name)) => TypeSet::named(name),
            Some(Json::Array(names)) => union(names.iter().filter_map(Json::as_str).map(TypeSet::named)),
            _ => TypeSet::ALL,
        };
        if let Some(value) = object.get("const") {
            types = types & TypeSet::of_json(value);
        }
        if let Some(Json::Array(values)) = object.get("enum") {
            types = types & union(values.iter().map(TypeSet::of_json));
        }
        if let Some(Json::String(target)) = object.get("$ref") {
            types = types & target_of(target, root).map_or(TypeSet::ALL, |to| TypeSet::within(to, root, depth + 1));
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(Json::Array(branches)) = object.get(choice) {
                types = types & union(branches.iter().map(|branch| TypeSet::within(branch, root, depth + 1)));
            }
        }
        if let Some(Json::Array(parts)) = object.get("allOf") {
            types = parts.iter().fold(types, |types, part| types & TypeSet::within(part, root, depth + 1));
        }
        types
    }

    fn named(name: &str) -> TypeSet {
        match name {
            "string" => TypeSet::STRING,
            "integer" => TypeSet::INTEGER,
            "number" => TypeSet::NUMBER,
            "boolean" => TypeSet::BOOLEAN,
            "array" => TypeSet::ARRAY,
            "object" => TypeSet::TABLE,
            _ => TypeSet::NONE,
        }
    }

    fn of_json(value: &Json) -> TypeSet {
        match value {
            Json::Null => TypeSet::NONE,
            Json::Bool(_) => TypeSet::BOOLEAN,
            Json::Number(number) if number.is_f64() => TypeSet::FRACTION,
            Json::Number(_) => TypeSet::INTEGER,
            Json::String(_) => TypeSet::STRING,
            Json::Array(_) => TypeSet::ARRAY,
            Json::Object(_) => TypeSet::TABLE,
        }
    }

    /// The type of a value.
    pub(in crate::config) fn of_value(value: &Value) -> TypeSet {
        match value {
            Value::Text(_) | Value::Untyped { .. } => TypeSet::STRING,
            Value::Integer(_) => TypeSet::INTEGER,
            Value::Float(_) => TypeSet::FRACTION,
            Value::Boolean(_) => TypeSet::BOOLEAN,
            Value::Array(_) => TypeSet::ARRAY,
            Value::Table(_) => TypeSet::TABLE,
            Value::Invalid(_) => TypeSet::NONE,
        }
    }

    /// The types in words: "an integer or a string".
    pub(in crate::config) fn words(self) -> String {
        let number = if self.has(TypeSet::FRACTION) {
            Some(if self.has(TypeSet::INTEGER) { "a number" } else { "a float" })
        } else {
            self.has(TypeSet::INTEGER).then_some("an integer")
        };
        let word = |kind: TypeSet, word| self.has(kind).then_some(word);
        let words = [
            number,
            word(TypeSet::STRING, "a string"),
            word(TypeSet::BOOLEAN, "true or false"),
            word(TypeSet::ARRAY, "an array"),
            word(TypeSet::TABLE, "a table"),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        match words.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

impl BitAnd for TypeSet {
    type Output = TypeSet;

    fn bitand(self, other: TypeSet) -> TypeSet {
        TypeSet(self.0 & other.0)
    }
}

impl BitOr for TypeSet {
    type Output = TypeSet;

    fn bitor(self, other: TypeSet) -> TypeSet {
        TypeSet(self.0 | other.0)
    }
}

fn union(all: impl Iterator<Item = TypeSet>) -> TypeSet {
    all.fold(TypeSet::NONE, |types, more| types | more)
}
