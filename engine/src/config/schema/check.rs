//! Compares a table with its JSON Schema and with the type behind it.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

use super::target::DiagnosticTarget;
use super::wording::describe;
use crate::config::diagnostics::Diagnostic;
use crate::config::node::{Table, Value, table_to_json};
use crate::config::redaction::{Redaction, redact};
use crate::config::toml_text::quote_path;

/// The table as JSON, and a diagnostic for everything that the schema rejects. If it rejects nothing but unknown keys, the
/// JSON is without them, so that other mistakes in the table can be found, too; else it is `None`.
pub(in crate::config) fn check(target: &DiagnosticTarget<'_>) -> (Option<Json>, Vec<Diagnostic>) {
    let empty = Table::default();
    let json = table_to_json(target.node.table().unwrap_or(&empty), target.without);
    let validator = match jsonschema::validator_for(target.schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("this is a mistake in aqpipe: the schema of {} is wrong", target.title);
            return (None, vec![Diagnostic::error(message).note(error.to_string())]);
        }
    };
    let mut list = Vec::new();
    let mut without = Some(json.clone());
    let errors: Vec<jsonschema::ValidationError<'_>> = validator.iter_errors(&json).collect();
    let is_type = |error: &jsonschema::ValidationError<'_>| matches!(error.kind(), Kind::Type { .. });
    for error in &errors {
        // A value of the wrong type breaks the limits of the right one as well, which is one mistake.
        let is_told = errors.iter().any(|other| is_type(other) && other.instance_path() == error.instance_path());
        if is_type(error) || !is_told {
            list.extend(describe(target, error));
        }
        without = without.and_then(|json| without_unknown_keys(json, error));
    }
    (without, list)
}

/// The diagnostic of a value that the type rejects although the schema accepts it: above all, a number that is too large.
pub(in crate::config) fn rejected_by_type(
    target: &DiagnosticTarget<'_>,
    error: &serde_path_to_error::Error<serde_json::Error>,
    redactions: &[Redaction],
) -> Diagnostic {
    use serde_path_to_error::Segment;
    let path = error.path().iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let path: Vec<_> = path.collect();
    let found = target.node.find(&path);
    let title = match path.is_empty() {
        true => target.title.to_owned(),
        false => format!("`{}` in {}", quote_path(&path), target.title),
    };
    // A schema accepts `3.0` as an integer, the type behind it does not.
    if matches!(found.node.value, Value::Float(_)) && found.complete {
        let problem = Diagnostic::error(format!("wrong type for {title}")).at_place(found.node.span);
        return problem.label("expected an integer, found a float");
    }
    let reason = error.inner().to_string();
    let label = limit_of(&reason).unwrap_or_else(|| redact(redactions, &reason));
    Diagnostic::error(format!("invalid value for {title}")).at_place(found.node.span).label(label)
}

/// The JSON without the keys that an error calls unknown; `None` for an error of another kind.
fn without_unknown_keys(mut json: Json, error: &jsonschema::ValidationError<'_>) -> Option<Json> {
    let Kind::AdditionalProperties { unexpected } = error.kind() else { return None };
    let table = json.pointer_mut(error.instance_path().as_str())?.as_object_mut()?;
    unexpected.iter().for_each(|key| drop(table.shift_remove(key)));
    Some(json)
}

/// The limits of a type in serde's "expected u32".
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
