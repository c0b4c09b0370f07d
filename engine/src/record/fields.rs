//! The fields of records: names, kinds and order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of the column that every record has.
pub const TIMESTAMP: &str = "timestamp";

/// The records at the beginning of a split by which its fields are judged: which of them come, and what they hold.
pub const SAMPLE_RECORDS: u64 = 1_000;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A measurement: 64-bit floating point, with a quality for each cell.
    Number,
    /// Text, carried as it is.
    Text,
    /// Not known before the first value that is not null. Never the kind of a field in a batch.
    Unknown,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, as the source calls it.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: Kind,
    /// Whether `derive` made it: such a field is not scored unless it is listed.
    pub derived: bool,
}

impl Field {
    /// A measurement of the source.
    #[must_use]
    pub fn number(name: &str) -> Field {
        Field { name: name.into(), kind: Kind::Number, derived: false }
    }

    /// A text of the source.
    #[must_use]
    pub fn text(name: &str) -> Field {
        Field { name: name.into(), kind: Kind::Text, derived: false }
    }
}

/// The layout of records: the fields in the order of their source, the name of the key, the name of the score, and
/// whether more fields may come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// The fields, in order. Neither the timestamp nor the key nor the score is among them.
    pub list: Vec<Field>,
    /// The name of the key, where records have one.
    pub key: Option<Arc<str>>,
    /// The name of the score, once a stage has given one.
    pub score: Option<Arc<str>>,
    /// More fields than these may come: a check must not call a field missing.
    pub open: bool,
}

impl Fields {
    /// The place of a field.
    #[must_use]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|field| &*field.name == name)
    }

    /// The field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.list.iter().find(|field| &*field.name == name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|field| &*field.name)
    }

    /// Whether a name is free for a new field.
    #[must_use]
    pub fn is_free(&self, name: &str) -> bool {
        name != TIMESTAMP
            && self.key.as_deref() != Some(name)
            && self.score.as_deref() != Some(name)
            && self.index(name).is_none()
    }
}
