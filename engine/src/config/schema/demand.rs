//! The demands of a schema's keywords, in words.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value as Json;

/// What the keyword that rejected a value demands of it.
pub(super) fn demand(kind: &Kind) -> String {
    let items = |count: u64| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
    let signs = |count: u64| if count == 1 { "1 character".to_owned() } else { format!("{count} characters") };
    match kind {
        Kind::Minimum { limit } => format!("must be at least {}", number(limit)),
        Kind::Maximum { limit } => format!("must be at most {}", number(limit)),
        Kind::ExclusiveMinimum { limit } => format!("must be above {}", number(limit)),
        Kind::ExclusiveMaximum { limit } => format!("must be below {}", number(limit)),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinLength { limit } => format!("must have at least {}", signs(*limit)),
        Kind::MaxLength { limit } => format!("must have at most {}", signs(*limit)),
        Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => "must not be empty".to_owned(),
        Kind::MinItems { limit } => format!("must have at least {}", items(*limit)),
        Kind::MaxItems { limit } => format!("must have at most {}", items(*limit)),
        Kind::AdditionalItems { limit } => format!("must have at most {}", items(*limit as u64)),
        Kind::MinProperties { limit } => format!("must have at least {limit} keys"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} keys"),
        Kind::UniqueItems => "must not name anything twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match `{pattern}`"),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the forms that it can have".to_owned(),
        other => format!("does not fit the schema (`{}`)", other.keyword()),
    }
}

/// A limit, without the `.0` that schemas of floats have.
fn number(limit: &Json) -> String {
    match limit.as_f64() {
        Some(limit) if limit.fract() == 0.0 && limit.abs() < 1e15 => format!("{limit:.0}"),
        _ => limit.to_string(),
    }
}
