//! The JSON Schema of whole pipelines, for completion and checks in editors.

use serde_json::{Map, Value as Json, json};

use super::schema::{TypeSet, resolve};
use super::settings;
use crate::stage::{Descriptor, Registry, Role};

/// The JSON Schema (draft 2020-12) of pipelines made of these stages. Whatever it rejects, loading rejects, too. It accepts
/// a variable of the environment (`"${VAR}"`) in place of every value.
#[must_use]
pub fn pipeline_schema(registry: &Registry) -> Json {
    let mut own = settings::schema();
    let mut definitions = Map::new();
    let mut properties = take(&mut own, "properties");
    definitions.extend(take(&mut own, "$defs"));
    for role in Role::ALL {
        let stage = json!({ "$ref": format!("#/$defs/{}", role.key()) });
        let schema = match role {
            Role::Transform => json!({ "description": about(role), "type": "array", "items": stage }),
            _ => json!({ "description": about(role), "$ref": stage["$ref"] }),
        };
        properties.insert(role.key().to_owned(), schema);
        definitions.insert(role.key().to_owned(), of_role(registry, role));
        for stage in registry.iter().filter(|stage| stage.role == role) {
            of_stage(stage, &mut definitions);
        }
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "aqpipe pipeline",
        "description": "One source, any number of transforms and one sink, in the order in which records flow.",
        "type": "object",
        "properties": properties,
        "required": ["name", Role::Source.key(), Role::Sink.key()],
        "additionalProperties": false,
        "$defs": definitions,
    });
    let whole = schema.clone();
    let roles = Role::ALL.map(Role::key);
    each_property(&mut schema, &mut |key, value| {
        // The environment gives no stage and no `type`.
        if !roles.contains(&key) {
            accept_variables(value, &whole);
        }
    });
    schema
}

fn about(role: Role) -> &'static str {
    match role {
        Role::Source => "Where records come from.",
        Role::Transform => "What is done to records, in order.",
        Role::Sink => "Where records go.",
        Role::DeadLetter => "Where records go that could not be carried. Without it, the first one stops the pipeline.",
    }
}

/// The schema of a role: `type` selects the schema of the stage.
fn of_role(registry: &Registry, role: Role) -> Json {
    let names: Vec<_> = registry.names(role).collect();
    let known = registry.iter().filter(|stage| stage.role == role);
    let branches: Vec<_> = known
        .map(|stage| {
            json!({
                "if": { "properties": { "type": { "const": stage.name } }, "required": ["type"] },
                "then": { "$ref": format!("#/$defs/{}", definition(stage)) },
            })
        })
        .collect();
    json!({
        "type": "object",
        "properties": { "type": { "description": format!("Which {role}."), "enum": names } },
        "required": ["type"],
        "allOf": branches,
    })
}

fn definition(stage: &Descriptor) -> String {
    format!("{}.{}", stage.role.key(), stage.name)
}

/// Adds a stage's schema, with the engine's keys, and its inner definitions under its name.
fn of_stage(stage: &Descriptor, definitions: &mut Map<String, Json>) {
    let name = definition(stage);
    let mut schema = stage.schema().to_value();
    rename_references(&mut schema, &name);
    for (inner, definition) in take(&mut schema, "$defs") {
        definitions.insert(format!("{name}.{inner}"), definition);
    }
    let mut properties = Map::new();
    properties
        .insert("type".to_owned(), json!({ "description": format!("This {}.", stage.role), "const": stage.name }));
    let id = json!({
        "description": "What messages and `--set` call this stage; its type where absent.",
        "type": "string",
        "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
        "patternErrorMessage": "must be of letters, digits, `_` and `-`, and begin with a letter, such as \"fill_gaps\"",
        "maxLength": 100,
    });
    properties.insert("id".to_owned(), id);
    properties.extend(take(&mut schema, "properties"));
    if let Some(object) = schema.as_object_mut() {
        object.shift_remove("$schema");
        object.insert("properties".to_owned(), properties.into());
    }
    definitions.insert(name, schema);
}

fn take(schema: &mut Json, key: &str) -> Map<String, Json> {
    match schema.as_object_mut().and_then(|object| object.shift_remove(key)) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    }
}

fn rename_references(schema: &mut Json, name: &str) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::String(target)) = object.get_mut("$ref")
                && let Some(inner) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/$defs/{name}.{inner}");
            }
            object.values_mut().for_each(|value| rename_references(value, name));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rename_references(item, name)),
        _ => {}
    }
}

/// Visits the schema of each value, at every depth. It leaves conditions alone: an `if` or a `not` that accepts more rejects
/// more.
fn each_property(schema: &mut Json, visit: &mut impl FnMut(&str, &mut Json)) {
    let Some(object) = schema.as_object_mut() else { return };
    for (keyword, inner) in object.iter_mut() {
        match (keyword.as_str(), inner) {
            ("properties" | "patternProperties", Json::Object(properties)) => {
                for (key, value) in properties.iter_mut() {
                    each_property(value, visit);
                    visit(key, value);
                }
            }
            ("$defs", Json::Object(definitions)) => {
                definitions.values_mut().for_each(|definition| each_property(definition, visit));
            }
            ("items" | "additionalProperties", value) if value.is_object() => {
                each_property(value, visit);
                visit("", value);
            }
            ("prefixItems", Json::Array(items)) => {
                for value in items {
                    each_property(value, visit);
                    visit("", value);
                }
            }
            ("anyOf" | "oneOf" | "allOf", Json::Array(branches)) => {
                branches.iter_mut().for_each(|branch| each_property(branch, visit));
            }
            ("then" | "else", branch) => each_property(branch, visit),
            _ => {}
        }
    }
}

/// Makes a schema accept a string with a variable, unless it accepts every string or nothing.
fn accept_variables(schema: &mut Json, whole: &Json) {
    if !schema.is_object() || takes_any_string(schema, whole) {
        return;
    }
    let limited = TypeSet::of(schema, whole).has(TypeSet::STRING);
    // A string of a certain form may contain a variable, or a doubled dollar sign, at any place.
    let pattern = if limited { "\\$[{$]" } else { "^\\$\\{" };
    let Some(object) = schema.as_object_mut() else { return };
    let mut outer = Map::new();
    for key in ["title", "description", "default"] {
        if let Some(value) = object.shift_remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    let variable = json!({ "description": "A variable of the environment.", "type": "string", "pattern": pattern });
    outer.insert("anyOf".to_owned(), json!([schema.take(), variable]));
    *schema = outer.into();
}

fn takes_any_string(schema: &Json, whole: &Json) -> bool {
    let schema = resolve(schema, whole);
    let Some(object) = schema.as_object() else { return true };
    let limits = ["enum", "const", "pattern", "minLength", "maxLength", "format", "allOf", "not", "if", "$ref"];
    if limits.iter().any(|limit| object.contains_key(*limit)) {
        return false;
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(Json::Array(branches)) = object.get(choice) {
            return branches.iter().any(|branch| takes_any_string(branch, whole));
        }
    }
    match object.get("type") {
        None => true,
        Some(Json::Array(types)) => types.iter().any(|name| name == "string"),
        Some(name) => name == "string",
    }
}
