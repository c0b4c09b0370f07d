//! What of the options decides the content of the output: whether a completed run would come out differently now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::node::{Node, Table, table_to_json};
use super::options::meant;
use crate::stage::Descriptor;

/// A checksum (CRC-32) of those options of stages, in the order of the data. An option that says what its default says
/// counts as absent, so that neither writing it down nor a default that a new version brings changes anything.
pub(super) fn digest<'a>(stages: impl IntoIterator<Item = (&'a Descriptor, &'a Node)>) -> u32 {
    let mut text = String::new();
    for (stage, node) in stages {
        let schema = stage.schema().to_value();
        let mut table = table_to_json(node.table().unwrap_or(&Table::default()), &Descriptor::ENGINE_KEYS);
        if let Some(table) = table.as_object_mut() {
            table.retain(|key, _| !stage.beside_content.contains(&key.as_str()));
        }
        let _ = writeln!(text, "{} {} {}", stage.role, stage.name, said(&table, &schema, &schema));
    }
    crc32fast::hash(text.as_bytes())
}

/// A value in a text that is the same for every order of keys, without what its schema has as a default.
fn said(value: &Json, schema: &Json, root: &Json) -> String {
    let schema = meant(schema, root);
    match value {
        Json::Object(table) => {
            let of = |key: &str| {
                let own = schema.get("properties").and_then(|properties| properties.get(key));
                own.or_else(|| schema.get("additionalProperties")).unwrap_or(&Json::Null)
            };
            let entry = |(key, value): (&String, &Json)| {
                let schema = of(key);
                let text = said(value, schema, root);
                // A table that says nothing but defaults says nothing.
                let default =
                    schema.get("default").map_or_else(|| NOTHING.to_owned(), |default| said(default, schema, root));
                (text != default).then(|| (key.clone(), text))
            };
            let entries: BTreeMap<String, String> = table.iter().filter_map(entry).collect();
            format!("{entries:?}")
        }
        Json::Array(items) => {
            let item = schema.get("items").unwrap_or(&Json::Null);
            format!("{:?}", items.iter().map(|value| said(value, item, root)).collect::<Vec<_>>())
        }
        // 3 and 3.0 are one number.
        Json::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

/// A table without entries.
const NOTHING: &str = "{}";
