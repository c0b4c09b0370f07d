//! Gives values from outside their types: text of the command line or the environment becomes a string or TOML, whichever
//! the schema of its key asks for.

use serde_json::Value as Json;

use super::node::{HiddenValue, Node, Value};
use super::schema::{TypeSet, subschemas};
use super::schemas::Schemas;
use crate::stage::{Descriptor, Role};

/// Coerces every untyped value of a document. Values that a schema calls `writeOnly` are secrets, whatever their keys are
/// called: they are added to `hidden`.
pub(super) fn coerce(root: &mut Node, schemas: &Schemas<'_>, hidden: &mut Vec<HiddenValue>) {
    let Value::Table(table) = &mut root.value else { return };
    let settings = &schemas.settings;
    for entry in &mut table.0 {
        let node = &mut entry.node;
        if let Some(schema) = settings["properties"].get(&entry.key) {
            coerce_by(node, &[schema], settings, hidden);
        } else if let Some(role) = Role::ALL.into_iter().find(|role| role.key() == entry.key) {
            coerce_role(role, node, schemas, hidden);
        }
        // Where no schema is known, a string is the value as it was given.
        text_below(node);
    }
}

/// Coerces the table of a stage, or the tables of all transforms.
fn coerce_role(role: Role, node: &mut Node, schemas: &Schemas<'_>, hidden: &mut Vec<HiddenValue>) {
    node.untyped_to_toml();
    match &mut node.value {
        Value::Array(items) if role == Role::Transform => {
            for item in items {
                item.untyped_to_toml();
                coerce_stage(role, item, schemas, hidden);
            }
        }
        Value::Table(_) if role != Role::Transform => coerce_stage(role, node, schemas, hidden),
        _ => {}
    }
}

fn coerce_stage(role: Role, node: &mut Node, schemas: &Schemas<'_>, hidden: &mut Vec<HiddenValue>) {
    let Value::Table(table) = &mut node.value else { return };
    for key in Descriptor::ENGINE_KEYS {
        table.get_mut(key).into_iter().for_each(Node::untyped_to_text);
    }
    let name = table.get("type").and_then(Node::text);
    if let Some(stage) = name.and_then(|name| schemas.stage(role, name)) {
        coerce_by(node, &[stage.schema], stage.schema, hidden);
    }
}

/// Coerces a value and everything in it. Where the schemas accept only strings, the text is taken as it is; else TOML comes
/// first.
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

/// The types that any of the schemas accepts, leaving out schemas that accept all.
fn wanted(schemas: &[&Json], root: &Json) -> TypeSet {
    let types = schemas.iter().map(|schema| TypeSet::of(schema, root)).filter(|types| *types != TypeSet::ALL);
    match types.fold(TypeSet::NONE, |types, more| types | more) {
        TypeSet::NONE => TypeSet::ALL,
        types => types,
    }
}

fn choose(text: String, parsed: Option<Box<Node>>, wanted: TypeSet) -> Value {
    match parsed {
        // Only strings are accepted: quotes, if any, belong to the value.
        _ if wanted == TypeSet::STRING => Value::Text(text),
        Some(parsed) if wanted.has(TypeSet::of_value(&parsed.value)) => parsed.value,
        Some(parsed) if !wanted.has(TypeSet::STRING) => parsed.value,
        _ => Value::Text(text),
    }
}

/// Takes every value that is still untyped as a string.
fn text_below(node: &mut Node) {
    node.untyped_to_text();
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(text_below),
        Value::Table(table) => table.0.iter_mut().for_each(|entry| text_below(&mut entry.node)),
        _ => {}
    }
}
