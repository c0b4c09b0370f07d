//! Decides, by the schema, what text from the command line or the environment is: a string, or TOML.

use serde_json::Value as Json;

use super::type_set::{TypeSet, subschemas};
use crate::config::node::{HiddenValue, Node, Value};

/// Settles all loose values below a node: where the schema wants a string the text is taken as it is, else it is read
/// as TOML; where both would do, TOML comes first. Values that the schema calls `writeOnly` are secrets, whatever their
/// keys are called.
pub(in crate::config) fn coerce(node: &mut Node, schema: &Json, root: &Json, hidden: &mut Vec<HiddenValue>) {
    coerce_by(node, &[schema], root, hidden);
}

fn coerce_by(node: &mut Node, schemas: &[&Json], root: &Json, hidden: &mut Vec<HiddenValue>) {
    if matches!(node.value, Value::Untyped { .. }) {
        let wanted = wanted(schemas, root);
        if let Value::Untyped { text, parsed } = std::mem::replace(&mut node.value, Value::Boolean(false)) {
            node.value = choose(text, parsed, wanted);
        }
    }
    let leaves: Vec<&Json> = schemas.iter().flat_map(|schema| subschemas(schema, root)).collect();
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
                coerce_by(&mut entry.node, &below, root, hidden);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let below = lookup(&leaves, |leaf| {
                    leaf.get("prefixItems").and_then(|items| items.get(index)).or_else(|| leaf.get("items"))
                });
                coerce_by(item, &below, root, hidden);
            }
        }
        _ => {}
    }
}

fn lookup<'a>(leaves: &[&'a Json], key: impl Fn(&'a Json) -> Option<&'a Json>) -> Vec<&'a Json> {
    leaves.iter().filter_map(|leaf| key(leaf)).collect()
}

/// The kinds that any of the schemas takes, apart from those that do not say.
fn wanted(schemas: &[&Json], root: &Json) -> TypeSet {
    let types = schemas.iter().map(|schema| TypeSet::of(schema, root)).filter(|types| *types != TypeSet::ALL);
    match types.fold(TypeSet::NONE, |types, more| types | more) {
        TypeSet::NONE => TypeSet::ALL,
        types => types,
    }
}

fn choose(text: String, parsed: Option<Box<Node>>, wanted: TypeSet) -> Value {
    match parsed {
        // A string alone is wanted: quotes, if any, are meant.
        _ if wanted == TypeSet::STRING => Value::Text(text),
        Some(parsed) if wanted.has(TypeSet::of_value(&parsed.value)) => parsed.value,
        Some(parsed) if !wanted.has(TypeSet::STRING) => parsed.value,
        _ => Value::Text(text),
    }
}
