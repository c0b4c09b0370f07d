//! The tests that a pipeline makes of fields.

use serde::{Deserialize, Serialize};

/// A test that looks at a field, with its bounds where it has any: in the unit of the field, and values on a bound are within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldTest {
    /// The stage that makes it; the engine fills it in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Its name.
    pub test: String,
    /// The field.
    pub field: String,
    /// Values below fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Values above fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Values below are suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect_min: Option<f64>,
    /// Values above are suspect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect_max: Option<f64>,
}

impl FieldTest {
    /// A test without bounds.
    #[must_use]
    pub fn new(test: &str, field: &str) -> FieldTest {
        FieldTest { test: test.to_owned(), field: field.to_owned(), ..FieldTest::default() }
    }

    /// Whether it has bounds.
    #[must_use]
    pub fn has_bounds(&self) -> bool {
        [self.min, self.max, self.suspect_min, self.suspect_max].iter().any(Option::is_some)
    }
}
