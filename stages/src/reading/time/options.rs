//! The option `timestamp` of every source.

use std::fmt;

use aqpipe_engine::record::TIMESTAMP;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::seconds::Seconds;

/// Where the time of a record is, and how it is written: the name of its column or property, or a table.
#[derive(Clone, Debug, PartialEq)]
pub enum TimestampOptions {
    /// The column or the property.
    Name(String),
    /// The table.
    Table(Box<TimestampTable>),
}

/// Where the time of a record is, and how it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampTable {
    /// Its column, in CSV. Absent, and without `columns`: `timestamp`.
    #[serde(default)]
    pub(super) column: Option<String>,
    /// Its columns, in CSV, joined by a blank where date and time stand apart.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// Its property, in JSON. Absent, and without `paths`: `timestamp`.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// Its properties, in JSON, joined by a blank where date and time stand apart.
    #[serde(default)]
    pub(super) paths: Vec<String>,
    /// `message`: the time that Kafka has for each message, instead of one in the record.
    #[serde(default)]
    pub(super) from: Option<TimestampFrom>,
    /// How it is written: in the directives of `strftime`, such as `%d/%m/%Y %H.%M.%S`, or as a number since 1970 in
    /// seconds (`unix`), milliseconds (`unix_ms`), microseconds (`unix_us`) or nanoseconds (`unix_ns`), with or without a
    /// fraction, or as `rfc3339`; or several of these, tried in order. Absent: `iso8601`, that is ISO 8601 and RFC 3339 in their
    /// usual spellings, of the years 1900 to 2199. Days and months are never guessed, a fraction is rounded to microseconds (but
    /// digits of `unix_ns` below a microsecond are refused), and hour 24 is hour 0 of the next day. `%H%M` that stands by itself, between blanks or in a column of its own, may have lost its
    /// leading zeros (`930`, `5`), and so may `%H%M%S` (`93000`) and the hours of `%z` (`-5`). `%Y-%m`, a month alone, is its first day.
    #[serde(default)]
    pub(super) format: Option<Formats>,
    /// Which one is meant of two instants at which the clock of `timezone` shows the same, where the records of the same key
    /// before it do not tell.
    #[serde(default)]
    pub(super) ambiguous: Option<Ambiguous>,
    /// Whether times stand for the beginning of their `interval` or for its end. Those of its end are moved to its
    /// beginning, where other data have theirs. Absent, they are left as they are.
    #[serde(default)]
    pub(super) marks: Option<Marks>,
    /// The interval that `marks` speaks of, such as `"1h"`. Of days, the days of the clock of `timezone`.
    #[serde(default)]
    pub(super) interval: Option<Seconds>,
}

/// Where a time comes from that is in no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TimestampFrom {
    /// The time that Kafka has for the message.
    Message,
}

/// Which of two instants is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Ambiguous {
    /// The one before the clock was put back.
    #[default]
    Earlier,
    /// The one after it was put back.
    Later,
    /// None: the record becomes a dead letter.
    Reject,
}

/// What a time stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Marks {
    /// The beginning of its interval.
    Begin,
    /// The end of its interval.
    End,
}

/// The formats to try, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats(pub(super) Vec<String>);

impl Default for TimestampOptions {
    fn default() -> TimestampOptions {
        TimestampOptions::Table(Box::default())
    }
}

impl TimestampOptions {
    /// The columns or properties to join; none where the time is that of the message.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            TimestampOptions::Name(name) => vec![name],
            TimestampOptions::Table(table) if table.from.is_some() => Vec::new(),
            TimestampOptions::Table(table) => {
                let several = if table.columns.is_empty() { &table.paths } else { &table.columns };
                match table.column.as_deref().or(table.path.as_deref()) {
                    Some(name) => vec![name],
                    None if several.is_empty() => vec![TIMESTAMP],
                    None => several.iter().map(String::as_str).collect(),
                }
            }
        }
    }

    /// The keys that lead to the names.
    pub(crate) fn place(&self) -> Vec<&'static str> {
        let Some(table) = self.table() else { return vec!["timestamp"] };
        let key = match (&table.column, &table.path) {
            (Some(_), _) => "column",
            (None, Some(_)) => "path",
            (None, None) if table.paths.is_empty() => "columns",
            (None, None) => "paths",
        };
        vec!["timestamp", key]
    }

    /// Whether the time is the one that Kafka has for the message.
    #[must_use]
    pub fn is_of_message(&self) -> bool {
        matches!(self, TimestampOptions::Table(table) if table.from.is_some())
    }

    /// The table, where there is one.
    pub(super) fn table(&self) -> Option<&TimestampTable> {
        match self {
            TimestampOptions::Name(_) => None,
            TimestampOptions::Table(table) => Some(table),
        }
    }

    /// The formats, in order; none where it is the default.
    pub(super) fn formats(&self) -> &[String] {
        self.table().and_then(|table| table.format.as_ref()).map_or(&[], |formats| &formats.0)
    }
}

impl<'de> Deserialize<'de> for TimestampOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OptionsVisitor;

        impl<'de> Visitor<'de> for OptionsVisitor {
            type Value = TimestampOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a table")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<TimestampOptions, E> {
                Ok(TimestampOptions::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimestampOptions, A::Error> {
                TimestampTable::deserialize(MapAccessDeserializer::new(map))
                    .map(|table| TimestampOptions::Table(Box::new(table)))
            }
        }

        deserializer.deserialize_any(OptionsVisitor)
    }
}

impl JsonSchema for TimestampOptions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimestampOptions".into()
    }

    /// The table's schema, in which a text is right as well: that way a mistake in the table is told with its own place.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = TimestampTable::json_schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["string", "object"]));
        schema.insert("minLength".to_owned(), 1.into());
        schema
    }
}

impl<'de> Deserialize<'de> for Formats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormatsVisitor;

        impl<'de> Visitor<'de> for FormatsVisitor {
            type Value = Formats;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a format or several")
            }

            fn visit_str<E: de::Error>(self, format: &str) -> Result<Formats, E> {
                Ok(Formats(vec![format.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Formats, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Formats)
            }
        }

        deserializer.deserialize_any(FormatsVisitor)
    }
}

impl JsonSchema for Formats {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Formats".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": FORMATS_MAX },
        ] })
    }
}

/// Formats that are tried: a record that none of them reads costs the time of all.
const FORMATS_MAX: usize = 16;
