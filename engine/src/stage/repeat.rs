//! When a completed run is repeated.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// When a completed run is repeated from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Where an option that decides the content was changed since, or the input is another one.
    #[default]
    Changed,
    /// At each start.
    Always,
    /// Only by `--rerun`.
    Never,
    /// Only by `--rerun`; each start carries what was added to the input since.
    New,
}

const WORDS: [(&str, Repeat); 4] =
    [("changed", Repeat::Changed), ("always", Repeat::Always), ("never", Repeat::Never), ("new", Repeat::New)];

impl<'de> Deserialize<'de> for Repeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Repeat, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = Repeat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"changed\", \"always\" (or true), \"never\" (or false) or \"new\"")
            }

            fn visit_bool<E: de::Error>(self, always: bool) -> Result<Repeat, E> {
                Ok(if always { Repeat::Always } else { Repeat::Never })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Repeat, E> {
                let word = WORDS.into_iter().find(|(word, _)| *word == text);
                word.map(|(_, repeat)| repeat).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Repeat {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Repeat".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["changed", "always", "never", "new", true, false] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_and_false_are_read_as_always_and_never() {
        for (text, repeat) in [
            ("\"changed\"", Repeat::Changed),
            ("\"always\"", Repeat::Always),
            ("true", Repeat::Always),
            ("\"never\"", Repeat::Never),
            ("false", Repeat::Never),
            ("\"new\"", Repeat::New),
        ] {
            assert_eq!(serde_json::from_str::<Repeat>(text).expect("reads"), repeat, "{text}");
        }
        assert!(serde_json::from_str::<Repeat>("\"newest\"").is_err());
    }
}
