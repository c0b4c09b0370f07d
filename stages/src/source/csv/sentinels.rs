//! What stands for a missing value.

use aqpipe_engine::stage::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

/// The words that always stand for a missing value.
const WORDS: [&str; 2] = ["", "NA"];

/// Numbers and words that stand for a missing value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<Value>")]
pub(super) struct Sentinels {
    numbers: Vec<f64>,
    words: Vec<Vec<u8>>,
    strange: Vec<usize>,
}

impl From<Vec<Value>> for Sentinels {
    fn from(values: Vec<Value>) -> Sentinels {
        let mut sentinels = Sentinels::default();
        for (index, value) in values.iter().enumerate() {
            match value {
                Value::Number(number) => sentinels.numbers.extend(number.as_f64()),
                Value::String(word) => sentinels.words.push(word.trim().as_bytes().to_vec()),
                _ => sentinels.strange.push(index),
            }
        }
        sentinels
    }
}

impl JsonSchema for Sentinels {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sentinels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": ["number", "string"] }, "default": [] })
    }
}

impl Sentinels {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let at = |index: &usize| ["missing".to_owned(), index.to_string()];
        self.strange.iter().map(|index| Problem::new(at(index), "this is neither a number nor a word")).collect()
    }

    /// Whether a cell, without the spaces around it, is one of the words.
    pub(super) fn is_word(&self, cell: &[u8]) -> bool {
        WORDS.iter().any(|word| word.as_bytes() == cell) || self.words.iter().any(|word| word == cell)
    }

    /// Whether a number is one of those that stand for no value.
    #[inline]
    pub(super) fn is_number(&self, value: f64) -> bool {
        self.numbers.contains(&value)
    }
}
