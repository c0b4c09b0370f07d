//! The option `marks`: true, false or a word.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::codec::csv::Marks;

/// How the quality of values is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MarksOption(pub(super) Marks);

/// The word for a column of flags a field.
const COLUMNS: &str = "columns";

impl<'de> Deserialize<'de> for MarksOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MarksVisitor;
        impl Visitor<'_> for MarksVisitor {
            type Value = MarksOption;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or \"columns\"")
            }

            fn visit_bool<E: de::Error>(self, there: bool) -> Result<MarksOption, E> {
                Ok(MarksOption(if there { Marks::Text } else { Marks::None }))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<MarksOption, E> {
                match word {
                    COLUMNS => Ok(MarksOption(Marks::Columns)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(MarksVisitor)
    }
}

impl Serialize for MarksOption {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Marks::None => serializer.serialize_bool(false),
            Marks::Text => serializer.serialize_bool(true),
            Marks::Columns => serializer.serialize_str(COLUMNS),
        }
    }
}

impl JsonSchema for MarksOption {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Marks".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "enum": [COLUMNS] }] })
    }
}
