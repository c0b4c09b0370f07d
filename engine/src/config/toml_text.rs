//! Paths and values written as TOML.

use serde_json::Value as Json;

/// A path of keys and indices in TOML: `steps[0].limit`, `ranges."CO(GT)".max`.
pub(super) fn quote_path<S: AsRef<str>>(path: &[S]) -> String {
    let mut text = String::new();
    for segment in path {
        let segment = segment.as_ref();
        if !text.is_empty() && segment.parse::<usize>().is_ok() {
            text.push_str(&format!("[{segment}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !segment.is_empty() && segment.chars().all(bare) {
            text.push_str(segment);
        } else {
            text.push_str(&format!("{segment:?}"));
        }
    }
    text
}

/// A JSON value in TOML.
pub(super) fn toml_value(value: &Json) -> String {
    match value {
        Json::Object(table) => {
            let entries = table.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<_> =
                entries.map(|(key, value)| format!("{} = {}", quote_path(&[key]), toml_value(value))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        Json::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
