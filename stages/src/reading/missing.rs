//! Words and numbers that stand for "no value".

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::decimal::parse_f64;

/// A number or a word that stands for "no value".
#[derive(Clone, Debug, PartialEq)]
pub enum Sentinel {
    /// A number, which compares by value.
    Number(f64),
    /// A word, which compares letter by letter.
    Word(String),
}

/// Words that stand for "no value" in any source, beside an empty cell. A user's `missing` adds to them.
pub const MISSING_WORDS: [&str; 10] = ["NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None", "-", "---"];

impl<'de> Deserialize<'de> for Sentinel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SentinelVisitor;
        impl Visitor<'_> for SentinelVisitor {
            type Value = Sentinel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a word")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Sentinel, E> {
                Ok(Sentinel::Number(number as f64))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Sentinel, E> {
                Ok(Sentinel::Number(number as f64))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Sentinel, E> {
                Ok(Sentinel::Number(number))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Sentinel, E> {
                Ok(Sentinel::Word(word.to_owned()))
            }
        }
        deserializer.deserialize_any(SentinelVisitor)
    }
}

impl Serialize for Sentinel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Sentinel::Number(number) => serializer.serialize_f64(*number),
            Sentinel::Word(word) => serializer.serialize_str(word),
        }
    }
}

impl JsonSchema for Sentinel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sentinel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number" }, { "type": "string" }] })
    }
}

/// The sentinels of a source and the words of all, by type.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    numbers: Vec<f64>,
    /// The user's own words, then those of all.
    words: Vec<Box<[u8]>>,
    own: usize,
}

impl Missing {
    /// Sorts the sentinels. A word that spells a number stands for that number too.
    pub(super) fn new(sentinels: &[Sentinel], decimal: u8) -> Missing {
        let mut missing = Missing { numbers: Vec::new(), words: Vec::new(), own: 0 };
        for sentinel in sentinels {
            match sentinel {
                Sentinel::Number(number) => missing.numbers.push(*number),
                Sentinel::Word(word) => {
                    missing.numbers.extend(parse_f64(word.as_bytes(), decimal));
                    missing.words.push(word.as_bytes().into());
                }
            }
        }
        missing.own = missing.words.len();
        missing.words.extend(MISSING_WORDS.iter().map(|word| Box::from(word.as_bytes())));
        missing
    }

    /// Whether a number is a sentinel: by its value, however it is written.
    #[inline]
    pub(super) fn is_number(&self, number: f64) -> bool {
        self.numbers.contains(&number)
    }

    /// Whether a cell that is no number is a sentinel. An empty one always is.
    #[inline]
    pub(super) fn is_word(&self, cell: &[u8]) -> bool {
        cell.is_empty() || self.words.iter().any(|word| **word == *cell)
    }

    /// Whether a cell of a column of text has no value: a word such as `NA` is text there, but for the user's own sentinels.
    pub(super) fn is_empty_text(&self, cell: &[u8], decimal: u8) -> bool {
        let is_own = || self.words[..self.own].iter().any(|word| **word == *cell);
        let is_number = || parse_f64(cell, decimal).is_some_and(|number| self.is_number(number));
        cell.is_empty() || is_own() || (!self.numbers.is_empty() && is_number())
    }

    /// Whether a cell whose kind is not known is a sentinel.
    pub(super) fn is_cell(&self, cell: &[u8], decimal: u8) -> bool {
        self.is_word(cell) || parse_f64(cell, decimal).is_some_and(|number| self.is_number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_that_are_numbers_compare_by_value() {
        let missing: Vec<Sentinel> = serde_json::from_str(r#"[-200, -99.5, "NA", "-77"]"#).expect("fits");
        let missing = Missing::new(&missing, b',');
        for cell in [&b"-200"[..], b"-200,0", b"-2e2", b"-99,50", b"NA", b"-77,0", b""] {
            assert!(missing.is_cell(cell, b','), "{}", String::from_utf8_lossy(cell));
        }
        for word in MISSING_WORDS {
            assert!(missing.is_cell(word.as_bytes(), b','), "{word}");
        }
        for cell in [&b"200"[..], b"-200.0", b"na", b"n/a", b"0", b"--"] {
            assert!(!missing.is_cell(cell, b','), "{}", String::from_utf8_lossy(cell));
        }
    }

    #[test]
    fn a_text_has_no_value_where_it_is_empty_or_the_user_says_so() {
        let missing = Missing::new(&[Sentinel::Number(-999.0), Sentinel::Word("X".to_owned())], b'.');
        for cell in [&b""[..], b"X", b"-999", b"-999.0"] {
            assert!(missing.is_empty_text(cell, b'.'), "{}", String::from_utf8_lossy(cell));
        }
        for word in MISSING_WORDS {
            assert!(!missing.is_empty_text(word.as_bytes(), b'.'), "{word}");
        }
        assert!(Missing::new(&[Sentinel::Word("NA".to_owned())], b'.').is_empty_text(b"NA", b'.'));
    }

    #[test]
    fn a_sentinel_is_a_number_or_a_word_and_nothing_else() {
        assert!(serde_json::from_str::<Sentinel>("[1]").is_err());
        assert!(serde_json::from_str::<Sentinel>("true").is_err());
    }
}
