//! The hash of the options that decide what comes out: whether a completed run would come out differently now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::document::Document;
use super::node::{Table, table_to_json};
use super::schema::non_null;
use super::schemas::StageType;
use super::stage_table::StageTable;
use crate::stage::{Descriptor, Role};

/// The CRC-32 of those options, in the order of the data. An option with the value of its default counts as absent, so that
/// neither writing it down nor a new option with a default changes the hash.
pub(super) fn content_hash(document: &Document, stages: &[StageTable<'_>]) -> u32 {
    let mut text = String::new();
    for stage in stages.iter().filter(|stage| stage.role != Role::DeadLetter) {
        let Some(StageType { descriptor, schema }) = stage.stage_type else { continue };
        let node = document.root.find(&stage.path).node;
        let mut table = table_to_json(node.table().unwrap_or(&Table::default()), &Descriptor::ENGINE_KEYS);
        if let Some(table) = table.as_object_mut() {
            table.retain(|key, _| !descriptor.beside_content.contains(&key.as_str()));
        }
        let _ = writeln!(text, "{} {} {}", descriptor.role, descriptor.name, canonical(&table, schema, schema));
    }
    crc32fast::hash(text.as_bytes())
}

/// A value as text, with sorted keys and without the defaults of its schema.
fn canonical(value: &Json, schema: &Json, root: &Json) -> String {
    let schema = non_null(schema, root);
    match value {
        Json::Object(table) => {
            let of = |key: &str| {
                let own = schema.get("properties").and_then(|properties| properties.get(key));
                own.or_else(|| schema.get("additionalProperties")).unwrap_or(&Json::Null)
            };
            let entry = |(key, value): (&String, &Json)| {
                let schema = of(key);
                let text = canonical(value, schema, root);
                // A table of nothing but defaults counts as absent.
                let default = schema
                    .get("default")
                    .map_or_else(|| EMPTY_TABLE.to_owned(), |default| canonical(default, schema, root));
                (text != default).then(|| (key.clone(), text))
            };
            let entries: BTreeMap<String, String> = table.iter().filter_map(entry).collect();
            format!("{entries:?}")
        }
        Json::Array(items) => {
            let item = schema.get("items").unwrap_or(&Json::Null);
            format!("{:?}", items.iter().map(|value| canonical(value, item, root)).collect::<Vec<_>>())
        }
        // 3 and 3.0 are the same number.
        Json::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

/// [`canonical`] of a table without entries.
const EMPTY_TABLE: &str = "{}";
