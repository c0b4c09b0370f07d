//! What a dead letter keeps beside the bytes of its message: the key of its record and its time, where the bytes do not say them.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// A key that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_bytes: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<(i64, i16)>,
}

/// What the bytes of a message do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RawSchema {
    pub(super) key: Option<Vec<u8>>,
    /// In microseconds since 1970, with the minutes east of UTC of its clock.
    pub(super) time: Option<(i64, i16)>,
}

impl RawSchema {
    /// As text; `None` where there is nothing to keep.
    pub(super) fn text(self) -> Option<String> {
        let RawSchema { key, time } = self;
        if key.is_none() && time.is_none() {
            return None;
        }
        let (key, key_bytes) = match key.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(key)) => (Some(key), None),
            Some(Err(bytes)) => (None, Some(bytes.into_bytes())),
        };
        // Texts and numbers: nothing that cannot be serialised.
        serde_json::to_string(&Saved { key, key_bytes, time }).ok()
    }

    /// What a text says.
    pub(super) fn parse(text: Option<&str>) -> RawSchema {
        let saved: Option<Saved> = text.and_then(|text| serde_json::from_str(text).ok());
        let Saved { key, key_bytes, time } = saved.unwrap_or_default();
        RawSchema { key: key.map(String::into_bytes).or(key_bytes), time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_whatever_the_bytes_of_the_key_are() {
        for key in [None, Some(&b"EastCity"[..]), Some("Zürich".as_bytes()), Some(b""), Some(b"a\xff\"\0")] {
            for time in [None, Some((-1, 60))] {
                let schema = RawSchema { key: key.map(<[u8]>::to_vec), time };
                let text = schema.clone().text();
                assert_eq!(text.is_none(), schema == RawSchema::default());
                assert_eq!(RawSchema::parse(text.as_deref()), schema);
            }
        }
        assert_eq!(RawSchema::parse(Some("no JSON")), RawSchema::default());
    }
}
