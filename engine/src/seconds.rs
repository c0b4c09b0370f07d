//! Durations as people write them.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// The units and their seconds.
const UNITS: [(&str, f64); 6] =
    [("ms", 0.001), ("s", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// The longest span: a century. What is longer is a slip, and would overflow where it is added to a time.
const SECONDS_MAX: f64 = 36_525.0 * 86_400.0;
/// What is said of a longer one.
const TOO_LONG: &str = "must be at most \"36525d\", which is a century";
/// What is said of one that cannot be read.
const FORM: &str = "must be a span of time above 0, such as \"6h\" or \"90 min\" (ms, s, min, h, d)";

/// A span of time above zero: seconds as a number, or a text such as `"6h"`, `"90 min"`, `"1d 12h"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Seconds {
    secs: f64,
    bare: bool,
}

impl Seconds {
    /// The seconds.
    #[must_use]
    pub fn get(self) -> f64 {
        self.secs
    }

    /// Whether it was written as a number, without a unit.
    #[must_use]
    pub fn is_bare(self) -> bool {
        self.bare
    }

    fn parse(text: &str) -> Option<Seconds> {
        let mut rest = text.trim();
        let mut seconds = 0.0;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let number: f64 = rest[..digits].parse().ok()?;
            rest = rest[digits..].trim_start();
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
            seconds += number * unit;
            rest = rest[letters..].trim_start();
        }
        Seconds::new(seconds, false)
    }

    fn new(secs: f64, bare: bool) -> Option<Seconds> {
        (secs > 0.0).then_some(Seconds { secs, bare })
    }

    fn bounded<E: de::Error>(self) -> Result<Seconds, E> {
        if self.secs <= SECONDS_MAX { Ok(self) } else { Err(E::custom(TOO_LONG)) }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsVisitor;

        impl Visitor<'_> for SecondsVisitor {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds above 0, or a text such as \"6h\" or \"90 min\" (ms, s, min, h, d)")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Seconds, E> {
                let read = Seconds::new(number, true);
                read.ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))?.bounded()
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Seconds, E> {
                self.visit_f64(number as f64)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Seconds, E> {
                self.visit_f64(number as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
                Seconds::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?.bounded()
            }
        }

        deserializer.deserialize_any(SecondsVisitor)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.secs)
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number", "exclusiveMinimum": 0, "maximum": SECONDS_MAX },
                { "type": "string", "pattern": "^\\s*([0-9]+(\\.[0-9]+)?\\s*(ms|s|min|m|h|d)\\s*)+$", "patternErrorMessage": FORM },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_span_is_seconds_or_a_text_with_units() {
        let validator = jsonschema::validator_for(
            &serde_json::to_value(SchemaGenerator::default().root_schema_for::<Seconds>()).expect("a schema"),
        )
        .expect("is a schema");
        let cases = [
            (json!(90), Some(90.0)),
            (json!(0.5), Some(0.5)),
            (json!("6h"), Some(21_600.0)),
            (json!("90 min"), Some(5_400.0)),
            (json!("1d 12h"), Some(129_600.0)),
            (json!("1.5h30s"), Some(5_430.0)),
            (json!("250ms"), Some(0.25)),
            (json!(0), None),
            (json!(-1), None),
            (json!("6"), None),
            (json!("6 hours"), None),
            (json!("h"), None),
            (json!(""), None),
            (json!("-6h"), None),
            (json!(true), None),
            (json!("36525d"), Some(SECONDS_MAX)),
            (json!(1e300), None),
        ];
        for (value, expected) in cases {
            let read = serde_json::from_value::<Seconds>(value.clone()).ok();
            assert_eq!(read.map(Seconds::get), expected, "{value}");
            assert_eq!(validator.is_valid(&value), expected.is_some(), "the schema says the same: {value}");
        }
        for long in [format!("{}d", "9".repeat(400)), "36526d".to_owned(), "1d 36525d".to_owned()] {
            let error = serde_json::from_value::<Seconds>(json!(long)).expect_err("too long");
            assert_eq!(error.to_string(), TOO_LONG, "{long}");
        }
        let error = serde_json::from_value::<Seconds>(json!("0h")).expect_err("nothing");
        assert!(error.to_string().contains("such as \"6h\""), "{error}");
    }
}
