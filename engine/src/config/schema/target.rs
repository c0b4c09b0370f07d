//! What a table is compared with, and called.

use serde_json::Value as Json;

use crate::config::node::Node;

/// A table to be compared with a schema.
#[derive(Clone, Copy)]
pub(in crate::config) struct DiagnosticTarget<'a> {
    /// The JSON Schema of the table.
    pub(in crate::config) schema: &'a Json,
    /// The table.
    pub(in crate::config) node: &'a Node,
    /// The table's name in messages: "source `csv`".
    pub(in crate::config) title: &'a str,
    /// Keys of the table that the schema leaves out, because they are checked elsewhere.
    pub(in crate::config) without: &'a [&'a str],
}
