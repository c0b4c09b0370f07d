//! The options of a stage, and a pipeline's own, read from their JSON Schemas, for `aqpipe stages` and the documentation.

use serde_json::Value as Json;

use super::schema::{TypeSet, non_null};
use super::settings;
use super::toml_text::toml_value;
use crate::stage::Descriptor;

/// One option of a stage or of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionDoc {
    /// Its key, below the keys of the tables around it: `replay.speed`, `steps[].limit`, `ranges.*.min`.
    pub key: String,
    /// Its type and bounds: `string`, `integer, at least 1`, `"flag"`, `"null"` or `"reject"`.
    pub kind: String,
    /// Its default in TOML.
    pub default: Option<String>,
    /// Whether it has to be given.
    pub required: bool,
    /// Its documentation, on one line.
    pub doc: String,
}

/// The options of a stage in the order of their declaration, each table followed by the options in it.
#[must_use]
pub fn options(stage: &Descriptor) -> Vec<OptionDoc> {
    of_root(&stage.schema().to_value())
}

/// A pipeline's own keys: its name and its settings, in the order of their declaration.
#[must_use]
pub fn pipeline_options() -> Vec<OptionDoc> {
    of_root(&settings::schema())
}

fn of_root(root: &Json) -> Vec<OptionDoc> {
    let mut list = Vec::new();
    of_table(root, root, "", 0, &mut list);
    list
}

/// The depth to which inner tables are listed: a table may contain itself.
const TABLE_DEPTH_MAX: usize = 6;

fn of_table(table: &Json, root: &Json, prefix: &str, depth: usize, list: &mut Vec<OptionDoc>) {
    let required: Vec<&str> =
        table.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    for (key, schema) in table.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let key_path = format!("{prefix}{key}");
        let inner = non_null(schema, root);
        let doc = schema.get("description").or_else(|| inner.get("description")).and_then(Json::as_str);
        list.push(OptionDoc {
            kind: kind(schema, root),
            default: schema.get("default").filter(|default| !default.is_null()).map(toml_value),
            required: required.contains(&key.as_str()),
            doc: doc.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
            key: key_path.clone(),
        });
        if depth < TABLE_DEPTH_MAX {
            below(inner, root, &key_path, depth + 1, list);
        }
    }
}

fn below(schema: &Json, root: &Json, path: &str, depth: usize, list: &mut Vec<OptionDoc>) {
    if schema.get("properties").is_some() {
        of_table(schema, root, &format!("{path}."), depth, list);
    } else if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        below(non_null(values, root), root, &format!("{path}.*"), depth, list);
    } else if let Some(items) = schema.get("items") {
        below(non_null(items, root), root, &format!("{path}[]"), depth, list);
    }
}

/// The type and bounds of a schema, in words.
fn kind(schema: &Json, root: &Json) -> String {
    let schema = non_null(schema, root);
    let words = words(schema);
    if !words.is_empty() {
        return words.join(", ");
    }
    if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        let kinds = branches.iter().filter(|branch| branch.get("type").and_then(Json::as_str) != Some("null"));
        return kinds.map(|branch| kind(branch, root)).collect::<Vec<_>>().join(" or ");
    }
    let types = TypeSet::of(schema, root);
    let mut text = if types == TypeSet::ALL {
        "anything".to_owned()
    } else if types == TypeSet::ARRAY {
        match schema.get("items") {
            Some(items) => format!("array of {}", kind(items, root)),
            None => "array".to_owned(),
        }
    } else if types == TypeSet::TABLE {
        match schema.get("additionalProperties").filter(|values| values.is_object()) {
            Some(values) => format!("table of {}", kind(values, root)),
            None => "table".to_owned(),
        }
    } else {
        let words = types.words().replace(" a ", " ").replace(" an ", " ");
        ["an ", "a "].iter().find_map(|article| words.strip_prefix(article)).unwrap_or(&words).to_owned()
    };
    let bounds =
        [("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"), ("exclusiveMaximum", "below")];
    for (key, word) in bounds {
        if let Some(limit) = schema.get(key).and_then(Json::as_f64)
            && !(key == "minimum" && limit == 0.0 && schema.get("format").is_some_and(is_unsigned))
        {
            text.push_str(&format!(", {word} {limit}"));
        }
    }
    text
}

fn is_unsigned(format: &Json) -> bool {
    format.as_str().is_some_and(|format| format.starts_with("uint"))
}

/// The values of a schema that enumerates them.
fn words(schema: &Json) -> Vec<String> {
    let list = |key: &str| schema.get(key).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let mut words: Vec<&Json> = list("enum").iter().chain(schema.get("const")).collect();
    if !list("oneOf").is_empty() {
        let branches: Vec<_> = list("oneOf").iter().map(|branch| words_of(branch)).collect();
        if branches.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        words.extend(branches.into_iter().flatten());
    }
    words.into_iter().filter(|word| !word.is_null()).map(toml_value).collect()
}

fn words_of(branch: &Json) -> Vec<&Json> {
    let several = branch.get("enum").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    several.iter().chain(branch.get("const")).collect()
}
