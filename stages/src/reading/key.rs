//! The key of records: the values that name their series.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use aqpipe_engine::record::TIMESTAMP;
use aqpipe_engine::stage::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Bytes of a key that all records share: each record is written with it.
const KEY_BYTES_MAX: usize = 1000;
/// The name of a key that has no other.
const DEFAULT_NAME: &str = "key";
const DEFAULT_SEPARATOR: &str = "-";

/// The key of records, as decoders use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: KeyOrigin,
}

/// Where the key of a record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Columns or properties, joined by a separator.
    Columns(Vec<String>, String),
    /// The key of the message.
    Message,
    /// It is the same for all records.
    Value(Arc<str>),
}

impl From<&str> for Key {
    /// The key that one property of that name is.
    fn from(name: &str) -> Key {
        Key { name: name.into(), origin: KeyOrigin::Columns(vec![name.to_owned()], DEFAULT_SEPARATOR.to_owned()) }
    }
}

impl Key {
    /// The columns or properties that it consists of.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        match &self.origin {
            KeyOrigin::Columns(columns, _) => columns,
            KeyOrigin::Message | KeyOrigin::Value(_) => &[],
        }
    }

    /// What stands between them.
    #[must_use]
    pub fn separator(&self) -> &str {
        match &self.origin {
            KeyOrigin::Columns(_, separator) => separator,
            KeyOrigin::Message | KeyOrigin::Value(_) => "",
        }
    }
}

/// The key as the configuration says it: a name, which is that of its column or property, or a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KeyOptions {
    table: KeyTable,
    /// Whether it is a name alone.
    is_name: bool,
}

/// The table of a key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct KeyTable {
    /// The name of the key. Absent, that of its column, and `key` where it has none.
    #[serde(default)]
    name: Option<String>,
    /// The key of all records.
    #[serde(default)]
    value: Option<String>,
    /// The column or property that holds the key. Where it is empty, the record has no key.
    #[serde(default)]
    column: Option<String>,
    /// The columns or properties that make the key together, in this order, joined by `separator`.
    #[serde(default)]
    columns: Vec<String>,
    /// What stands between the values of `columns`. Absent: "-". Values may have it (`DE-BW-001`), but where two records would get one
    /// key for different values (`a-b` and `c`, `a` and `b-c`), the second series is not mixed into the first one in a run: its records
    /// become dead letters, and a separator that no value has tells the two apart. It is seen among the first 100,000 such keys.
    #[serde(default)]
    separator: Option<String>,
    /// The key is not in the record: "message" is the key of its Kafka message, as text.
    #[serde(default)]
    from: Option<OutsideKey>,
}

/// A key outside of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OutsideKey {
    Message,
}

impl KeyOptions {
    /// The name of the key.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        let KeyTable { name, column, columns, .. } = &self.table;
        match (name, column, columns.as_slice()) {
            (Some(name), ..) | (None, Some(name), _) => name.into(),
            (None, None, []) => DEFAULT_NAME.into(),
            (None, None, columns) => columns.join(self.separator()).into(),
        }
    }

    /// The columns or properties that make it, in order.
    pub(crate) fn columns(&self) -> &[String] {
        self.table.column.as_ref().map_or(&self.table.columns, std::slice::from_ref)
    }

    pub(crate) fn separator(&self) -> &str {
        self.table.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR)
    }

    /// The key of all records.
    pub(crate) fn value(&self) -> Option<&str> {
        self.table.value.as_deref()
    }

    /// Whether it is the message's.
    pub(crate) fn is_message(&self) -> bool {
        self.table.from == Some(OutsideKey::Message)
    }

    /// The key for decoders.
    pub(crate) fn key(&self) -> Key {
        let origin = match self.value() {
            Some(value) => KeyOrigin::Value(value.into()),
            None if self.is_message() => KeyOrigin::Message,
            None => KeyOrigin::Columns(self.columns().to_vec(), self.separator().to_owned()),
        };
        Key { name: self.name().as_ref().into(), origin }
    }

    /// The places of the columns in the configuration.
    pub(crate) fn column_places(&self) -> impl Iterator<Item = (Vec<String>, &str)> {
        let place = if self.is_name { &["key"][..] } else { &["key", "column"] };
        let place = move || place.iter().map(|key| (*key).to_owned()).collect();
        let single = self.table.column.iter().map(move |name| (place(), name.as_str()));
        let several = self.table.columns.iter().enumerate();
        let several = several
            .map(|(index, name)| (vec!["key".to_owned(), "columns".to_owned(), index.to_string()], name.as_str()));
        single.chain(several)
    }

    /// The problems of a key by itself; `has_messages` where records are messages, which have keys of their own.
    pub(crate) fn check(&self, has_messages: bool) -> Vec<Problem> {
        let KeyTable { name, value, column, columns, separator, from } = &self.table;
        let mut problems = Vec::new();
        let origins = [value.is_some(), column.is_some(), !columns.is_empty(), from.is_some()];
        match origins.iter().filter(|is_there| **is_there).count() {
            0 => problems.push(
                Problem::new(["key"], "the key says neither its `column` nor its `value`")
                    .help("key = { column = \"station\" }, or key = { name = \"station\", value = \"uci\" }"),
            ),
            1 => {}
            _ if columns.is_empty() && from.is_none() => {
                problems.push(Problem::new(["key"], "a key is a `column` or a `value`, not both"));
            }
            _ => problems.push(Problem::new(
                ["key"],
                "a key is one of `column`, `columns`, `value` and `from`, and no two of them",
            )),
        }
        if value.is_some() && column.is_none() && name.is_none() {
            problems.push(Problem::new(["key"], "a key with a `value` needs a `name`"));
        }
        if value.as_ref().is_some_and(|value| value.len() > KEY_BYTES_MAX) {
            problems.push(Problem::new(["key", "value"], format!("a key has at most {KEY_BYTES_MAX} bytes")));
        }
        if from.is_some() && !has_messages {
            problems.push(
                Problem::new(["key", "from"], "the rows of a file have no message whose key this could be")
                    .help("`key = { name = \"station\", value = \"…\" }` is the key of all of them"),
            );
        }
        if separator.is_some() && columns.is_empty() {
            problems.push(Problem::new(["key", "separator"], "only `columns` are joined by a separator").at_key());
        }
        if separator.as_deref() == Some("") && columns.len() > 1 {
            let message = "without a separator different parts make the same key: `1` and `23`, `12` and `3`";
            problems.push(Problem::new(["key", "separator"], message));
        }
        for (index, name) in columns.iter().enumerate() {
            if columns[..index].contains(name) {
                let at = index.to_string();
                problems.push(Problem::new(["key", "columns", &at], format!("`{name}` is named twice")));
            }
        }
        for (path, _) in self.column_places().filter(|(_, name)| name.is_empty()) {
            problems.push(Problem::new(path, "the name is empty"));
        }
        match name.as_deref() {
            Some("") => problems.push(Problem::new(["key", "name"], "the name is empty")),
            Some(TIMESTAMP) => {
                problems.push(Problem::new(["key", "name"], "that name is reserved for the time of a record"));
            }
            _ => {}
        }
        problems
    }
}

impl<'de> Deserialize<'de> for KeyOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = KeyOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a table")
            }

            fn visit_str<E: de::Error>(self, column: &str) -> Result<KeyOptions, E> {
                let table = KeyTable { column: Some(column.to_owned()), ..KeyTable::default() };
                Ok(KeyOptions { table, is_name: true })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<KeyOptions, A::Error> {
                KeyTable::deserialize(MapAccessDeserializer::new(map)).map(|table| KeyOptions { table, is_name: false })
            }
        }

        deserializer.deserialize_any(KeyVisitor)
    }
}

impl JsonSchema for KeyOptions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    /// The table's schema, in which a text is right as well: that way a mistake in the table is told with its own place.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = KeyTable::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["string", "object"]));
        schema
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(value: serde_json::Value) -> KeyOptions {
        serde_json::from_value(value).expect("a key")
    }

    #[test]
    fn a_name_is_a_column_and_a_table_says_where_else_the_key_comes_from() {
        for (value, name, origin) in [
            (json!("site"), "site", KeyOrigin::Columns(vec!["site".into()], "-".into())),
            (json!({"column": "site", "name": "s"}), "s", KeyOrigin::Columns(vec!["site".into()], "-".into())),
            (
                json!({"columns": ["a", "b"], "separator": "/"}),
                "a/b",
                KeyOrigin::Columns(vec!["a".into(), "b".into()], "/".into()),
            ),
            (json!({"from": "message"}), "key", KeyOrigin::Message),
            (json!({"value": "uci", "name": "station"}), "station", KeyOrigin::Value("uci".into())),
        ] {
            let options = options(value.clone());
            assert!(options.check(true).is_empty(), "{value}");
            assert_eq!(options.key(), Key { name: name.into(), origin }, "{value}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_at_its_place() {
        for (value, place) in [
            (json!({"columns": ["a"], "value": "x", "name": "n"}), "key"),
            (json!({"column": "a", "from": "message"}), "key"),
            (json!({"name": "n"}), "key"),
            (json!({"column": "a", "separator": "/"}), "key/separator"),
            (json!({"columns": ["a", "b"], "separator": ""}), "key/separator"),
            (json!({"columns": ["a", "b", "a"]}), "key/columns/2"),
            (json!({"columns": ["a", ""]}), "key/columns/1"),
            (json!({"column": "a", "name": "timestamp"}), "key/name"),
        ] {
            let problems = options(value.clone()).check(true);
            assert_eq!(problems.iter().map(|problem| problem.path.join("/")).collect::<Vec<_>>(), [place], "{value}");
        }
        assert_eq!(options(json!({"from": "message"})).check(false)[0].path, ["key", "from"]);
        assert!(serde_json::from_value::<KeyOptions>(json!({"colunm": "a"})).is_err());
        assert!(serde_json::from_value::<KeyOptions>(json!({"from": "file"})).is_err());
    }
}
