//! Decides, by the schema, what text from the command line or the environment is: a string, or TOML.

use serde_json::Value as Json;

use super::types::{Types, parts};
use crate::config::node::{Hidden, Node, Value};

/// Settles all loose values below a node: where the schema wants a string the text is taken as it is, else it is read
/// as TOML; where both would do, TOML comes first. Values that the schema calls `writeOnly` are secrets, whatever their
/// keys are called.
pub(in crate::config) fn settle(node: &mut Node, schema: &Json, root: &Json, hidden: &mut Vec<Hidden>) {
    settle_with(node, &[schema], root, hidden);
}

fn settle_with(node: &mut Node, schemas: &[&Json], root: &Json, hidden: &mut Vec<Hidden>) {
    if matches!(node.value, Value::Loose { .. }) {
        let wanted = wanted(schemas, root);
        if let Value::Loose { text, parsed } = std::mem::replace(&mut node.value, Value::Boolean(false)) {
            node.value = choose(text, parsed, wanted);
        }
    }
    let leaves: Vec<&Json> = schemas.iter().flat_map(|schema| parts(schema, root)).collect();
    if leaves.iter().any(|leaf| leaf.get("writeOnly") == Some(&Json::Bool(true))) {
        node.hide(hidden);
    }
    match &mut node.value {
        Value::Table(table) => {
            for entry in &mut table.0 {
                let below = lookup(&leaves, |leaf| {
                    let named = leaf.get("properties").and_then(|properties| properties.get(&entry.key));
                    let patterns = leaf.get("patternProperties").and_then(Json::as_object);
                    let pattern = || patterns.and_then(|patterns| patterns.values().next());
                    named.or_else(pattern).or_else(|| leaf.get("additionalProperties"))
                });
                settle_with(&mut entry.node, &below, root, hidden);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let below = lookup(&leaves, |leaf| {
                    leaf.get("prefixItems").and_then(|items| items.get(index)).or_else(|| leaf.get("items"))
                });
                settle_with(item, &below, root, hidden);
            }
        }
        _ => {}
    }
}

fn lookup<'a>(leaves: &[&'a Json], key: impl Fn(&'a Json) -> Option<&'a Json>) -> Vec<&'a Json> {
    leaves.iter().filter_map(|leaf| key(leaf)).collect()
}

/// The kinds that any of the schemas takes, apart from those that do not say.
fn wanted(schemas: &[&Json], root: &Json) -> Types {
    let types = schemas.iter().map(|schema| Types::of(schema, root)).filter(|types| *types != Types::ALL);
    match types.fold(Types::NONE, |types, more| types | more) {
        Types::NONE => Types::ALL,
        types => types,
    }
}

fn choose(text: String, parsed: Option<Box<Node>>, wanted: Types) -> Value {
    match parsed {
        // A string alone is wanted: quotes, if any, are meant.
        _ if wanted == Types::STRING => Value::Text(text),
        Some(parsed) if wanted.has(Types::of_value(&parsed.value)) => parsed.value,
        Some(parsed) if !wanted.has(Types::STRING) => parsed.value,
        _ => Value::Text(text),
    }
}
