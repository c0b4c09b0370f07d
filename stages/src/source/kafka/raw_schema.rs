//! What a dead letter keeps beside the bytes of its message: its key, where that is the record's.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct RawSchema {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// A key that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_bytes: Option<Vec<u8>>,
}

/// The text for a message with this key.
pub(super) fn text(key: &[u8]) -> String {
    let schema = match std::str::from_utf8(key) {
        Ok(key) => RawSchema { key: Some(key.to_owned()), ..RawSchema::default() },
        Err(_) => RawSchema { key_bytes: Some(key.to_vec()), ..RawSchema::default() },
    };
    // A text or numbers: nothing that cannot be serialised.
    serde_json::to_string(&schema).unwrap_or_default()
}

/// The key in a text.
pub(super) fn key(text: Option<&str>) -> Option<Vec<u8>> {
    let schema: RawSchema = text.and_then(|text| serde_json::from_str(text).ok())?;
    schema.key.map(String::into_bytes).or(schema.key_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_whatever_its_bytes_are() {
        for bytes in [&b"EastCity"[..], "Zürich".as_bytes(), b"", b"a\xff\"\0"] {
            assert_eq!(key(Some(&text(bytes))).as_deref(), Some(bytes));
        }
        assert_eq!(text(b"n"), r#"{"key":"n"}"#);
        assert_eq!((key(None), key(Some("{}")), key(Some("no JSON"))), (None, None, None));
    }
}
