//! Schemas behind references and in combinations.

use serde_json::Value as Json;

/// The depth to which a schema is followed: a type may contain itself.
pub(super) const SCHEMA_DEPTH_MAX: usize = 16;

/// The target of a `$ref` within the same schema.
pub(super) fn target_of<'a>(target: &str, root: &'a Json) -> Option<&'a Json> {
    root.pointer(target.strip_prefix('#')?)
}

/// The schema behind `$ref`s.
pub(in crate::config) fn resolve<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let mut schema = schema;
    for _ in 0..SCHEMA_DEPTH_MAX {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|target| target_of(target, root));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// A schema with all schemas for the same value in it: behind `$ref`, `allOf`, `anyOf`, `oneOf`, `then` and `else`.
pub(in crate::config) fn subschemas<'a>(schema: &'a Json, root: &'a Json) -> Vec<&'a Json> {
    let mut found = Vec::new();
    collect(schema, root, 0, &mut found);
    found
}

fn collect<'a>(schema: &'a Json, root: &'a Json, depth: usize, found: &mut Vec<&'a Json>) {
    if depth > SCHEMA_DEPTH_MAX || !schema.is_object() {
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

/// The schema behind references, and behind the `null` that stands for an absent option.
pub(in crate::config) fn non_null<'a>(schema: &'a Json, root: &'a Json) -> &'a Json {
    let schema = resolve(schema, root);
    let branches = schema.get("anyOf").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let mut others = branches.iter().filter(|branch| branch.get("type").and_then(Json::as_str) != Some("null"));
    match (others.next(), others.next()) {
        (Some(only), None) => resolve(only, root),
        _ => schema,
    }
}
