//! A table compared with its JSON Schema, and what differs said in words of a pipeline.

mod coerce;
mod type_set;
mod wording;

use serde_json::Value as Json;

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::expand::{Redaction, redact};
use super::node::{Node, Table, Value, table_to_json};

pub(super) use coerce::coerce;
pub(super) use type_set::{TypeSet, resolve};
pub(super) use wording::quote_path;

/// A table to be compared with a schema.
pub(super) struct DiagnosticTarget<'a> {
    /// Its JSON Schema.
    pub(super) schema: &'a Json,
    /// The table.
    pub(super) node: &'a Node,
    /// What messages call it: "source `csv`".
    pub(super) title: &'a str,
    /// Keys of the table that the schema does not know of, for someone else has checked them.
    pub(super) without: &'a [&'a str],
}

impl DiagnosticTarget<'_> {
    /// The table as JSON, and all that the schema rejects. Where that is nothing but unknown keys, the JSON is without
    /// them, so that what else is wrong with the table can be found as well; else it is `None`.
    pub(super) fn check(&self) -> (Option<Json>, Vec<Diagnostic>) {
        let empty = Table::default();
        let json = table_to_json(self.node.table().unwrap_or(&empty), self.without);
        let validator = match jsonschema::validator_for(self.schema) {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("this is a mistake in aqpipe: the schema of {} is wrong", self.title);
                return (None, vec![Diagnostic::error(message).note(error.to_string())]);
            }
        };
        let mut list = Vec::new();
        let mut without = Some(json.clone());
        for error in validator.iter_errors(&json) {
            wording::describe(self, &error, &mut list);
            without = without.and_then(|json| without_unknown_keys(json, &error));
        }
        (without, list)
    }

    /// What serde rejects although the schema did not: a number too large for its type, above all.
    pub(super) fn refused(
        &self,
        error: &serde_path_to_error::Error<serde_json::Error>,
        secrets: &[Redaction],
    ) -> Diagnostic {
        use serde_path_to_error::Segment;
        let path = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        let path: Vec<_> = path.collect();
        let found = self.node.find(&path);
        let title = match path.is_empty() {
            true => self.title.to_owned(),
            false => format!("`{}` in {}", quote_path(&path), self.title),
        };
        // A schema takes `3.0` for an integer, the types behind it do not.
        if matches!(found.node.value, Value::Float(_)) && found.complete {
            let problem = Diagnostic::error(format!("wrong type for {title}")).at_place(found.node.span);
            return problem.label("expected an integer, found a float");
        }
        let reason = error.inner().to_string();
        let label = limit_of(&reason).unwrap_or_else(|| redact(secrets, &reason));
        Diagnostic::error(format!("invalid value for {title}")).at_place(found.node.span).label(label)
    }
}

/// The JSON without the keys that the error calls unknown; `None` where it is another error.
fn without_unknown_keys(mut json: Json, error: &jsonschema::ValidationError<'_>) -> Option<Json> {
    let jsonschema::error::ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else { return None };
    let table = json.pointer_mut(error.instance_path().as_str())?.as_object_mut()?;
    unexpected.iter().for_each(|key| drop(table.shift_remove(key)));
    Some(json)
}

impl Document {
    /// All values that no pipeline has a use for: dates, infinities.
    pub(super) fn invalid(&self) -> Vec<Diagnostic> {
        let mut list = Vec::new();
        self.root.invalid(&mut list);
        // A value that could not be expanded has no message of its own: expansion has said it.
        list.retain(|diagnostic| !diagnostic.message.is_empty());
        list
    }
}

/// What serde means by "expected u32".
fn limit_of(reason: &str) -> Option<String> {
    let (_, expected) = reason.strip_prefix("invalid value: integer")?.rsplit_once("expected ")?;
    let (least, most): (i64, i64) = match expected {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, i64::MAX),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        _ => return None,
    };
    Some(format!("must lie between {least} and {most}"))
}
